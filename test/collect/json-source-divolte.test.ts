import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import avro from 'avsc'
import { eventOfRejection } from '../../src/collect/replay.ts'
import type { DivolteJsonSource } from '../../src/collect/take-divolte-json.ts'
import { parseConfig } from '../../src/config.ts'
import { encodeEvent } from '../../src/event/encode.ts'
import type { Event, Rejection } from '../../src/event/event.ts'
import { divolteSchema } from '../../src/event/schema.ts'
import { readVectors } from '../event/vectors.ts'
import { type Headers, openScene, type Scene } from './scene.ts'

/** Divolte's JSON source: the recorded requests again, and what was not recorded. */

interface RecordedCase {
  readonly name: string
  readonly request: { method: string; path: string; headers?: Headers; body?: string }
  readonly response: { status: number; headers: Record<string, string>; bodyHex: string }
  readonly events: readonly { readonly [field: string]: unknown; readonly avroHex: string }[]
}

const invalid = 'an invalid event is answered by 400 and kept as a dead letter, not by 204 and gone'
const explained = 'a refusal says in its body what was wrong'

const differences: Readonly<Record<string, { reason: string; status: number }>> = {
  'json-not-object': { reason: invalid, status: 400 },
  'json-missing-session_id': { reason: invalid, status: 400 },
  'json-missing-event_id': { reason: invalid, status: 400 },
  'json-missing-is_new_session': { reason: invalid, status: 400 },
  'json-unknown-property': { reason: invalid, status: 400 },
  'json-bad-timestamp': { reason: invalid, status: 400 },
  'json-epoch-timestamp': { reason: invalid, status: 400 },
  'json-camel-case': { reason: invalid, status: 400 },
  'json-array-batch': { reason: invalid, status: 400 },
  'json-bad-party': { reason: explained, status: 400 },
  'json-empty-body': { reason: explained, status: 400 },
  'json-5000-bytes': { reason: explained, status: 413 },
}

/** Of every case. */
const headerDifferences: Readonly<Record<string, string>> = {
  server: 'we are not Divolte',
  date: 'it is another day',
  connection: 'the original says close with a refusal only, we whenever the client does',
  'cache-control': 'no cache may keep a refusal',
}

