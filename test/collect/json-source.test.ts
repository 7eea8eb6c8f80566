import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { openScene, tagIds } from './scene.ts'

const full = {
  eventId: 'order-1',
  partyId: '0:KF12OT8G:abc',
  sessionId: 'my own session',
  pageViewId: 'page',
  eventType: 'order',
  clientTime: '2023-11-14T23:13:20.5+01:00',
  location: 'https://www.example.com/é',
  referer: 'https://www.example.org/',
  parameters: { item_id: 'A-1', list: [1, null, { deep: true }] },
  newParty: true,
  firstInSession: true,
  viewportWidth: 1280,
  viewportHeight: 720,
  screenWidth: 1440,
  screenHeight: 860,
  devicePixelRatio: 1.5,
}
const now = 1_700_000_000_000

describe('POST /events', () => {
  test('takes every field of an event', async (t) => {
    const scene = await openScene(t, {}, { clock: () => now })
    const answer = await scene.post(full, { 'User-Agent': 'curl/8.5' })
    assert.equal(answer.status, 200)
    assert.deepEqual(answer.json(), { results: [{ eventId: 'order-1', status: 'accepted' }] })
    const [event] = await scene.storedEvents()
    const { parameters, clientTime, partyId, ...same } = full
    for (const [name, value] of Object.entries(same)) {
      assert.deepEqual(event?.[name as 'eventId'], value, name)
    }
    assert.equal(event?.partyId, '0:kf12ot8g:abc')
    assert.equal(event?.parameters, JSON.stringify(parameters))
    assert.equal(event?.itemId, 'A-1')
    assert.deepEqual([event?.eventTime, event?.clockSource], [now + 500, 'client'])
    assert.deepEqual([event?.source, event?.corrupt, event?.privacy], ['json', false, null])
    assert.deepEqual([event?.userAgent, event?.bot], ['curl/8.5', null])
  })

  test('takes one event, an array and a batch, as JSON or as text', async (t) => {
    const scene = await openScene(t)
    const event = { eventType: 'a' }
    for (const body of [event, [event, event], { events: [event, event, event] }, []]) {
      for (const type of [
        'application/json',
        'text/plain;charset=UTF-8',
        'Application/JSON ; charset="utf-8"',
      ]) {
        const answer = await scene.post(body, { 'Content-Type': type })
        assert.equal(answer.status, 200)
        assert.ok(answer.json().results.every(({ status }) => status === 'accepted'))
      }
    }
    assert.equal((await scene.storedEvents()).length, 18)
  })

  test('gives an id to an event that has none, and a time', async (t) => {
    const scene = await openScene(t, {}, { clock: () => now })
    const answer = await scene.post([
      { eventType: 'a' },
      { eventType: 'a' },
      { eventType: 'a', eventId: 'mine' },
      { eventType: 'a', clientTime: now - 5 },
      {
        eventType: 'a',
        eventId: `${tagIds.pageView}1f`,
        pageViewId: tagIds.pageView,
        clientTime: 5,
      },
    ])
    const events = await scene.storedEvents()
    assert.deepEqual(
      answer.json().results.map(({ eventId }) => eventId),
      events.map(({ eventId }) => eventId),
    )
    assert.equal(new Set(events.map(({ eventId }) => eventId)).size, 5)
    assert.match(events[0]?.eventId ?? '', /^0:[A-Za-z0-9~_]{32}$/)
    assert.deepEqual(
      events.map(({ clockSource, eventTime }) => [clockSource, eventTime]),
      [
        ['collector', now],
        ['collector', now],
        ['absent', now],
        ['client', now - 5],
        ['wrong', now],
      ],
    )
    assert.deepEqual(
      events.map(({ sequence }) => sequence),
      [null, null, null, null, 31],
    )
  })

  test('shows in no answer how it keeps the digits of a long number', async (t) => {
    const scene = await openScene(t)
    const answer = await scene.post('{"eventId":12345678901234567890,"eventType":"a"}')
    assert.equal(answer.json().results[0]?.eventId, null)
    assert.doesNotMatch(answer.body.toString(), /number:/)
  })

  test('says briefly what it does not know beside events', async (t) => {
    const scene = await openScene(t)
    const names = Array.from({ length: 5_000 }, (_, at) => [`name${at}`, 1])
    const answer = await scene.post({ events: [], ...Object.fromEntries(names) })
    assert.equal(answer.json().error.code, 'body_invalid')
    assert.ok(answer.json().error.message.length < 400)
  })

  test('refuses one event and takes its neighbours, in order', async (t) => {
    const scene = await openScene(t)
    const bad: [unknown, RegExp][] = [
      [{ event_type: 'a' }, /unknown field event_type; did you mean eventType\?/],
      [{ eventType: 'a', userAgent: 'x' }, /unknown field userAgent/],
      [{}, /eventType/],
      [{ eventType: '' }, /eventType/],
      [{ eventType: 'x'.repeat(257) }, /eventType/],
      [{ eventType: 5 }, /eventType/],
      ['text', /no object/],
      [null, /no object/],
      [7, /no object/],
      [[{ eventType: 'a' }], /no object/],
      [{ eventType: 'a', eventId: '' }, /eventId/],
      [{ eventType: 'a', eventId: 'a\nb' }, /eventId/],
      [{ eventType: 'a', partyId: 12 }, /partyId/],
      [{ eventType: 'a', sessionId: {} }, /sessionId/],
      [{ eventType: 'a', pageViewId: 'x'.repeat(257) }, /pageViewId/],
      [{ eventType: 'a', clientTime: 'yesterday' }, /clientTime/],
      [{ eventType: 'a', clientTime: '2024-01-01T00:00:00' }, /clientTime/],
      [{ eventType: 'a', clientTime: '2024-02-30T25:00:00Z' }, /clientTime/],
      [{ eventType: 'a', clientTime: true }, /clientTime/],
      [{ eventType: 'a', location: ['x'] }, /location/],
      [{ eventType: 'a', newParty: 'true' }, /newParty/],
      [{ eventType: 'a', viewportWidth: 1.5 }, /viewportWidth/],
      [{ eventType: 'a', screenHeight: 2 ** 31 }, /screenHeight/],
      [{ eventType: 'a', devicePixelRatio: '2' }, /devicePixelRatio/],
    ]
    const good = { eventType: 'good' }
    const answer = await scene.post({ events: bad.flatMap(([event]) => [event, good]) })
    assert.equal(answer.status, 200)
    const { results } = answer.json()
    for (const [index, [event, message]] of bad.entries()) {
      const refused = results[index * 2]
      assert.equal(refused?.status, 'rejected', JSON.stringify(event))
      assert.equal(refused?.error?.code, 'event_invalid')
      assert.match(refused?.error?.message ?? '', message)
      assert.equal(results[index * 2 + 1]?.status, 'accepted')
    }
    assert.equal((await scene.storedEvents()).length, bad.length)
    const rejections = await scene.storedRejections()
    assert.deepEqual(
      rejections.map(({ body }) => JSON.parse(body)),
      bad.map(([event]) => event),
    )
    for (const { code, source, truncated } of rejections) {
      assert.deepEqual([code, source, truncated], ['event_invalid', 'json', false])
    }
  })

  test('marks a crawler that runs scripts, not the client of a server', async (t) => {
    const scene = await openScene(t)
    for (const agent of [
      'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)',
      'python-requests/2.31',
      'node',
    ]) {
      await scene.post({ eventType: 'a' }, { 'User-Agent': agent })
    }
    const events = await scene.storedEvents()
    assert.deepEqual(
      events.map(({ bot }) => bot !== null),
      [true, false, false],
    )
  })
})

