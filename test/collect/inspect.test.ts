import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createInspector } from '../../src/collect/inspect.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { changeLog, openScene, tagPath } from './scene.ts'

/** What a collector under inspection remembers. */

describe('the inspector', () => {
  test('has every event that was answered by 2xx, once, with the number of its repeats', async (t) => {
    const inspector = createInspector(systemClock)
    const scene = await openScene(t, {}, { inspector })
    await scene.get(tagPath({ e: 'one' }))
    await scene.post({ events: [{ eventType: 'purchase', eventId: 'two' }, { eventType: 'x' }] })
    await scene.get(tagPath({ e: 'one' }))
    const seen = inspector.events().map(({ number, repeats, event }) => {
      return [number, repeats, event.eventType]
    })
    assert.deepEqual(seen, [
      [1, 1, 'pageView'],
      [2, 0, 'purchase'],
      [3, 0, 'x'],
    ])
    assert.deepEqual(inspector.rejections(), [])
  })

  test('has every refusal, once, with its reason: of an event, a body, a request, a method', async (t) => {
    const inspector = createInspector(systemClock)
    // No budget for dead letters: who tests a site still sees why.
    const scene = await openScene(t, { rejectionsPerSecondMax: 0 }, { inspector })
    const withoutParty = tagPath({ p: undefined })
    await scene.get(withoutParty)
    await scene.post({ events: [{ eventType: 'x' }, { eventType: 'x', price: 1 }] })
    await scene.post('{')
    await scene.get('/csc-evnt?p=secret')
    await scene.send({ method: 'PUT', path: '/csc-event' })
    const seen = inspector.rejections().map(({ request, error, body }) => {
      return [request, error.code, body]
    })
    assert.deepEqual(seen, [
      ['tag', 'parameter_missing', withoutParty.split('?')[1]],
      ['json', 'event_invalid', '{"eventType":"x","price":1}'],
      ['json', 'body_not_json', '{'],
      ['GET /csc-evnt', 'not_found', ''],
      ['PUT /csc-event', 'method_not_allowed', ''],
    ])
    assert.deepEqual(
      inspector.events().map(({ number }) => number),
      [3],
    )
  })

  test('keeps no party of a person who wants none to be known', async (t) => {
    const inspector = createInspector(systemClock)
    const scene = await openScene(t, {}, { inspector })
    await scene.get(tagPath({ c: 'x!' }), { 'Sec-GPC': '1' })
    await scene.get(tagPath(), { 'Sec-GPC': '1' })
    const [rejection] = inspector.rejections()
    assert.ok(rejection)
    assert.doesNotMatch(rejection.body, /PartyParty|SessSess/)
    assert.equal(inspector.events()[0]?.event.partyId, null)
  })

  test('has no event that could not be stored', async (t) => {
    const inspector = createInspector(systemClock)
    const failing = async () => {
      throw new Error('the disk is gone')
    }
    const wrap = (log: Parameters<typeof changeLog>[0]) =>
      log.topic === 'events' ? changeLog(log, { append: failing }) : log
    const scene = await openScene(t, {}, { inspector }, wrap)
    assert.equal((await scene.get(tagPath())).status, 503)
    assert.deepEqual(inspector.events(), [])
    assert.equal(inspector.rejections()[0]?.error.status, 503)
  })

  test('forgets the oldest beyond its limits, and everything at a reset', async (t) => {
    const inspector = createInspector(systemClock, { arrivalsMax: 5, bytesMax: 20_000 })
    const scene = await openScene(t, {}, { inspector })
    let changes = 0
    const leave = inspector.onChange(() => changes++)
    for (let at = 0; at < 8; at++) await scene.get(tagPath({ e: `e${at}` }))
    assert.deepEqual(
      inspector.events().map(({ event }) => event.eventId),
      ['e3', 'e4', 'e5', 'e6', 'e7'],
    )
    assert.equal(inspector.forgotten(), 3)
    // One that is forgotten is new when it comes again.
    await scene.get(tagPath({ e: 'e0' }))
    assert.equal(inspector.events().at(-1)?.number, 9)
    await scene.get(tagPath({ e: 'long', l: `https://www.example.com/${'x'.repeat(8_000)}` }))
    assert.ok(inspector.events().length < 5)
    assert.equal(inspector.events().at(-1)?.event.eventId, 'long')
    assert.equal(changes, 10)
    inspector.reset()
    assert.deepEqual([inspector.events(), inspector.rejections()], [[], []])
    assert.equal(inspector.forgotten(), 0)
    leave()
    await scene.get(tagPath({ e: 'e0' }))
    assert.equal(inspector.events()[0]?.number, 1)
    assert.equal(changes, 11)
  })
})
