import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { askChain } from '../../src/recommend/chain.ts'
import { createItemToItem } from '../../src/recommend/item-to-item.ts'
import { createPopularity } from '../../src/recommend/popularity.ts'
import { createRecent } from '../../src/recommend/recent.ts'
import { chooseGreatest, createTop } from '../../src/recommend/top.ts'
import { buildTrending } from '../../src/recommend/trending.ts'
import { ask, day, indexOf, second } from './scene.ts'

const idsOf = (answer: readonly { readonly itemId: string }[]) => answer.map(({ itemId }) => itemId)

test('the best few are those that sorting everything gives', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 9 })),
      fc.integer({ min: 1, max: 12 }),
      (scores, size) => {
        const top = createTop(size)
        for (const [candidate, score] of scores.entries()) top.offer(candidate, score)
        const sorted = scores.map((score, candidate) => ({ score, candidate }))
        sorted.sort((a, b) => b.score - a.score || b.candidate - a.candidate)
        const expected = sorted.slice(0, size).map(({ candidate }) => candidate)
        assert.deepEqual(top.take(), expected)
        assert.deepEqual(top.take(), [])
      },
    ),
  )
})

test('the greatest values are those that sorting everything gives, of equal ones the last', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 9 })),
      fc.integer({ min: 1, max: 12 }),
      (values, most) => {
        const sorted = values.map((value, at) => ({ value, at }))
        sorted.sort((a, b) => b.value - a.value || b.at - a.at)
        const expected = sorted.slice(0, most).map(({ at }) => at)
        const given = Float64Array.from(values)
        const scratch = new Float64Array(values.length + 3)
        assert.deepEqual(
          chooseGreatest(given, most, scratch),
          expected.sort((a, b) => b - a),
        )
        assert.deepEqual([...given], values)
      },
    ),
  )
})

test('item-to-item counts the sessions that two items share', async () => {
  const index = await indexOf([
    { items: ['a', 'b'], timeMs: 0 },
    { items: ['b', 'a', 'c'], timeMs: second },
    { items: ['c', 'd'], timeMs: 2 * second },
  ])
  const model = createItemToItem(index, { sessionsMax: 9, decay: 0, cosine: false })
  const answer = model.recommend(ask(['d', 'a']))
  assert.deepEqual(
    answer.map(({ itemId, score }) => [itemId, score]),
    [
      ['b', 2],
      ['c', 1],
    ],
  )
  const cosine = createItemToItem(index, { sessionsMax: 9, decay: 0.5, cosine: true }, 'item-knn')
  const scores = new Map(
    cosine.recommend(ask(['d', 'a'])).map((entry) => [entry.itemId, entry.score]),
  )
  assert.ok(Math.abs((scores.get('c') ?? 0) - (1 / 2 + 0.5 / Math.sqrt(2))) < 1e-12)
})

test('trending is what rises, not what is always in demand', async () => {
  const sessions = Array.from({ length: 8 * 20 }, (_, n) => ({
    items: ['always'],
    timeMs: n * (day / 20),
  }))
  const now = 8 * day
  for (let n = 1; n <= 6; n++) sessions.push({ items: ['rising'], timeMs: now - n * second })
  sessions.push({ items: ['gone'], timeMs: day })
  const model = await buildTrending(await indexOf(sessions), now, () => undefined)
  const [first, ...others] = model.recommend(ask([]))
  assert.equal(first?.itemId, 'rising')
  assert.match(first?.reason ?? '', /^in 6 sessions of the last day, 0\.0 a day before$/)
  assert.ok(!idsOf(others).includes('gone'))
})

test('recent begins with the last click, popularity with the item of most sessions', async () => {
  const index = await indexOf([
    { items: ['a', 'b'], timeMs: 0 },
    { items: ['c', 'a'], timeMs: 2 * second },
    { items: ['d'], timeMs: second },
  ])
  assert.deepEqual(idsOf(createRecent(index).recommend(ask([]))), ['a', 'c', 'd', 'b'])
  assert.equal(createPopularity(index).recommend(ask([], 0, 1))[0]?.itemId, 'a')
})

test('the chain fills the answer from one model after the other, each item once, none that may not', async () => {
  const index = await indexOf([{ items: ['a', 'b', 'c', 'd'], timeMs: 0 }])
  const list = (model: 'trending' | 'recent', ids: readonly string[]) => ({
    model,
    recommend: ({ limit, isAllowed }: { limit: number; isAllowed: (id: string) => boolean }) =>
      ids
        .filter(isAllowed)
        .slice(0, limit)
        .map((itemId) => ({ itemId, score: 1, reason: model })),
  })
  const chain = [list('trending', []), list('recent', ['a', 'b']), createRecent(index)]
  const isAllowed = (id: string): boolean => id !== 'b'
  const answer = askChain(chain, { items: [], at: 0, limit: 3, isAllowed })
  assert.equal(answer.model, 'recent')
  assert.deepEqual(idsOf(answer.items), ['a', 'd', 'c'])
  assert.deepEqual(askChain([], ask(['a'])), { model: 'none', items: [] })
})
