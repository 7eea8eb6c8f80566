import { MillraceError } from '../event/error.ts'
import type { Event, Rejection } from '../event/event.ts'
import { encodeEvent, eventRecordSchema } from '../event/record.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log, LogRecord, Offset } from '../log/log.ts'
import type { DeadLetter, Position, Store } from '../store/store.ts'
import { createRecordReader, rowOf } from './row.ts'

export interface DeadLetterReplay {
  readonly events: Log
  readonly rejected: Log
  readonly store: Store
  readonly clock: Clock
  /** Reads a refused request again, by the rules of today. @throws MillraceError the refusal of today */
  readonly eventOf: (rejection: Rejection, position: Position) => Event
}

/**
 * Tries a dead letter again. A refused request goes onto the log like any event, with the time and
 * the identity that it had, so that replaying it twice stores it once; a record of the log that can
 * be read by now becomes the row that it should have been.
 * @throws MillraceError `dead_letter_unreplayable`, or the reason why it is still refused
 */
export async function replayDeadLetter(
  letter: DeadLetter,
  replay: DeadLetterReplay,
): Promise<void> {
  const { position, replayable } = letter
  if (!replayable) throw new MillraceError('dead_letter_unreplayable', describe(position))
  const log = letter.source === 'log' ? replay.events : replay.rejected
  const reader = createRecordReader(log)
  const record: LogRecord = {
    key: '',
    value: letter.value,
    schema: letter.schema,
    offset: position.offset as Offset,
  }
  await reader.prepare([record])
  if (letter.source === 'log') {
    const row = { ...rowOf(reader, position.partition, record), position }
    await replay.store.write({ rows: [row], deadLetters: [], positions: [] })
  } else {
    const rejection = reader.decoder(record).rejection(record.value)
    const event = replay.eventOf(rejection, position)
    const key = event.partyId ?? event.eventId
    const { fingerprint } = eventRecordSchema
    await replay.events.append([{ key, value: encodeEvent(event), schema: fingerprint }])
  }
  await replay.store.markReplayed(position, replay.clock())
}

function describe({ topic, partition, offset }: Position): string {
  return `${topic}/${partition}/${offset}`
}
