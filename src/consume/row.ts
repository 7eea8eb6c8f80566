import { MillraceError } from '../event/error.ts'
import { createDecoder, type Decoder } from '../event/record.ts'
import type { Log, LogRecord } from '../log/log.ts'
import type { Position, Row } from '../store/store.ts'

/** Turns records of one log into what they say, each by the schema that wrote it. */
export interface RecordReader {
  /** Fetches the schemas that `records` name and that are not known yet. */
  prepare(records: readonly LogRecord[]): Promise<void>
  /**
   * The decoder for a record; call `prepare` before.
   * @throws MillraceError `schema_unknown`, `schema_incompatible`
   */
  decoder(record: LogRecord): Decoder
  position(partition: number, record: LogRecord): Position
}

/** A reader of the records of `log`; it remembers the schemas that it has met. */
export function createRecordReader(log: Log): RecordReader {
  const decoders = new Map<string, Decoder>()
  const faults = new Map<string, MillraceError>()
  return {
    async prepare(records) {
      for (const { schema } of records) {
        if (!decoders.has(schema)) await fetchSchema(log, schema, decoders, faults)
      }
    },
    decoder({ schema }) {
      const decoder = decoders.get(schema)
      if (decoder) return decoder
      throw faults.get(schema) ?? new MillraceError('schema_unknown', schema)
    },
    position: (partition, { offset }) => ({
      log: log.identity,
      topic: log.topic,
      partition,
      offset,
    }),
  }
}

/** A schema that is missing is asked for again with the next batch: it may have been added. */
async function fetchSchema(
  log: Log,
  fingerprint: string,
  decoders: Map<string, Decoder>,
  faults: Map<string, MillraceError>,
): Promise<void> {
  const text = await log.schema(fingerprint)
  if (text === undefined) return
  try {
    decoders.set(fingerprint, createDecoder(text))
  } catch (thrown) {
    if (!(thrown instanceof MillraceError)) throw thrown
    faults.set(fingerprint, thrown)
  }
}

/** Days of year 1 to 9999: what `YYYY-MM-DD` and every store can hold. */
const timeMsMin = -62_135_596_800_000
const timeMsMax = Date.UTC(9999, 11, 31, 23, 59, 59, 999)

/**
 * The row of one record. Every later stage takes time and identity from it and looks at no clock.
 * @throws MillraceError `schema_unknown`, `schema_incompatible`, `record_undecodable`, `record_invalid`
 */
export function rowOf(reader: RecordReader, partition: number, record: LogRecord): Row {
  // The decoder made this object for us alone: filling it in costs less than a copy of 35 members.
  const row = reader.decoder(record).event(record.value) as Filling<Row>
  row.position = reader.position(partition, record)
  row.importedAt = null
  // Records of a writer that knew no identity or no event time: an old Divolte topic.
  if (row.eventId === '') row.eventId = syntheticId(row.position) as Row['eventId']
  if (row.eventTime === 0) row.eventTime = row.receivedAt
  if (!(row.eventTime >= timeMsMin && row.eventTime <= timeMsMax)) {
    throw new MillraceError('record_invalid', `its time ${row.eventTime} is in no day`)
  }
  return row
}

type Filling<Type> = { -readonly [Key in keyof Type]: Type[Key] }

function syntheticId({ topic, partition, offset }: Position): string {
  return `${topic}/${partition}/${offset}`
}