const source: DivolteJsonSource = {
  type: 'json',
  name: 'mobile',
  path: '/mob-event',
  partyIdParameter: 'p',
  bodyBytesMax: 4_096,
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

function checkEvent(event: Event, recorded: RecordedCase['events'][number]): void {
  assert.deepEqual(recordOf(encodeEvent(event)), recordOf(Buffer.from(recorded.avroHex, 'hex')))
  assert.equal(event.eventId, recorded['eventId'])
  assert.equal(event.newParty, recorded['newPartyId'])
  const { parameters } = recorded
  assert.equal(event.parameters, parameters === null ? null : JSON.stringify(parameters))
  assert.equal(event.source, 'json')
}

async function play(scene: Scene, recorded: RecordedCase): Promise<void> {
  const { method, path, headers = {}, body } = recorded.request
  const before = (await scene.storedEvents()).length
  const rejectedBefore = (await scene.storedRejections()).length
  const answer = await scene.send({
    method,
    path,
    headers: { 'User-Agent': 'shim/1.0', ...headers, 'Content-Length': String(body?.length ?? 0) },
    ...(body !== undefined && { body }),
  })
  const difference = differences[recorded.name]
  assert.equal(answer.status, difference?.status ?? recorded.response.status)
  if (difference !== undefined) assert.ok(answer.json().error.code)
  else {
    const ours = { ...answer.headers }
    const theirs = { ...recorded.response.headers }
    for (const name of Object.keys(headerDifferences)) {
      delete ours[name]
      delete theirs[name]
    }
    assert.deepEqual(ours, theirs)
    assert.equal(answer.body.toString('hex'), recorded.response.bodyHex)
  }
  const events = (await scene.storedEvents()).slice(before)
  assert.equal(events.length, recorded.events.length)
  for (const [index, event] of events.entries()) {
    checkEvent(event, recorded.events[index] as RecordedCase['events'][number])
  }
  const rejections = (await scene.storedRejections()).length - rejectedBefore
  assert.equal(rejections, [400, 413].includes(answer.status) ? 1 : 0)
}

const party = '0:kf12ot8g:PartyPartyPartyPartyPartyPartyPa'
const path = `/mob-event?p=${encodeURIComponent(party)}`
const event = {
  event_type: 'buy',
  session_id: '0:kf12ot8g:SessSessSessSessSessSessSessSess',
  event_id: 'one',
  is_new_party: 'true',
  is_new_session: false,
  client_timestamp_iso: '2023-11-14T22:13:20.5+00:00',
  parameters: { item_id: 12345678901234567890n, price: 2.5 },
}
const now = Date.parse('2023-11-14T22:13:21Z')

function bodyOf(changes: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({ ...event, ...changes }, (_name, value) =>
    typeof value === 'bigint' ? JSON.rawJSON(String(value)) : value,
  )
}

function post(scene: Scene, body: string, headers: Headers = {}, to = path) {
  const all = { 'Content-Type': 'application/json', ...headers }
  return scene.send({ method: 'POST', path: to, headers: all, body })
}

describe("Divolte's JSON source", () => {
  test('answers and understands the recorded requests, but for the listed differences', async (t) => {
    const cases = readVectors<RecordedCase[]>(t, 'server')
    if (cases === undefined) return
    const scene = await openScene(t, { address: 'full' }, { sources: [source] })
    const played = cases.filter(({ name }) => name.startsWith('json-'))
    assert.equal(played.length, 21)
    for (const recorded of played) await t.test(recorded.name, () => play(scene, recorded))
    const names = played.map(({ name }) => name)
    assert.deepEqual(
      Object.keys(differences).filter((name) => !names.includes(name)),
      [],
    )
  })

  test('takes an event whole, at its path only, by the name of its parameter', async (t) => {
    const scene = await openScene(t, {}, { sources: [source], clock: () => now })
    const answer = await post(scene, bodyOf(), { 'Content-Type': 'Application/JSON' })
    assert.deepEqual([answer.status, answer.body.length], [204, 0])
    assert.equal((await post(scene, bodyOf(), {}, '/mob-event?q=1')).status, 400)
    assert.equal((await post(scene, bodyOf(), {}, '/other-event')).status, 404)
    const [stored, ...others] = await scene.storedEvents()
    assert.equal(others.length, 0)
    assert.equal(stored?.partyId, party)
    assert.equal(stored?.eventTime, now - 500)
    assert.deepEqual([stored?.newParty, stored?.firstInSession], [true, false])
    assert.deepEqual([stored?.itemId, stored?.eventType], ['12345678901234567890', 'buy'])
  })

  test('may be at the root, where whoever looks still gets the page', async (t) => {
    const atRoot = { ...source, path: '/' }
    const scene = await openScene(t, {}, { sources: [atRoot], clock: () => now })
    assert.equal((await post(scene, bodyOf(), {}, path.replace('mob-event', ''))).status, 204)
    const page = await scene.get('/')
    assert.deepEqual([page.status, page.headers['content-type']], [200, 'text/html; charset=utf-8'])
    const other = await scene.send({ method: 'PUT', path: '/' })
    assert.deepEqual([other.status, other.headers['allow']], [405, 'POST'])
    assert.equal((await scene.storedEvents()).length, 1)
  })

  test('names its own setting and its own form in the hints of a refusal', async (t) => {
    const scene = await openScene(t, {}, { sources: [source], clock: () => now })
    const hintOf = async (body: string) => (await post(scene, body)).json().error.hint
    assert.match(await hintOf('x'.repeat(5_000)), /raise sources\.mobile\.bodyBytesMax$/)
    assert.match(await hintOf('no json'), /one event as a JSON object: \{"event_type"/)
    assert.match(await hintOf('[]'), /one object with event_type, session_id, .*, parameters$/)
  })

  test('waits for 100-continue, takes chunks, and counts a body by its bytes', async (t) => {
    const scene = await openScene(t, {}, { sources: [source], clock: () => now })
    const chunks = `5\r\n${bodyOf().slice(0, 5)}\r\n${(bodyOf().length - 5).toString(16)}\r\n${bodyOf().slice(5)}\r\n0\r\n\r\n`
    const chunked = await scene.send({
      method: 'POST',
      path,
      headers: {
        'Content-Type': 'application/json',
        'Transfer-Encoding': 'chunked',
        'Content-Length': [],
      },
      body: chunks,
    })
    assert.equal(chunked.status, 204)
    const padding = 'é'.repeat(2_100)
    const large = await post(scene, bodyOf({ parameters: { padding } }))
    assert.deepEqual([large.status, large.json().error.code], [413, 'body_too_large'])
    assert.equal((await scene.storedEvents()).length, 1)
  })

  test('refuses two content types, an unknown member, a foreign time, each with its reason', async (t) => {
    const scene = await openScene(t, {}, { sources: [source], clock: () => now })
    const twice = await post(scene, bodyOf(), {
      'Content-Type': ['application/json', 'application/json'],
    })
    assert.equal(twice.status, 415)
    const bad: [Record<string, unknown>, RegExp][] = [
      [{ event_typ: 'a' }, /unknown field event_typ; did you mean event_type/],
      [{ client_timestamp_iso: '2023-11-14T22:13:20' }, /client_timestamp_iso/],
      [{ session_id: 'mine' }, /session_id is no identifier/],
      [{ is_new_party: 1 }, /is_new_party/],
      [{ event_id: '' }, /event_id/],
      [{ event_type: 5 }, /event_type/],
    ]
    for (const [changes, message] of bad) {
      const answer = await post(scene, bodyOf(changes))
      assert.equal(answer.status, 400)
      assert.match(answer.json().error.message, message)
    }
    assert.equal((await scene.storedEvents()).length, 0)
    assert.equal((await scene.storedRejections()).length, bad.length)
  })

  test('keeps what it refuses so that a replay makes the event of it', async (t) => {
    const scene = await openScene(t, {}, { sources: [source], clock: () => now })
    await post(scene, bodyOf({ parameters: { text: 'x'.repeat(300) } }), {})
    const [stored] = await scene.storedEvents()
    const limited = await openScene(
      t,
      { parametersBytesMax: 100 },
      { sources: [source], clock: () => now },
    )
    assert.equal(
      (await post(limited, bodyOf({ parameters: { text: 'x'.repeat(300) } }))).status,
      413,
    )
    const [rejection] = await limited.storedRejections()
    const position = { topic: 'rejected', partition: 0, offset: 0 }
    const { collect } = parseConfig({})
    assert.deepEqual(eventOfRejection(rejection as Rejection, position, collect), stored)
  })

  test('takes no party from who does not want to be known, and keeps none of a refusal', async (t) => {
    const scene = await openScene(t, {}, { sources: [source], clock: () => now })
    assert.equal((await post(scene, bodyOf(), { 'Sec-GPC': '1' })).status, 204)
    assert.equal((await post(scene, bodyOf({ event_id: '' }), { 'Sec-GPC': '1' })).status, 400)
    const [stored] = await scene.storedEvents()
    assert.deepEqual(
      [stored?.partyId, stored?.sessionId, stored?.newParty, stored?.privacy],
      [null, null, false, 'gpc'],
    )
    const [rejection] = await scene.storedRejections()
    assert.doesNotMatch(rejection?.body ?? '', /PartyParty|SessSess/)
    assert.match(rejection?.body ?? '', /buy/)
  })
})
