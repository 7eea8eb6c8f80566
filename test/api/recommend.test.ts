import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { parseConfig } from '../../src/config.ts'
import { openRecommendService } from '../../src/recommend/service.ts'
import { openVisibility } from '../../src/recommend/visibility.ts'
import { createMemoryStore, rowOf } from '../query/memory-store.ts'
import { type Ask, assertShape, bearer, now, runToken, type Scene, sceneOf } from './scene.ts'

/** An API over seven parties that looked at a, b and c. */
async function open(t: TestContext): Promise<Pick<Scene, 'ask'>> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-recommend-'))
  const store = createMemoryStore()
  for (let n = 0; n < 21; n++) {
    const itemId = 'abc'[Math.floor(n / 7)] as string
    store.rows.push(rowOf(n, now - 600_000 + n * 1_000, { itemId, eventType: 'preview' }))
  }
  const recommend = openRecommendService(parseConfig({}).recommend, {
    store,
    clock: () => now,
    visibility: await openVisibility(join(folder, 'hidden.json')),
    tail: async function* () {},
  })
  t.after(async () => {
    await recommend.stop()
    rmSync(folder, { recursive: true, force: true })
  })
  const scene = await sceneOf(t, {}, { recommend })
  const headers = bearer(runToken)
  return { ask: (path, ask: Ask = {}) => scene.ask(path, { ...ask, headers }) }
}

test('the models are built, asked for a party and for a session, and looked into', async (t) => {
  const scene = await open(t)
  const built = await scene.ask('/api/recommend/build', { body: {} })
  assertShape('recommendBuild', built.json)
  assert.deepEqual([built.json.sessions, built.json.items], [7, 3])
  const party = await scene.ask('/api/recommendations?party=0:IQ8K:party3')
  assertShape('recommendations', party.json)
  assert.equal(party.json.model, 'session-knn', 'an id in its other form is the same party')
  const items = party.json.items.map(({ itemId }: { itemId: string }) => itemId)
  assert.deepEqual(items.sort(), ['a', 'b'])
  const session = await scene.ask('/api/recommendations?item=a&limit=1')
  assert.equal(session.json.items.length, 1)
  const neighbours = await scene.ask('/api/recommend/neighbours?item=a&item=b&limit=1')
  assertShape('neighbours', neighbours.json)
  assert.deepEqual(
    neighbours.json.rows.map(({ of, model }: { of: string; model: string }) => `${of} ${model}`),
    ['a session-knn', 'a item-to-item', 'b session-knn', 'b item-to-item'],
  )
})

test('items are hidden, listed and shown again', async (t) => {
  const scene = await open(t)
  await scene.ask('/api/recommend/build', { body: {} })
  const from = '2026-03-01T00:00:00Z'
  const hidden = await scene.ask('/api/recommend/hide', { body: { itemId: 'b', from } })
  assertShape('hiddenItems', hidden.json)
  const listed = await scene.ask('/api/recommend/hidden')
  assert.deepEqual(listed.json, { rows: [{ itemId: 'b', from: '2026-03-01T00:00:00.000Z' }] })
  const without = await scene.ask('/api/recommendations?item=a')
  assert.deepEqual(
    without.json.items.map(({ itemId }: { itemId: string }) => itemId),
    ['c'],
  )
  assert.equal((await scene.ask('/api/recommend/unhide', { body: { itemId: 'b' } })).status, 200)
  assert.equal((await scene.ask('/api/recommend/unhide', { body: { itemId: 'b' } })).status, 400)
})

const bad = [
  ['/api/recommendations?limit=10000', undefined, 'question_invalid'],
  ['/api/recommend/neighbours', undefined, 'question_invalid'],
  ['/api/recommend/hide', { itemId: 'a', from: 'soon' }, 'question_invalid'],
  ['/api/recommend/hide', { itemId: '' }, undefined],
  ['/api/recommend/hide', { item: 'a' }, undefined],
] as const

test('what cannot be meant is refused', async (t) => {
  const scene = await open(t)
  for (const [path, body, code] of bad) {
    const answer = await scene.ask(path, body === undefined ? {} : { body })
    assert.equal(answer.status, 400, path)
    if (code !== undefined) assert.equal(answer.json.error.code, code)
  }
})
