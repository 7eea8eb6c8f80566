import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { parseConfig } from '../../src/config.ts'
import { createModelRecommender } from '../../src/recommend/model-recommender.ts'
import type { Recommender } from '../../src/recommend/recommend.ts'
import { openRecommendService, type RecommendService } from '../../src/recommend/service.ts'
import { openVisibility } from '../../src/recommend/visibility.ts'
import type { ModelItem } from '../../src/store/models.ts'
import { createMemoryStore } from '../query/memory-store.ts'
import { makeRow, noon } from '../store/rows.ts'
import { ask } from './scene.ts'

const items = new Map<string, ModelItem>(
  [
    { itemId: 'a', sessions: 10, neighbours: [n('b', 8), n('c', 4), n('d', 1)] },
    { itemId: 'b', sessions: 100, neighbours: [n('a', 8)] },
    { itemId: 'c', sessions: 4, neighbours: [n('a', 4)] },
  ].map((item) => [item.itemId, item]),
)

function n(itemId: string, sessions: number): ModelItem['neighbours'][number] {
  return { itemId, sessions }
}

const model = createModelRecommender('v1', items)

test('a model scores shared sessions against how often both are seen, over the whole session', () => {
  const found = model.recommend(ask(['a']))
  assert.deepEqual(
    found.map(({ itemId, score }) => [itemId, Number(score.toFixed(3))]),
    [
      ['c', 0.632],
      ['d', 0.316],
      ['b', 0.253],
    ],
  )
  assert.equal(found[0]?.reason, 'in the same sessions as a, by model v1')
  assert.deepEqual(model.recommend(ask(['never seen'])), [])
  const older = model.recommend(ask(['a', 'b', 'never seen'])).map(({ itemId }) => itemId)
  assert.deepEqual(older, ['c', 'd', 'a', 'b'])
  const limited = { ...ask(['a'], 0, 1), isAllowed: (itemId: string) => itemId !== 'c' }
  assert.deepEqual(
    model.recommend(limited).map(({ itemId }) => itemId),
    ['d'],
  )
})

async function serviceOf(
  t: TestContext,
  published: () => Recommender | undefined,
): Promise<RecommendService> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-recommend-'))
  const store = createMemoryStore()
  for (const [at, itemId] of ['x', 'y'].entries()) {
    store.rows.push(makeRow({ eventId: itemId, itemId, eventTime: noon + at, offset: at }))
  }
  const { recommend } = parseConfig({ recommend: { refreshSeconds: 10_000 } })
  const service = openRecommendService(recommend, {
    store,
    clock: () => noon + 3_600_000,
    visibility: await openVisibility(join(folder, 'hidden.json')),
    published,
    async *tail(signal) {
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
    },
  })
  t.after(async () => {
    await service.stop()
    rmSync(folder, { recursive: true, force: true })
  })
  return service
}

test('what is published answers at once, also before anything was built, and yields when it is gone', async (t) => {
  let published: Recommender | undefined
  const service = await serviceOf(t, () => published)
  const question = { items: ['a'], exclude: ['d'], limit: 10 }
  const before = service.recommendSession(question)
  assert.ok(before.items.every((item) => item.model !== 'co-occurrence'))
  published = model
  const answer = service.recommendSession(question)
  assert.equal(answer.model, 'co-occurrence')
  assert.deepEqual(
    answer.items.slice(0, 2).map(({ itemId }) => itemId),
    ['c', 'b'],
  )
  await service.visibility.hide('c', noon)
  assert.ok(service.recommendSession(question).items.every(({ itemId }) => itemId !== 'c'))
  await service.build()
  const known = service.recommendSession({ ...question, items: ['x'] })
  assert.deepEqual([known.model, known.items[0]?.itemId], ['session-knn', 'y'])
  assert.ok(service.neighbours('a', 5).some((row) => row.model === 'co-occurrence'))
  published = undefined
  assert.ok(service.recommendSession(question).items.every((item) => item.itemId !== 'b'))
})
