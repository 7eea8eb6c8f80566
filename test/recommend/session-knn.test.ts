import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  createSessionKnn,
  type SessionKnnOptions,
  sessionKnnDefaults,
} from '../../src/recommend/session-knn.ts'
import { ask, day, indexOf, second, type TestSession } from './scene.ts'

/** The definition, written down without any index: every session, every item, maps and sorts. */
function naive(
  given: readonly TestSession[],
  options: SessionKnnOptions,
  session: readonly string[],
  at: number,
): Map<string, number> {
  const sessions = [...given].sort(
    (a, b) => Math.floor(a.timeMs / second) - Math.floor(b.timeMs / second),
  )
  const having = (item: string): number[] =>
    sessions.flatMap(({ items }, number) => (items.includes(item) ? [number] : []))
  const recent = [...new Set([...session].reverse())].filter((item) => having(item).length > 0)
  const decay = (n: number, length: number): number => (length === 0 ? 1 : Math.exp(-n / length))
  const neighbours = sessions.flatMap(({ items, timeMs }, number) => {
    const common = recent.flatMap((item, age) =>
      having(item).slice(-options.sessionsMax).includes(number) ? [age] : [],
    )
    if (common.length === 0) return []
    const age = Math.min(...common)
    const days = Math.max(0, at / second - Math.floor(timeMs / second)) / 86_400
    const likeness =
      common.reduce((sum, n) => sum + decay(n, options.itemDecay), 0) *
      items.length ** -options.lengthPower *
      decay(age, options.matchDecay) *
      decay(days, options.ageDays)
    return [{ number, likeness, age }]
  })
  neighbours.sort((a, b) => b.likeness - a.likeness || b.number - a.number)
  const scores = new Map<string, number>()
  for (const { number, likeness, age } of neighbours.slice(0, options.neighbours)) {
    const { items, weights } = sessions[number] as TestSession
    const place = items.indexOf(recent[age] as string)
    items.forEach((item, n) => {
      const share =
        likeness *
        decay(Math.abs(n - place), options.distanceDecay) *
        (weights?.[n] ?? 1) *
        (n < place ? options.beforeWeight : 1)
      const rarity = Math.log(1 + sessions.length / having(item).length) ** options.rarityPower
      scores.set(item, (scores.get(item) ?? 0) + share * rarity)
    })
  }
  return scores
}

const item = fc.integer({ min: 0, max: 12 }).map((n) => `item-${n}`)
const session = fc.uniqueArray(item, { minLength: 1, maxLength: 6 }).chain((items) =>
  fc.record({
    items: fc.constant(items),
    timeMs: fc.integer({ min: 0, max: 20 * day }),
    weights: fc.array(fc.integer({ min: 1, max: 9 }), {
      minLength: items.length,
      maxLength: items.length,
    }),
  }),
)
// Irrational steps: ties between neighbours at the cut would make either answer right.
const options = fc.record({
  sessionsMax: fc.constantFrom(1, 3, 50),
  neighbours: fc.constantFrom(100),
  itemDecay: fc.constantFrom(1, 2.7),
  lengthPower: fc.constantFrom(0, 0.5),
  ageDays: fc.constantFrom(0, 7),
  distanceDecay: fc.constantFrom(0, 3),
  beforeWeight: fc.constantFrom(0.3, 1),
  rarityPower: fc.constantFrom(0, 1),
  matchDecay: fc.constantFrom(0, 2),
})

test('scores are those of the definition, whatever the sessions and the options', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(session, { maxLength: 25 }),
      options,
      fc.array(fc.array(item, { maxLength: 8 }), { minLength: 1, maxLength: 3 }),
      async (sessions, chosen, questions) => {
        const model = createSessionKnn(await indexOf(sessions), chosen)
        // Several questions of one model: nothing of one may be left for the next.
        for (const question of questions) {
          const expected = naive(sessions, chosen, question, 20 * day)
          const answer = model.recommend(ask(question, 20 * day, 100))
          assert.equal(answer.length, expected.size)
          for (const { itemId, score } of answer) {
            const wanted = expected.get(itemId) ?? Number.NaN
            assert.ok(Math.abs(score - wanted) <= 1e-9 * wanted, `${itemId} ${score} ${wanted}`)
          }
          const scores = answer.map(({ score }) => score)
          assert.deepEqual(
            scores,
            [...scores].sort((a, b) => b - a),
          )
        }
      },
    ),
    { numRuns: 150 },
  )
})

test('only the nearest neighbours vote, and only the newest sessions with an item are looked at', async () => {
  const sessions = [
    { items: ['a', 'old'], timeMs: 1 * second },
    { items: ['a', 'b', 'near'], timeMs: 2 * second },
    { items: ['a', 'new'], timeMs: 3 * second },
  ]
  const index = await indexOf(sessions)
  const plain = { ...sessionKnnDefaults, ageDays: 0, lengthPower: 0 }
  const one = createSessionKnn(index, { ...plain, neighbours: 1 }).recommend(ask(['b', 'a']))
  assert.deepEqual(one.map(({ itemId }) => itemId).sort(), ['a', 'b', 'near'])
  const newest = createSessionKnn(index, { ...plain, sessionsMax: 1 }).recommend(ask(['a']))
  assert.deepEqual(newest.map(({ itemId }) => itemId).sort(), ['a', 'new'])
})

test('what is not allowed is not returned and takes no place, and each item says why it is there', async () => {
  const index = await indexOf([{ items: ['a', 'b', 'c'], timeMs: 0 }])
  const model = createSessionKnn(index, sessionKnnDefaults)
  const answer = model.recommend({ ...ask(['a'], 0, 1), isAllowed: (id) => id === 'c' })
  assert.deepEqual(
    answer.map(({ itemId, reason }) => [itemId, reason]),
    [['c', 'in 1 similar sessions, with a']],
  )
})

test('however many of the best are not allowed, those that are come in full', async () => {
  const items = Array.from({ length: 60 }, (_, n) => `item-${n}`)
  const model = createSessionKnn(await indexOf([{ items, timeMs: 0 }]), sessionKnnDefaults)
  const all = model.recommend(ask(['item-0'], 0, 100)).map(({ itemId }) => itemId)
  assert.equal(all.length, 60)
  for (const [limit, first] of [
    [1, 59],
    [10, 40],
    [10, 55],
    [100, 3],
  ] as const) {
    const allowed = new Set(all.slice(first))
    const answer = model.recommend({
      ...ask(['item-0'], 0, limit),
      isAllowed: (id) => allowed.has(id),
    })
    assert.deepEqual(
      answer.map(({ itemId }) => itemId),
      all.slice(first, first + limit),
    )
  }
})

test('an unknown item, no item and an index without sessions give no answer and no error', async () => {
  const model = createSessionKnn(await indexOf([{ items: ['a'], timeMs: 0 }]), sessionKnnDefaults)
  assert.deepEqual(model.recommend(ask(['nobody has seen it'])), [])
  assert.deepEqual(model.recommend(ask([])), [])
  assert.deepEqual(
    createSessionKnn(await indexOf([]), sessionKnnDefaults).recommend(ask(['a'])),
    [],
  )
})
