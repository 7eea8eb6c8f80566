import { MillraceError } from '../event/error.ts'
import type { Event } from '../event/event.ts'
import { createDecoder, type Decoder } from '../event/record.ts'
import type { Log, LogRecord } from '../log/log.ts'
import type { Position, Row } from '../store/store.ts'
import { createForeignDecoder, type ForeignDecoder, type ForeignRecords } from './foreign.ts'
import { foreignSchemaOf } from './mapped.ts'

/** Turns records of one log into what they say, each by the schema that wrote it. */
export interface RecordReader {
  /** Fetches the schemas that `records` name and that are not known yet. */
  prepare(records: readonly LogRecord[]): Promise<void>
  /**
   * The decoder for a record; call `prepare` before.
   * @throws MillraceError `schema_unknown`, `schema_incompatible`
   */
  decoder(record: LogRecord): Decoder
  /**
   * What a record of the topic `events` says, in an object of its own; call `prepare` before.
   * @throws MillraceError as `decoder`, and `record_undecodable`, `record_invalid`, `mapping_failed`
   */
  event(record: LogRecord, position: Position): Event
  position(partition: number, record: LogRecord): Position
}

/**
 * A reader of the records of `log`; it remembers the schemas that it has met.
 * @param foreign how records of a schema that is not ours are read; without it, as events or not at all
 */
export function createRecordReader(log: Log, foreign?: ForeignRecords): RecordReader {
  const known: Schemas = { own: new Map(), foreign: new Map(), faults: new Map() }
  const decoder = ({ schema }: LogRecord): Decoder => {
    const found = known.own.get(schema)
    if (found) return found
    throw known.faults.get(schema) ?? new MillraceError('schema_unknown', schema)
  }
  return {
    async prepare(records) {
      // Once for each name: records of a schema that is missing come in thousands.
      const asked = new Set<string>()
      for (const record of records) {
        const { schema: name } = record
        if (known.own.has(name) || known.foreign.has(name)) continue
        if (known.faults.has(name) || asked.has(name)) continue
        asked.add(name)
        await fetchSchema(log, record, foreign, known)
      }
    },
    decoder,
    event(record, position) {
      const read = known.foreign.get(record.schema)
      return read === undefined ? decoder(record).event(record.value) : read(record, position)
    },
    position: (partition, { offset }) => ({
      log: log.identity,
      topic: log.topic,
      partition,
      offset,
    }),
  }
}

/** By their names on the log. */
interface Schemas {
  readonly own: Map<string, Decoder>
  readonly foreign: Map<string, ForeignDecoder>
  readonly faults: Map<string, MillraceError>
}

/** A schema that is missing is asked for again with the next batch: it may have been added. */
async function fetchSchema(
  log: Log,
  { schema: name, headers }: LogRecord,
  foreign: ForeignRecords | undefined,
  known: Schemas,
): Promise<void> {
  const text = await log.schema(name)
  if (text === undefined) return
  try {
    const rule = foreignSchemaOf(text, headers, foreign)
    if (rule === undefined) known.own.set(name, createDecoder(text))
    else known.foreign.set(name, createForeignDecoder(rule, text))
  } catch (thrown) {
    if (!(thrown instanceof MillraceError)) throw thrown
    known.faults.set(name, thrown)
  }
}

/** Days of year 1 to 9999: what `YYYY-MM-DD` and every store can hold. */
const timeMsMin = -62_135_596_800_000
const timeMsMax = Date.UTC(9999, 11, 31, 23, 59, 59, 999)

/**
 * The row of one record. Every later stage takes time and identity from it and looks at no clock.
 * @throws MillraceError `schema_unknown`, `schema_incompatible`, `record_undecodable`, `record_invalid`,
 *   `mapping_failed`
 */
export function rowOf(reader: RecordReader, partition: number, record: LogRecord): Row {
  // The decoder made this object for us alone: filling it in costs less than a copy of 35 members.
  const position = reader.position(partition, record)
  const row = reader.event(record, position) as Filling<Row>
  row.position = position
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
