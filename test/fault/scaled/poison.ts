import { jsonEvent, pageAddress } from '../../../benchmark/requests.ts'
import { encodeEvent } from '../../../src/event/encode.ts'
import type { Event } from '../../../src/event/event.ts'
import {
  encodeRejection,
  eventRecordSchema,
  rejectionRecordSchema,
} from '../../../src/event/record.ts'
import { makeRow } from '../../store/rows.ts'
import { identityOf } from './checker.ts'

/** What others may put into our topic, and what has to become of it. */
export interface Poison {
  readonly kind: string
  /** Without one, as Kafka's own tombstones are. */
  readonly value: Buffer | undefined
  /** The header `millrace-schema`, if it has one. */
  readonly schema?: string
  /** Why it has to be a dead letter; without a code it is an odd event that has to be stored. */
  readonly code?: string
  /** Of the event that has to be stored. */
  readonly identity?: string
}

const own = eventRecordSchema.fingerprint
/** Below the batch that Kafka takes at most, and above what anybody's own limits let through. */
const largeBytes = 950_000

/** One of each kind, in an order that `random` decides. */
export function poisonRecords(eventType: string, random: () => number): Poison[] {
  const event = (over: Partial<Event> = {}): Event => eventNow(eventType, over)
  const good = (): Buffer => encodeEvent(event())
  const undecodable = (kind: string, value: Buffer | undefined): Poison => {
    return { kind, value, schema: own, code: 'record_undecodable' }
  }
  const invalid = (kind: string, over: Partial<Event>): Poison => {
    return { kind, value: encodeEvent(event(over)), schema: own, code: 'record_invalid' }
  }
  const truncated = good()
  const kinds: Poison[] = [
    undecodable('no value', undefined),
    undecodable('no bytes', Buffer.alloc(0)),
    undecodable('random bytes', randomBytes(20 + Math.floor(random() * 400), random)),
    undecodable('a megabyte of random bytes', randomBytes(largeBytes, random)),
    undecodable('cut', truncated.subarray(0, Math.floor(truncated.length * random()))),
    undecodable('bytes after the end', Buffer.concat([good(), Buffer.from('more')])),
    { kind: 'no schema', value: good(), code: 'schema_unknown' },
    { kind: 'unknown schema', value: good(), schema: '0123456789abcdef', code: 'schema_unknown' },
    {
      kind: 'a record of another schema',
      value: rejection(),
      schema: rejectionRecordSchema.fingerprint,
      code: 'record_invalid',
    },
    undecodable('another schema than it says', rejection()),
    invalid('a time in no day', { eventTime: Date.UTC(30_000, 0, 1) }),
    invalid('a clock that nobody has', { clockSource: 'sundial' as Event['clockSource'] }),
    invalid('an id of 70 KB', { eventId: 'e'.repeat(70_000) as Event['eventId'] }),
  ]
  const odd: [kind: string, event: Event][] = [
    ['deep JSON', event({ parameters: '['.repeat(100_000) + ']'.repeat(100_000) })],
    ['a megabyte of JSON', event({ parameters: JSON.stringify('x'.repeat(largeBytes)) })],
    ['no JSON', event({ parameters: '{"item_id":NaN' })],
  ]
  for (const [kind, one] of odd) {
    kinds.push({ kind, value: encodeEvent(one), schema: own, identity: identityOfEvent(one) })
  }
  const named = event({ location: 'https://shop.example/?q=mark' })
  kinds.push({
    kind: 'bad UTF-8',
    value: withBadUtf8(encodeEvent(named), 'mark'),
    schema: own,
    identity: identityOfEvent(named),
  })
  return shuffle(kinds, random)
}

/** An event as a collector puts it on the log. */
export function eventNow(eventType: string, over: Partial<Event> = {}): Event {
  const now = Date.now()
  const { eventId, partyId } = jsonEvent(0)
  const {
    position: _,
    importedAt: __,
    ...event
  } = makeRow({
    eventId,
    partyId,
    eventType,
    eventTime: now,
    location: pageAddress(0),
    itemId: '100000',
  })
  return { ...event, ...over }
}

export function identityOfEvent({ partyId, eventId }: Event): string {
  return identityOf(partyId, eventId)
}

function rejection(): Buffer {
  return encodeRejection({
    receivedAt: Date.now(),
    code: 'checksum_invalid',
    message: 'refused',
    source: 'tag',
    body: 'p=1',
    truncated: false,
    remoteAddress: '192.0.2.0',
    userAgent: null,
    privacy: null,
    country: null,
  })
}

/** `mark` becomes bytes that no UTF-8 text has. */
function withBadUtf8(value: Buffer, mark: string): Buffer {
  const at = value.indexOf(mark)
  value.set([0xff, 0xfe, 0xc0, 0x80], at)
  return value
}

function randomBytes(length: number, random: () => number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, () => Math.floor(random() * 256)))
}

function shuffle<One>(ones: readonly One[], random: () => number): One[] {
  return ones
    .map((one) => ({ one, rank: random() }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ one }) => one)
}
