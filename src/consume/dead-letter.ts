import { MillraceError } from '../event/error.ts'
import { toError } from '../lib/assert.ts'
import type { LogRecord } from '../log/log.ts'
import type { DeadLetter, Position } from '../store/store.ts'
import { nameWithHeaders } from './mapped.ts'
import type { RecordReader } from './row.ts'

/** A record of the topic `events` that cannot be a row, kept as it stood on the log. */
export function unreadableRecord(
  position: Position,
  record: LogRecord,
  thrown: unknown,
  now: number,
): DeadLetter {
  const error = toError(thrown)
  return {
    position,
    // A replay may need it: a record of others need not know when it was received.
    receivedAt: record.timestamp ?? now,
    code: error instanceof MillraceError ? error.code : 'record_invalid',
    message: error.message,
    source: 'log',
    value: Uint8Array.from(record.value),
    schema: nameWithHeaders(record),
    // A later version, or a schema added later, may be able to read it.
    replayable: true,
  }
}

/** A record of the topic `rejected`: a request that the collector refused. */
export function rejectedRequest(
  reader: RecordReader,
  partition: number,
  record: LogRecord,
  now: number,
): DeadLetter {
  const position = reader.position(partition, record)
  try {
    const rejection = reader.decoder(record).rejection(record.value)
    return {
      position,
      receivedAt: rejection.receivedAt,
      code: rejection.code,
      message: rejection.message,
      source: rejection.source,
      value: Uint8Array.from(record.value),
      schema: record.schema,
      replayable: !rejection.truncated,
    }
  } catch (thrown) {
    return { ...unreadableRecord(position, record, thrown, now), replayable: false }
  }
}

/** Records that the log lost before they were read, accepted as lost by the operator. */
export function lostRange(from: Position, to: number, now: number): DeadLetter {
  return {
    position: from,
    receivedAt: now,
    code: 'log_gap',
    message: `the log lost offsets ${from.offset} to ${to - 1} of partition ${from.partition} before they were stored`,
    source: 'log',
    value: new Uint8Array(),
    schema: '',
    replayable: false,
  }
}
