import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { EventOptions } from '../../src/collect/options.ts'
import { eventOfRejection } from '../../src/collect/replay.ts'
import { parseConfig } from '../../src/config.ts'
import { isMillraceError } from '../../src/event/error.ts'
import type { Event, Rejection } from '../../src/event/event.ts'
import { openScene, tagPath } from './scene.ts'

const strict = parseConfig({ collect: { textCharactersMax: 10 } }).collect
const loose: EventOptions = parseConfig({}).collect
const position = { topic: 'rejected', partition: 0, offset: 7 }

/** What does not depend on which request it was. */
function withoutReceipt({ receivedAt, clientTime, eventTime, ...rest }: Event) {
  return rest
}

describe('eventOfRejection', () => {
  test("gives a tag's event as it would have been, once the rules allow it", async (t) => {
    const now = 1_700_000_000_000
    const clock = () => now
    const headers = { 'User-Agent': 'Mozilla/5.0 Firefox/120.0', DNT: '1' }
    const path = tagPath({ e: 'a rather long id', u: '(ditem_id!1!)', c: now.toString(36) })
    const refusing = await openScene(t, { textCharactersMax: strict.textCharactersMax }, { clock })
    assert.equal((await refusing.get(path, headers)).status, 400)
    const accepting = await openScene(t, {}, { clock })
    assert.equal((await accepting.get(path, headers)).status, 200)
    const [rejection] = await refusing.storedRejections()
    const [event] = await accepting.storedEvents()
    assert.deepEqual(eventOfRejection(rejection as Rejection, position, loose), event)
  })

  test('gives a JSON event as it would have been, numbers and all', async (t) => {
    const body =
      '{"eventType":"a rather long type","eventId":"e","parameters":{"n":12345678901234567890}}'
    const refusing = await openScene(t, { textCharactersMax: strict.textCharactersMax })
    await refusing.post(`[{"eventType":"ok"},${body}]`)
    const accepting = await openScene(t)
    await accepting.post(body)
    const [rejection] = await refusing.storedRejections()
    const [event] = await accepting.storedEvents()
    const replayed = eventOfRejection(rejection as Rejection, position, loose)
    assert.deepEqual(withoutReceipt(replayed), withoutReceipt(event as Event))
    assert.equal(replayed.receivedAt, rejection?.receivedAt)
  })

  test('takes no party once the site is cookieless', async (t) => {
    const scene = await openScene(t, { textCharactersMax: strict.textCharactersMax })
    await scene.post({ eventType: 'a rather long type', partyId: 'me', sessionId: 's' })
    const [rejection] = (await scene.storedRejections()) as [Rejection]
    assert.equal(eventOfRejection(rejection, position, loose).partyId, 'me')
    const event = eventOfRejection(rejection, position, { ...loose, cookieless: true })
    assert.deepEqual([event.partyId, event.sessionId, event.privacy], [null, null, 'cookieless'])
  })

  test('gives the same id each time, another at another position', async (t) => {
    const scene = await openScene(t, { textCharactersMax: strict.textCharactersMax })
    await scene.post({ eventType: 'a rather long type' })
    const [rejection] = (await scene.storedRejections()) as [Rejection]
    const first = eventOfRejection(rejection, position, loose)
    assert.deepEqual(eventOfRejection(rejection, position, loose), first)
    const other = eventOfRejection(rejection, { ...position, offset: 8 }, loose)
    assert.notEqual(other.eventId, first.eventId)
    assert.equal(first.clockSource, 'collector')
  })

  test('takes what only begins as a request to a JSON source does for what it is', async (t) => {
    const scene = await openScene(t)
    const bodies = [
      '{"divolteJson":',
      '{"divolteJson":"{}","partyId":{"length":3}}',
      '{"divolteJson":1}',
    ]
    for (const body of bodies) await scene.post(body)
    const rejections = await scene.storedRejections()
    assert.equal(rejections.length, bodies.length)
    for (const rejection of rejections) {
      const code = rejection.code
      assert.throws(
        () => eventOfRejection(rejection, position, loose),
        (thrown) => isMillraceError(thrown) && thrown.code === code,
      )
    }
  })

  test('says why it cannot: still refused, cut, or not one event', () => {
    const rejection: Rejection = {
      receivedAt: 0,
      code: 'parameter_missing',
      message: '',
      source: 'tag',
      body: 'p=1',
      truncated: false,
      remoteAddress: '',
      userAgent: null,
      privacy: null,
      country: null,
    }
    const cases: [Partial<Rejection>, Parameters<typeof isMillraceError>[1]][] = [
      [{}, 'parameter_missing'],
      [{ truncated: true }, 'dead_letter_unreplayable'],
      [{ source: 'json', body: '{"a' }, 'body_not_json'],
      [{ source: 'json', body: '[]' }, 'dead_letter_unreplayable'],
      [
        { source: 'json', body: '[{"eventType":"a"},{"eventType":"b"}]' },
        'dead_letter_unreplayable',
      ],
    ]
    for (const [changes, code] of cases) {
      assert.throws(
        () => eventOfRejection({ ...rejection, ...changes }, position, loose),
        (thrown) => isMillraceError(thrown, code as never),
        JSON.stringify(changes),
      )
    }
  })
})
