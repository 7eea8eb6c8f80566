import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { parseConfig } from '../../src/config.ts'
import { isMillraceError } from '../../src/event/error.ts'
import type { RecommendQuestion } from '../../src/recommend/question.ts'
import { openRecommendService, type RecommendService } from '../../src/recommend/service.ts'
import { openVisibility } from '../../src/recommend/visibility.ts'
import type { Row } from '../../src/store/store.ts'
import { until } from '../api/scene.ts'
import { createMemoryStore, type MemoryStore } from '../query/memory-store.ts'
import { openSmall } from '../store/embedded-scene.ts'
import { batchOf, makeRow, noon, type RowInput } from '../store/rows.ts'

const now = noon + 3_600_000

interface Scene {
  readonly service: RecommendService
  readonly store: MemoryStore
  readonly append: (row: Row) => void
  readonly passTime: (ms: number) => void
  readonly lines: string[]
  readonly folder: string
}

async function sceneOf(
  t: TestContext,
  settings: Record<string, unknown> = {},
  rows: readonly Row[] = [],
): Promise<Scene> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-recommend-'))
  const store = createMemoryStore()
  store.rows.push(...rows)
  const waiting: Row[] = []
  let wake = (): void => {}
  const lines: string[] = []
  let at = now
  // Nothing is refreshed by itself: the test says when.
  const config = parseConfig({ recommend: { refreshSeconds: 10_000, ...settings } })
  const service = openRecommendService(config.recommend, {
    store,
    clock: () => at,
    visibility: await openVisibility(join(folder, 'recommend', 'hidden.json')),
    onLine: (line) => lines.push(line),
    async *tail(signal) {
      signal.addEventListener('abort', () => wake())
      while (!signal.aborted) {
        yield* waiting.splice(0)
        if (waiting.length > 0 || signal.aborted) continue
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    },
  })
  t.after(async () => {
    await service.stop()
    rmSync(folder, { recursive: true, force: true })
  })
  const append = (row: Row): void => {
    waiting.push(row)
    wake()
  }
  const passTime = (ms: number): void => {
    at += ms
  }
  return { service, store, append, passTime, lines, folder }
}

let events = 0
function view(partyId: string, itemId: string, minutes: number, over: RowInput = {}): Row {
  const eventTime = noon + minutes * 60_000
  events++
  return makeRow({
    eventId: `event-${events}`,
    sessionId: `session-of-${partyId}`,
    eventType: 'preview',
    offset: events,
    partyId,
    itemId,
    eventTime,
    ...over,
  })
}

/** Ten parties that look at a, b and c. */
function someRows(): Row[] {
  return Array.from({ length: 10 }, (_, n) => [
    view(`party-${n}`, 'a', n),
    view(`party-${n}`, 'b', n + 1),
    view(`party-${n}`, 'c', n + 2),
  ]).flat()
}

function question(over: Partial<RecommendQuestion> = {}): RecommendQuestion {
  return { items: [], exclude: [], limit: 10, ...over }
}

const idsOf = ({ items }: { readonly items: readonly { readonly itemId: string }[] }) =>
  items.map(({ itemId }) => itemId).sort()

test('an empty store answers with no items, the model none and an id of its own', async (t) => {
  const { service } = await sceneOf(t)
  const { milliseconds, ...counts } = await service.build()
  assert.ok(milliseconds >= 0)
  assert.deepEqual(counts, { sessions: 0, clicks: 0, items: 0 })
  const first = service.recommendSession(question({ items: ['a'] }))
  const second = service.recommendSession(question({ items: ['a'] }))
  assert.deepEqual([first.model, first.items], ['none', []])
  assert.equal(Buffer.from(first.recommendationId, 'base64url').length, 16)
  assert.notEqual(first.recommendationId, second.recommendationId)
})

test('what is stored is recommended; an unknown item falls back; bots and other types teach nothing', async (t) => {
  const rows = [
    ...someRows(),
    view('robot', 'a', 1, { bot: 'crawler' }),
    view('robot', 'of-a-bot', 2, { bot: 'crawler' }),
    view('reader', 'of-another-type', 2, { eventType: 'impression' }),
  ]
  const { service } = await sceneOf(t, {}, rows)
  const { sessions, clicks, items } = await service.build()
  assert.deepEqual([sessions, clicks, items], [10, 30, 3])
  const known = service.recommendSession(question({ items: ['a'] }))
  assert.equal(known.model, 'session-knn')
  assert.deepEqual(idsOf(known), ['b', 'c'])
  const unknown = service.recommendSession(question({ items: ['never seen'] }))
  assert.equal(unknown.model, 'trending')
  assert.deepEqual(idsOf(unknown), ['a', 'b', 'c'])
  assert.deepEqual(idsOf(service.recommendSession(question({ items: ['a'], exclude: ['b'] }))), [
    'c',
  ])
})

