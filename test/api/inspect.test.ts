import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createInspector, type Inspector } from '../../src/collect/inspect.ts'
import { MillraceError } from '../../src/event/error.ts'
import type { Event } from '../../src/event/event.ts'
import { makeRow } from '../store/rows.ts'
import { assertShape, bearer, now, sceneOf, token } from './scene.ts'

/** The HTTP API of `millrace start --inspect`. */

function scene(t: Parameters<typeof sceneOf>[0], options = {}) {
  const inspected = createInspector(() => now)
  return sceneOf(t, options, { inspected }).then((opened) => ({ ...opened, inspected }))
}

let made = 0
function arrive(inspector: Inspector, changes: Partial<Event> = {}): void {
  made++
  inspector.accept({ ...makeRow({ eventId: `e${made}` }), ...changes })
}

async function refuse(inspector: Inspector): Promise<void> {
  const { keep } = inspector.watch({ keep: async () => {} })
  const error = new MillraceError('event_invalid', 'price is no number')
  const receipt = {
    receivedAt: now,
    remoteAddress: '',
    country: null,
    userAgent: null,
    privacy: null,
  }
  await keep([{ source: 'json', error, body: '{"price":"x"}' }], receipt)
}

describe('without --inspect', () => {
  test('there is nothing at its addresses', async (t) => {
    const { ask } = await sceneOf(t)
    for (const path of ['/inspect', '/api/inspect', '/api/inspect/events']) {
      assert.equal((await ask(path)).status, 404, path)
    }
  })
})

describe('the list', () => {
  test('has events and refusals as the document describes them, and the counts', async (t) => {
    const { ask, inspected } = await scene(t)
    arrive(inspected, { eventType: 'pageView' })
    await refuse(inspected)
    arrive(inspected, { eventType: 'purchase' })
    const counts = await ask('/api/inspect')
    assertShape('inspect', counts.json)
    assert.deepEqual([counts.json.events, counts.json.rejections, counts.json.last], [2, 1, 3])
    assert.deepEqual(counts.json.codes, [{ code: 'event_invalid', count: 1 }])
    const events = await ask('/api/inspect/events')
    assertShape('inspectedEvents', events.json)
    assert.equal(events.json.events.length, 2)
    const rejections = await ask('/api/inspect/rejections')
    assertShape('inspectedRejections', rejections.json)
    const [{ number, error, status, body }] = rejections.json.rejections
    assert.deepEqual([number, error.code, status, body], [2, 'event_invalid', 400, '{"price":"x"}'])
    assert.equal(events.headers['cache-control'], 'no-store')
  })

  test('is filtered by type, parameters, address, code, and what came after', async (t) => {
    const { ask, inspected } = await scene(t)
    const parameters =
      '{"item_id":"teapot","list":{"name":"home","at":[1,2]},"big":12345678901234567890}'
    arrive(inspected, { eventType: 'a', parameters, location: 'http://x/cart' })
    arrive(inspected, { eventType: 'b', parameters: null, bot: 'isbot' })
    await refuse(inspected)
    const numbers = async (query: string) =>
      (await ask(`/api/inspect/events?${query}`)).json.events.map(
        (one: { number: number }) => one.number,
      )
    const by = (wanted: unknown) => `parameters=${encodeURIComponent(JSON.stringify(wanted))}`
    assert.deepEqual(await numbers(''), [1, 2])
    assert.deepEqual(await numbers('bots=exclude'), [1])
    assert.deepEqual(await numbers('eventType=b'), [2])
    assert.deepEqual(await numbers(by({ item_id: 'teapot', list: { at: [1, 2] } })), [1])
    for (const wanted of [{ item_id: 'x' }, { other: 1 }, { list: { at: [1] } }, { list: [] }]) {
      assert.deepEqual(await numbers(by(wanted)), [], JSON.stringify(wanted))
    }
    assert.deepEqual(await numbers('location=cart'), [1])
    assert.deepEqual(await numbers('after=1'), [2])
    assert.deepEqual(await numbers('limit=1'), [2])
    const refused = async (query: string) =>
      (await ask(`/api/inspect/rejections?${query}`)).json.rejections.length
    assert.deepEqual([await refused('code=event_invalid'), await refused('code=x')], [1, 0])
    for (const query of [
      'eventTyp=a',
      'parameters=1',
      'parameters={',
      'waitMs=99999',
      'count=2',
      'after=x',
    ]) {
      const answer = await ask(`/api/inspect/events?${query}`)
      assert.deepEqual([answer.status, answer.json.error.code], [400, 'question_invalid'], query)
    }
  })
})

