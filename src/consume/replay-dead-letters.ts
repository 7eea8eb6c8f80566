import { encodeEvent } from '../event/encode.ts'
import { isMillraceError, MillraceError } from '../event/error.ts'
import type { Event, Rejection } from '../event/event.ts'
import { eventRecordSchema } from '../event/record.ts'
import { toError } from '../lib/assert.ts'
import type { Clock } from '../lib/clock.ts'
import type { AppendRecord, Log, LogRecord, Offset } from '../log/log.ts'
import type { DeadLetter, Position, Store } from '../store/store.ts'
import type { ForeignRecords } from './foreign.ts'
import { splitName } from './mapped.ts'
import { createRecordReader, rowOf } from './row.ts'

export interface DeadLetterReplay {
  readonly events: Log
  readonly rejected: Log
  readonly store: Store
  readonly clock: Clock
  /** How records of the topic `events` are read whose schema is not ours. */
  readonly foreign?: ForeignRecords | undefined
  /** Reads a refused request again, by the rules of today. @throws MillraceError the refusal of today */
  readonly eventOf: (rejection: Rejection, position: Position) => Event
  /** What that event is on the log; our own record by default. @throws MillraceError `event_unmapped` */
  readonly recordsOf?: (rejection: Rejection, event: Event) => readonly AppendRecord[]
}

/** What became of several. */
export interface DeadLettersReplayed {
  readonly replayed: number
  readonly failures: readonly { readonly position: Position; readonly error: ErrorDetail }[]
}

type ErrorDetail = ReturnType<MillraceError['toJSON']>

const pageLetters = 500

/** Tries these dead letters again, or all that can be and have not been; one failure stops no other. */
export async function replayDeadLetters(
  which: readonly Position[] | 'all',
  replay: DeadLetterReplay,
): Promise<DeadLettersReplayed> {
  let replayed = 0
  const failures: DeadLettersReplayed['failures'][number][] = []
  for await (const [position, letter] of chosen(which, replay.store)) {
    try {
      if (letter === undefined) throw new MillraceError('dead_letter_unknown', describe(position))
      await replayDeadLetter(letter, replay)
      replayed++
    } catch (thrown) {
      // Whatever it is, the letters behind this one are not to wait for it.
      const error = isMillraceError(thrown)
        ? thrown
        : new MillraceError('internal', toError(thrown).message, { cause: thrown })
      failures.push({ position, error: error.toJSON() })
    }
  }
  return { replayed, failures }
}

type Chosen = readonly [Position, DeadLetter | undefined]

async function* chosen(which: readonly Position[] | 'all', store: Store): AsyncIterable<Chosen> {
  if (which !== 'all') {
    for (const position of which) yield [position, await store.deadLetter(position)]
    return
  }
  let after: Position | undefined
  do {
    const page = await store.deadLetters({ limit: pageLetters, ...(after && { after }) })
    for (const letter of page) {
      if (letter.replayable && letter.replayedAt === null) yield [letter.position, letter]
    }
    after = page.length < pageLetters ? undefined : page.at(-1)?.position
  } while (after !== undefined)
}

/**
 * Tries a dead letter again. A refused request goes onto the log like any event, with the time and
 * the identity that it had, so that replaying it twice stores it once; a record of the log that can
 * be read by now becomes the row that it should have been.
 * @throws MillraceError `dead_letter_unreplayable`, or the reason why it is still refused
 */
async function replayDeadLetter(letter: DeadLetter, replay: DeadLetterReplay): Promise<void> {
  const { position, replayable } = letter
  if (!replayable) throw new MillraceError('dead_letter_unreplayable', describe(position))
  const log = letter.source === 'log' ? replay.events : replay.rejected
  const reader = createRecordReader(log, replay.foreign)
  const record: LogRecord = {
    key: '',
    value: letter.value,
    ...splitName(letter.schema),
    offset: position.offset as Offset,
    timestamp: letter.receivedAt,
  }
  await reader.prepare([record])
  if (letter.source === 'log') {
    const row = { ...rowOf(reader, position.partition, record), position }
    await replay.store.write({ rows: [row], deadLetters: [], positions: [] })
  } else {
    const rejection = reader.decoder(record).rejection(record.value)
    const event = replay.eventOf(rejection, position)
    const records = replay.recordsOf?.(rejection, event) ?? [recordOf(event)]
    if (records.length > 0) await replay.events.append(records)
  }
  await replay.store.markReplayed(position, replay.clock())
}

function recordOf(event: Event): AppendRecord {
  const { fingerprint: schema } = eventRecordSchema
  return { key: event.partyId ?? event.eventId, value: encodeEvent(event), schema }
}

function describe({ topic, partition, offset }: Position): string {
  return `${topic}/${partition}/${offset}`
}