test('the click of now is seen by party and session at once, what was bought is left out', async (t) => {
  const { service, append } = await sceneOf(t, {}, someRows())
  await service.build()
  const fresh = { partyId: 'fresh', sessionId: 'session-of-fresh' }
  append(view('robot', 'b', 60, { bot: 'crawler' }))
  append(view('fresh', 'b', 60))
  append(view('fresh', 'a', 60.1, { eventType: 'purchase' }))
  append(view('fresh', 'a', 60.2))
  await until(
    () =>
      service.recommendSession(question({ sessionId: fresh.sessionId })).model === 'session-knn',
    'the click',
  )
  const robot = service.recommendSession(question({ sessionId: 'session-of-robot' }))
  assert.equal(robot.model, 'trending', 'nothing is known of a bot')
  for (const asked of [{ partyId: fresh.partyId }, { sessionId: fresh.sessionId }]) {
    const later = question({ ...asked, items: ['c'] })
    assert.deepEqual(idsOf(await service.recommend(later)), ['b'], 'neither bought nor current')
  }
})

test('arrivals are in the models with the next refresh, and a party without a live session is read', async (t) => {
  const { service, append, store } = await sceneOf(t, {}, someRows())
  await service.build()
  append(view('late', 'a', 55))
  append(view('late', 'fresh-item', 56, { sessionId: 'watch' }))
  await until(
    () => service.recommendSession(question({ sessionId: 'watch' })).model === 'session-knn',
    'the click',
  )
  assert.ok(!idsOf(service.recommendSession(question({ items: ['a'] }))).includes('fresh-item'))
  await service.refresh()
  assert.ok(idsOf(service.recommendSession(question({ items: ['a'] }))).includes('fresh-item'))
  store.rows.push(view('stored-only', 'a', -3_000))
  assert.equal((await service.recommend(question({ partyId: 'stored-only' }))).model, 'session-knn')
})

test('what was imported is in the models soon after its last batch', async (t) => {
  const { service, store } = await sceneOf(t)
  await service.build()
  store.rows.push(...someRows())
  for (let batch = 0; batch < 3; batch++) service.outdate()
  assert.equal(service.recommendSession(question({ items: ['a'] })).model, 'none')
  await until(
    () => service.recommendSession(question({ items: ['a'] })).model === 'session-knn',
    'the models',
  )
})

test('what was imported while the store was being read is in the models too', async (t) => {
  const { service, store } = await sceneOf(t)
  await service.build()
  const gate = Promise.withResolvers<void>()
  const { events: read } = store
  let readings = 0
  Object.assign(store, {
    async events(...args: Parameters<typeof read>) {
      const rows = await read.apply(store, args)
      if (readings++ === 0) await gate.promise
      return rows
    },
  })
  const building = service.build()
  await until(() => readings > 0, 'the reading')
  store.rows.push(...someRows())
  service.outdate()
  // Longer than what is waited for after a batch.
  await new Promise((resolve) => setTimeout(resolve, 2_500))
  gate.resolve()
  await building
  await until(
    () => service.recommendSession(question({ items: ['a'] })).model === 'session-knn',
    'the models',
  )
})

test('where nothing arrives the next refresh still takes away what no longer rises', async (t) => {
  const { service, passTime } = await sceneOf(t, {}, someRows())
  await service.build()
  assert.equal(service.recommendSession(question()).model, 'trending')
  passTime(2 * 86_400_000)
  assert.equal(service.recommendSession(question()).model, 'trending')
  await service.refresh()
  assert.equal(service.recommendSession(question()).model, 'recent')
  assert.equal(service.recommendSession(question({ items: ['a'] })).model, 'session-knn')
})