describe('waiting', () => {
  test('ends as soon as enough has come, and not before', async (t) => {
    const { ask, inspected } = await scene(t)
    arrive(inspected, { eventType: 'purchase' })
    let isAnswered = false
    const answer = ask('/api/inspect/events?eventType=purchase&count=2&waitMs=20000').then(
      (one) => {
        isAnswered = true
        return one
      },
    )
    await sleep(50)
    arrive(inspected, { eventType: 'pageView' })
    await sleep(50)
    assert.equal(isAnswered, false)
    arrive(inspected, { eventType: 'purchase' })
    const { status, json } = await answer
    assert.equal(status, 200)
    assert.deepEqual(
      json.events.map((one: { number: number }) => one.number),
      [1, 3],
    )
  })

  test('for what does not come ends at the time limit, with what came instead', async (t) => {
    const { ask, inspected } = await scene(t)
    arrive(inspected, { eventType: 'pageView' })
    await refuse(inspected)
    const { status, json } = await ask('/api/inspect/events?eventType=purchase&waitMs=60')
    assert.deepEqual([status, json.error.code], [404, 'event_absent'])
    assert.match(
      json.error.message,
      /0 of 1 purchase within 60 ms; arrived: pageView 1, refused by event_invalid 1/,
    )
  })

  test('for the next change ends with it, and a reset is one', async (t) => {
    const { ask, inspected } = await scene(t)
    const before = (await ask('/api/inspect')).json
    const next = ask(`/api/inspect?since=${before.changes}&waitMs=20000`)
    await sleep(30)
    arrive(inspected)
    const after = (await next).json
    assert.deepEqual([after.events, after.last], [1, 1])
    const reset = await ask('/api/inspect/reset', { method: 'POST' })
    assert.deepEqual([reset.status, reset.json.events, reset.json.last], [200, 0, 0])
    assert.deepEqual((await ask('/api/inspect/events')).json, { events: [], last: null })
  })

  test('is for 64 at most, and ends when the API stops', async (t) => {
    const { ask, api } = await scene(t)
    const waiting = Array.from({ length: 64 }, () => ask('/api/inspect/events?waitMs=25000'))
    const statuses = Promise.all(
      waiting.map((one) =>
        one.then(
          ({ status }) => status,
          () => 0,
        ),
      ),
    )
    for (;;) {
      const { status } = await ask('/api/inspect/events?waitMs=1')
      if (status === 503) break
      await sleep(10)
    }
    const startedAt = performance.now()
    await api.stop()
    assert.ok((await statuses).every((status) => status === 404 || status === 0))
    assert.ok(performance.now() - startedAt < 20_000)
  })
})

describe('who may ask', () => {
  test('is guarded as everything here: by Host, by Origin, and by the token where there is one', async (t) => {
    const { ask } = await scene(t)
    const evil = { headers: { origin: 'https://evil.example' } }
    const reset = { method: 'POST', ...evil }
    assert.equal((await ask('/api/inspect/events', evil)).json.error.code, 'api_origin_refused')
    assert.equal((await ask('/api/inspect/reset', reset)).json.error.code, 'api_origin_refused')
    const host = { headers: { host: 'evil.example' } }
    assert.equal((await ask('/inspect', host)).json.error.code, 'host_refused')
    const locked = await scene(t, { token })
    for (const [path, method] of [
      ['/api/inspect', 'GET'],
      ['/api/inspect/reset', 'POST'],
    ] as const) {
      assert.equal((await locked.ask(path, { method })).status, 401)
      assert.equal((await locked.ask(path, { method, headers: bearer(token) })).status, 200)
    }
  })

  test('the page runs no script but its own', async (t) => {
    const { ask } = await scene(t)
    const { status, headers, text } = await ask('/inspect')
    assert.equal(status, 200)
    assert.match(text, /What arrived/)
    const policy = String(headers['content-security-policy'])
    assert.match(policy, /script-src 'sha256-[\w+/=]+';/)
    assert.doesNotMatch(policy, /unsafe/)
  })
})
