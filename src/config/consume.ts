import { z } from 'zod'
import { positive } from './units.ts'

/** The way from the log into the store. */
export const consumeSchema = z.strictObject({
  /** Most records in one write: larger is cheaper per event, smaller is fresher. */
  batchRecords: positive.default(6_000),
  /** Shortest time between two writes: under load events share one, alone they do not wait. */
  writeIntervalMs: z.int().min(0).default(200),
  /** Wait after a failed write, doubling up to the second figure. */
  retryInitialMs: positive.default(100),
  retryMaxMs: positive.default(15_000),
  /** How often retention frees log and store. */
  housekeepingMs: positive.default(60_000),
  /** How long a stop may go on storing what is already on the log; the rest waits there. */
  drainTimeoutMs: z.int().min(0).default(5_000),
})