test('an erased party is gone from its sessions at once and from the models with the next refresh', async (t) => {
  const rows = [...someRows(), view('gone', 'a', 50), view('gone', 'secret', 51)]
  const { service, store } = await sceneOf(t, {}, rows)
  await service.build()
  const asked = question({ sessionId: 'session-of-gone' })
  assert.equal(service.recommendSession(asked).model, 'session-knn')
  store.rows.splice(0, store.rows.length, ...rows.filter(({ partyId }) => partyId !== 'gone'))
  service.forget('gone')
  assert.equal(service.recommendSession(asked).model, 'trending')
  await service.refresh()
  assert.ok(!idsOf(service.recommendSession(question({ items: ['a'] }))).includes('secret'))
})

test('a party that is erased while the store is read is not in what was read', async (t) => {
  const rows = [...someRows(), view('gone', 'a', 50), view('gone', 'secret', 51)]
  const { service, store } = await sceneOf(t, {}, rows)
  await service.build()
  let pages = 0
  store.beforePage = () => {
    if (++pages === 2) service.forget('gone')
  }
  await service.build()
  assert.ok(pages >= 2)
  assert.ok(!idsOf(service.recommendSession(question({ items: ['a'] }))).includes('secret'))
})

test('hidden items are gone from the moment named, also after a restart; expired ones by their age', async (t) => {
  const { service, folder } = await sceneOf(t, { itemDaysMax: 2 }, [
    ...someRows(),
    view('old', 'a', -5 * 1_440),
    view('old', 'expired', -5 * 1_440 + 1),
  ])
  await service.build()
  const { visibility } = service
  const others = (): string[] => idsOf(service.recommendSession(question({ items: ['a'] })))
  assert.deepEqual(others(), ['b', 'c'])
  await visibility.hide('b', now + 1)
  assert.deepEqual(others(), ['b', 'c'])
  await visibility.hide('b', now)
  assert.deepEqual(others(), ['c'])
  const again = await openVisibility(join(folder, 'recommend', 'hidden.json'))
  assert.deepEqual(again.list(), [{ itemId: 'b', fromMs: now }])
  assert.deepEqual(
    service.neighbours('a', 5).filter(({ itemId }) => itemId === 'b'),
    [],
  )
  assert.equal(await visibility.show('b'), true)
  assert.equal(await visibility.show('b'), false)
  assert.deepEqual(others(), ['b', 'c'])
  writeFileSync(join(folder, 'recommend', 'hidden.json'), '[["half')
  await assert.rejects(openVisibility(join(folder, 'recommend', 'hidden.json')), (thrown) =>
    isMillraceError(thrown, 'config_invalid'),
  )
})

test('a reading that fails leaves the old models in service and says so', async (t) => {
  const { service, store, lines } = await sceneOf(t, {}, someRows())
  await service.build()
  store.beforePage = () => {
    throw new Error('the disk is gone')
  }
  await assert.rejects(service.build(), /the disk is gone/)
  assert.deepEqual(idsOf(service.recommendSession(question({ items: ['a'] }))), ['b', 'c'])
  assert.deepEqual(lines, [])
})

test('event types that are no types are refused at the start', async (t) => {
  for (const eventTypes of [['=2'], ['view=0'], ['view=256']]) {
    await assert.rejects(sceneOf(t, { eventTypes }), (thrown) =>
      isMillraceError(thrown, 'config_invalid'),
    )
  }
})

test('the embedded store is read whole: several pages, several types, in the order of time', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-recommend-'))
  const store = await openSmall(join(folder, 'store'))
  const rows = Array.from({ length: 700 }, (_, n) => [
    view(`p${n}`, `item-${n % 50}`, -n),
    view(`p${n}`, `item-${(n + 1) % 50}`, -n + 1, { eventType: 'addToBasket' }),
  ]).flat()
  await store.write(batchOf(...rows))
  const { recommend } = parseConfig({})
  const service = openRecommendService(recommend, {
    store,
    clock: () => now,
    visibility: await openVisibility(join(folder, 'hidden.json')),
    tail: async function* () {},
  })
  t.after(async () => {
    await service.stop()
    await store.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const { sessions, clicks } = await service.build()
  assert.deepEqual([sessions, clicks], [700, 1_400])
  const answer = await service.recommend(question({ partyId: 'p3', limit: 2 }))
  assert.equal(answer.model, 'session-knn')
  assert.ok(idsOf(answer).includes('item-5'))
})
