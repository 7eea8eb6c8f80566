import { z } from 'zod'
import { bytes, GiB, MiB, positive } from './units.ts'

/** The log between collector and consumer. */
export const logSchema = z.strictObject({
  backend: z.enum(['embedded', 'kafka']).default('embedded'),
  /** How long the log keeps what is read: the span in which a replay can mend the store. */
  retentionDays: positive.default(7),
  /** Most bytes of the log, a tenth of it for refused requests; read segments go first, unread ones never: then the collector says 503. */
  maxBytes: z
    .int()
    .min(16 * MiB)
    .default(10 * GiB),
  /** Size at which a new segment is begun; retention frees whole segments. A quarter of a small log at most. */
  segmentBytes: bytes.default(256 * MiB),
  /** Shortest time between two syncs: under load events share one, alone they do not wait. */
  syncIntervalMs: z.int().min(0).default(4),
  /** Disk that is left free: below it the log is full. */
  diskReserveBytes: z
    .int()
    .min(0)
    .default(256 * MiB),
})
