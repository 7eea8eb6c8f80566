import { z } from 'zod'
import { bytes, MiB, positive } from './units.ts'

/** See `RowOf` of the consumer. */
type RowOf = (
  record: Readonly<Record<string, unknown>>,
  place: {
    /** Its name in Kafka. */
    readonly topic: string
    readonly partition: number
    readonly offset: number
    /** ms since 1970 by Kafka. */
    readonly timestamp: number
  },
) => Readonly<Record<string, unknown>>

/** The way from the log into the store. */
export const consumeSchema = z.strictObject({
  /**
   * Whose records the topic of events holds: `event` ours; `divolte` those of Divolte's default
   * schema; else the path of the Avro schema (.avsc) that Divolte, or another, writes them by.
   * Records of ours among them are read as such. A topic of others is never made nor checked.
   */
  recordSchema: z.string().min(1).default('event'),
  /**
   * What a record of others is as an event: returns members of `Event`; those that it leaves out stay
   * as they are by their names. It must depend on nothing else, as a replay calls it again.
   */
  rowOf: z
    .custom<RowOf>((value) => typeof value === 'function', 'it must be a function')
    .optional(),
  /** Most records in one write: larger is cheaper per event, smaller is fresher. */
  batchRecords: positive.default(6_000),
  /** Most bytes of records in one write, but for one piece more: large events are written sooner. */
  batchBytes: bytes.default(4 * MiB),
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

/** What does not go together. */
export function consumeFaults(
  { recordSchema, rowOf }: z.output<typeof consumeSchema>,
  logBackend: string,
): string[] {
  const faults: string[] = []
  if (recordSchema !== 'event' && logBackend !== 'kafka') {
    faults.push('consume.recordSchema (MILLRACE_RECORD_SCHEMA) needs log.backend kafka')
  }
  if (rowOf !== undefined && recordSchema === 'event') {
    faults.push('consume.rowOf needs consume.recordSchema: our own records are rows already')
  }
  return faults
}
