import { z } from 'zod'
import { bytes, MiB, positive } from './units.ts'

/** The rows that questions are asked of. */
export const storeSchema = z.strictObject({
  backend: z.enum(['embedded', 'cassandra']).default('embedded'),
  /** Days of events that can be asked for: 90 and two to spare. */
  retentionDays: positive.default(92),
  /** Memory for questions and writes; the rest spills to disk. */
  memoryBytes: bytes.default(512 * MiB),
  /** Threads of the store; 0 takes one per core. */
  threads: z.int().min(0).default(0),
})
