import { z } from 'zod'
import { GiB, MiB, positive } from './units.ts'

/** Where a collector keeps events while Kafka is away; the embedded log needs none. */
export const spoolSchema = z.strictObject({
  /** False where the data folder does not outlive the process: then Kafka away means 503. */
  enabled: z.boolean().default(true),
  /** How long Kafka may take for an append before the events go to the spool instead. */
  afterMs: positive.default(1_500),
  /** Most bytes of the spool, shared by the workers of a collector; past it, 503. An hour at 500 events a second. */
  maxBytes: z
    .int()
    .min(16 * MiB)
    .default(GiB),
  /** Events a second that a process moves from the spool to Kafka, so that live ones need not wait. */
  drainPerSecondMax: positive.default(10_000),
})
