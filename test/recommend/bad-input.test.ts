import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { parseConfig } from '../../src/config.ts'
import { openRecommendService, type RecommendService } from '../../src/recommend/service.ts'
import type { FileSession } from '../../src/recommend/session-file.ts'
import { openVisibility } from '../../src/recommend/visibility.ts'
import type { Row } from '../../src/store/store.ts'
import { until } from '../api/scene.ts'
import { createMemoryStore } from '../query/memory-store.ts'
import { makeRow, noon } from '../store/rows.ts'

const now = noon + 3_600_000

/** @param live what comes by the log after the start */
async function serviceOf(
  t: TestContext,
  rows: readonly Row[],
  live: readonly Row[] = [],
): Promise<RecommendService> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-recommend-'))
  const store = createMemoryStore()
  store.rows.push(...rows)
  const service = openRecommendService(
    parseConfig({ recommend: { refreshSeconds: 10_000 } }).recommend,
    {
      store,
      clock: () => now,
      visibility: await openVisibility(join(folder, 'hidden.json')),
      async *tail(signal) {
        yield* live
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
      },
    },
  )
  t.after(async () => {
    await service.stop()
    rmSync(folder, { recursive: true, force: true })
  })
  return service
}

let count = 0
function view(partyId: string, itemId: string, ms: number): Row {
  count++
  const eventTime = noon + ms
  const row = { eventId: `event-${count}`, eventType: 'preview', eventTime, itemId, partyId }
  return makeRow({ ...row, sessionId: `session-of-${partyId}`, offset: count })
}

function ask(service: RecommendService, ...items: string[]) {
  return service.recommendSession({ items, exclude: [], limit: 100 })
}

test('one session is enough for an answer, and its only item for none', async (t) => {
  const service = await serviceOf(t, [view('one', 'a', 0), view('one', 'b', 1)])
  const { sessions, clicks } = await service.build()
  assert.deepEqual([sessions, clicks], [1, 2])
  const known = ask(service, 'a')
  assert.deepEqual([known.model, known.items.map(({ itemId }) => itemId)], ['session-knn', ['b']])
  const alone = await serviceOf(t, [view('alone', 'a', 0)])
  await alone.build()
  assert.deepEqual([ask(alone, 'a').model, ask(alone, 'a').items], ['none', []])
})

test('ten thousand items in one session teach nothing, stored or live, and are answered all the same', async (t) => {
  const bot = Array.from({ length: 10_000 }, (_, n) => view('bot', `item-${n}`, n))
  const people = Array.from({ length: 10 }, (_, n) => [
    view(`p${n}`, 'a', n * 1_000),
    view(`p${n}`, 'b', n * 1_000 + 1),
  ]).flat()
  const live = Array.from({ length: 10_000 }, (_, n) => view('live-bot', `item-${n}`, n + 20_000))
  const service = await serviceOf(t, [...bot, ...people], live)
  const built = await service.build()
  assert.deepEqual([built.sessions, built.clicks], [10, 20])
  const asked = { items: [], exclude: [], limit: 100, sessionId: 'session-of-live-bot' }
  await until(() => ask(service, 'item-9999').model !== 'session-knn', 'the build')
  const answer = service.recommendSession(asked)
  assert.ok(answer.items.every(({ itemId }) => itemId === 'a' || itemId === 'b'))
  const given = ask(service, ...Array.from({ length: 100 }, (_, n) => `item-${n}`), 'a')
  assert.deepEqual(
    given.items.map(({ itemId }) => itemId),
    ['b'],
  )
})

test('each item of an answer names the model that gave it', async (t) => {
  const rows = [view('p', 'a', 0), view('p', 'b', 1), view('q', 'c', 2), view('q', 'd', 3)]
  const service = await serviceOf(t, rows)
  await service.build()
  const models = ask(service, 'a').items.map(({ itemId, model }) => [itemId, model])
  assert.deepEqual(models[0], ['b', 'session-knn'])
  assert.ok(models.slice(1).every(([, model]) => model === 'trending'))
})

test('sessions of the store are given out for an evaluation: split at the gap, without bots and crowds', async (t) => {
  const rows = [
    ...Array.from({ length: 201 }, (_, n) => view('crowd', `item-${n}`, -n)),
    view('p', 'a', -3 * 3_600_000),
    view('p', 'a', -3 * 3_600_000 + 60_000),
    view('p', 'b', 0),
    view('p', 'c', 10),
    view('single', 'a', 20),
    { ...view('robot', 'a', 30), bot: 'crawler' },
    { ...view('robot', 'b', 40), bot: 'crawler' },
  ]
  const service = await serviceOf(t, rows)
  const sessions: FileSession[] = []
  for await (const session of service.sessions({ from: 0, to: now })) sessions.push(session)
  assert.deepEqual(
    sessions.map(({ items }) => items),
    [
      ['a', 'a'],
      ['b', 'c'],
    ],
  )
  assert.deepEqual(sessions[1]?.times, [noon, noon + 10])
})
