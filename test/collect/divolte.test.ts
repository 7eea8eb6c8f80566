import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import avro from 'avsc'
import { encodeEvent } from '../../src/event/encode.ts'
import type { Event } from '../../src/event/event.ts'
import { divolteSchema } from '../../src/event/schema.ts'
import { readVectors } from '../event/vectors.ts'
import { type Answer, type Headers, openScene, type Scene } from './scene.ts'

/**
 * The recorded requests to the original server, sent again: same status, headers, body and event,
 * but for the differences listed here, each with its reason.
 */

interface RecordedCase {
  readonly name: string
  readonly request: { method: string; path: string; headers?: Headers; body?: string }
  readonly response: { status: number; headers: Record<string, string>; bodyHex: string }
  readonly events: readonly RecordedEvent[]
}

interface RecordedEvent {
  readonly [field: string]: unknown
  readonly avroHex: string
}

interface Difference {
  readonly reason: string
  /** Our status where it is another. */
  readonly status?: number
  /** Our event where it is another. */
  readonly event?: Partial<Event>
}

const invalid = 'an invalid event is answered by 400 and kept as a dead letter, not by 200 and gone'
const flagged = 'the store decides what is a repeat: the collector flags none'

const differences: Readonly<Record<string, Difference>> = {
  'missing-p': { reason: invalid, status: 400 },
  'missing-s': { reason: invalid, status: 400 },
  'missing-v': { reason: invalid, status: 400 },
  'missing-e': { reason: invalid, status: 400 },
  'missing-c': { reason: invalid, status: 400 },
  'missing-n': { reason: invalid, status: 400 },
  'missing-f': { reason: invalid, status: 400 },
  'bad-party-timestamp': { reason: invalid, status: 400 },
  'party-four-parts': { reason: invalid, status: 400 },
  'c-garbage': { reason: invalid, status: 400 },
  'raw-utf8': {
    reason: 'the 400 says in a body what was wrong, and is kept as a dead letter',
    status: 400,
  },
  'dup-with-different-type': { reason: flagged },
  'u-d-huge': {
    reason: 'a number that no double can hold keeps its digits',
    event: { parameters: '{"a":13367494538843734067838845976575}' },
  },
  'xff-localhost-name': {
    reason: 'X-Forwarded-For is never resolved by DNS: a name is not an address',
    event: { remoteAddress: '127.0.0.1' },
  },
  'missing-t': {
    reason: 'an event without a type has the default of the record everywhere',
    event: { eventType: 'unknown' },
  },
  'ua-modern': { reason: 'user-agent fields come from a current parser, not a database of 2014' },
}

/** Of every case. */
const headerDifferences: Readonly<Record<string, string>> = {
  server: 'we are not Divolte',
  date: 'it is another day',
}

const recordType = avro.Type.forSchema(divolteSchema as never)

/** The fields of Divolte's record that come from the request alone. */
function recordOf(value: Buffer): Record<string, unknown> {
  const record: Record<string, unknown> = { ...(recordType.decode(value, 0).value as object) }
  for (const name of Object.keys(record)) {
    const fromParser = name.startsWith('userAgent') && name !== 'userAgentString'
    if (name === 'timestamp' || name === 'detectedDuplicate' || fromParser) delete record[name]
  }
  return record
}

function expectedOf(recorded: RecordedEvent): Partial<Event> {
  const { parameters } = recorded
  return {
    eventId: recorded['eventId'] as Event['eventId'],
    corrupt: recorded['corruptEvent'] as boolean,
    newParty: recorded['newPartyId'] as boolean,
    devicePixelRatio: recorded['devicePixelRatio'] as number | null,
    parameters: parameters === null ? null : JSON.stringify(parameters),
  }
}

function checkEvent(
  event: Event,
  recorded: RecordedEvent,
  difference: Difference | undefined,
): void {
  const expected = { ...expectedOf(recorded), ...difference?.event }
  for (const [name, value] of Object.entries(expected)) {
    assert.deepEqual(event[name as keyof Event], value, name)
  }
  const ours = recordOf(encodeEvent(event))
  const theirs = recordOf(Buffer.from(recorded.avroHex, 'hex'))
  if (difference?.event?.remoteAddress !== undefined) {
    theirs['remoteHost'] = difference.event.remoteAddress
  }
  assert.deepEqual(ours, theirs)
  assert.equal(event.duplicate, false)
}

function checkAnswer(answer: Answer, recorded: RecordedCase, status: number | undefined): void {
  assert.equal(answer.status, status ?? recorded.response.status)
  if (status !== undefined) {
    assert.ok(answer.json().error.code)
    return
  }
  const ours = { ...answer.headers }
  const theirs = { ...recorded.response.headers }
  for (const name of Object.keys(headerDifferences)) {
    delete ours[name]
    delete theirs[name]
  }
  if (answer.status === 405) delete ours['cache-control']
  assert.deepEqual(ours, theirs)
  assert.equal(answer.body.toString('hex'), recorded.response.bodyHex)
}

async function play(scene: Scene, recorded: RecordedCase): Promise<void> {
  const { method, path, headers = {}, body } = recorded.request
  const difference = differences[recorded.name]
  const before = (await scene.storedEvents()).length
  const rejectedBefore = (await scene.storedRejections()).length
  const answer = await scene.send({
    method,
    path,
    headers: { 'User-Agent': 'shim/1.0', ...headers },
    ...(body !== undefined && { body }),
  })
  checkAnswer(answer, recorded, difference?.status)
  const events = (await scene.storedEvents()).slice(before)
  assert.equal(events.length, recorded.events.length)
  for (const [index, event] of events.entries()) {
    checkEvent(event, recorded.events[index] as RecordedEvent, difference)
  }
  const rejections = (await scene.storedRejections()).length - rejectedBefore
  assert.equal(rejections, answer.status === 400 ? 1 : 0)
}

describe("the original server's recorded cases", () => {
  test('are answered and understood as recorded, but for the listed differences', async (t) => {
    const cases = readVectors<RecordedCase[]>(t, 'server')
    if (cases === undefined) return
    const scene = await openScene(t, { address: 'full', trustedProxies: ['127.0.0.1'] })
    const played = cases.filter(({ name }) => !name.startsWith('json-'))
    assert.ok(played.length > 40)
    for (const recorded of played) {
      await t.test(recorded.name, () => play(scene, recorded))
    }
  })

  test('the table of differences names only what differs', (t) => {
    const cases = readVectors<RecordedCase[]>(t, 'server')
    if (cases === undefined) return
    for (const { name, response } of cases) {
      const difference = differences[name]
      if (difference?.status === undefined || name === 'raw-utf8') continue
      assert.notEqual(response.status, difference.status, name)
    }
  })
})
