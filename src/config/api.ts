import { z } from 'zod'
import { port, positive } from './units.ts'

/** The API and the dashboard. */
export const apiSchema = z.strictObject({
  /** Loopback; another host needs a token of at least 32 characters. */
  host: z.string().default('127.0.0.1'),
  port: port.default(8291),
  token: z.string().optional(),
  /** Host names, besides the address itself, under which the API may be asked. */
  allowedHosts: z.array(z.string()).default([]),
  /** Most events in one answer. */
  eventsMax: positive.default(10_000),
  /** Most live tails at once. */
  liveMax: positive.default(64),
})