describe('POST /events from a page', () => {
  const origin = 'https://shop.example'

  test('is open to any origin unless told otherwise', async (t) => {
    const scene = await openScene(t)
    const answer = await scene.post({ eventType: 'a' }, { Origin: origin })
    assert.deepEqual([answer.status, answer.headers['access-control-allow-origin']], [200, '*'])
    const refused = await scene.post('{', { Origin: origin })
    assert.deepEqual([refused.status, refused.headers['access-control-allow-origin']], [400, '*'])
    const preflight = await scene.send({
      method: 'OPTIONS',
      path: '/events',
      headers: { Origin: origin },
    })
    assert.equal(preflight.status, 204)
    assert.equal(preflight.headers['access-control-allow-origin'], '*')
    assert.equal(preflight.headers['access-control-allow-methods'], 'POST')
    assert.equal(preflight.headers['access-control-allow-headers'], 'Content-Type')
    assert.ok(Number(preflight.headers['access-control-max-age']) > 0)
  })

  test('is refused to an origin that is not allowed, preflight and all', async (t) => {
    const scene = await openScene(t, { allowedOrigins: [origin] })
    const answer = await scene.post({ eventType: 'a' }, { Origin: origin })
    assert.deepEqual([answer.status, answer.headers['access-control-allow-origin']], [200, origin])
    assert.equal(answer.headers['vary'], 'Origin')
    assert.equal((await scene.post({ eventType: 'a' })).status, 200)
    for (const other of ['https://evil.example', 'null', `${origin}.evil.example`]) {
      const refused = await scene.post({ eventType: 'a' }, { Origin: other })
      assert.deepEqual([refused.status, refused.json().error.code], [403, 'origin_refused'])
      const headers = { Origin: other }
      const preflight = await scene.send({ method: 'OPTIONS', path: '/events', headers })
      assert.equal(preflight.status, 403)
      assert.equal(preflight.headers['access-control-allow-origin'], undefined)
    }
    assert.equal((await scene.storedEvents()).length, 2)
  })
})
