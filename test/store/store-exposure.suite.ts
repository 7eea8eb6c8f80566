import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { dayMs, hourMs, minuteMs } from '../../src/lib/clock.ts'
import type { Filter, Row, Store } from '../../src/store/store.ts'
import { clickThroughOf } from './naive-exposure.ts'
import { type StorePlace, withStore } from './place.ts'
import { at, batchOf, makeRow, noon } from './rows.ts'

/** Which recommendations were seen and clicked: against the naive answer, then by hand. */
export function describeExposure(makePlace: () => StorePlace, runsShare = 1): void {
  test('impressions and clicks are joined as they are by hand, over random events', () =>
    fc.assert(
      fc.asyncProperty(scenes, async ({ rows, questions }) => {
        await withStore(makePlace, async (store) => {
          await store.write(batchOf(...rows))
          for (const { range, filter } of questions) {
            const expected = clickThroughOf(rows, range, filter)
            assert.deepEqual(await store.clickThrough(range, filter), expected)
          }
        })
      }),
      { numRuns: Math.ceil(15 * runsShare) },
    ))

  test('an item is seen once and clicked once, whatever comes again; bots never count', () =>
    withStore(makePlace, async (store) => {
      const items = [
        { item_id: 'a', position: 1, model: 'session-knn' },
        { item_id: 'b', position: 2, model: 'trending' },
      ]
      const seen = impression({ recommendation_id: 'r', items }, 0)
      const rows = [
        seen,
        // The same receipt by another way, and the same told again.
        { ...seen, receivedAt: seen.receivedAt + 5, position: at(50) },
        impression({ recommendation_id: 'r', items: items.slice(0, 1) }, minuteMs),
        click('r', 'b', 2 * minuteMs),
        click('r', 'b', 3 * minuteMs),
        click('r', 'never-shown', 3 * minuteMs),
        { ...impression({ recommendation_id: 'bot', items }, 0), bot: 'crawler' },
        { ...click('r', 'a', 4 * minuteMs), bot: 'crawler' },
      ]
      await store.write(batchOf(...rows))
      await expectThrough(store, {
        rows: [
          { day, model: 'session-knn', position: 1, impressions: 1, clicks: 0 },
          { day, model: 'trending', position: 2, impressions: 1, clicks: 1 },
        ],
        unmatchedClicks: 1,
        latest: [
          {
            recommendationId: 'r',
            seenAt: noon,
            items: [
              { itemId: 'a', position: 1, model: 'session-knn', isClicked: false },
              { itemId: 'b', position: 2, model: 'trending', isClicked: true },
            ],
          },
        ],
      })
    }))

  test('a click counts on the day of its impression, up to 24 hours after, in every range', () =>
    withStore(makePlace, async (store) => {
      const items = ['a', 'b'].map((item_id) => ({ item_id, position: 1, model: 'm' }))
      const late = impression({ recommendation_id: 'r', items }, 11 * hourMs)
      const rows = [late, click('r', 'a', 35 * hourMs), click('r', 'b', 35 * hourMs + 1)]
      await store.write(batchOf(...rows))
      const midnight = noon + dayMs / 2
      const counts = async (from: number, to: number): Promise<unknown> => {
        const answer = await store.clickThrough({ from, to }, people)
        return [answer.rows.map(({ impressions, clicks }) => [impressions, clicks])].concat([
          answer.unmatchedClicks as never,
        ])
      }
      assert.deepEqual(await counts(midnight - dayMs, midnight), [[[2, 1]], 0])
      assert.deepEqual(await counts(midnight - dayMs, midnight + dayMs), [[[2, 1]], 1])
      assert.deepEqual(await counts(midnight, midnight + dayMs), [[], 1])
    }))

  test('more models than anybody has are put together, and odd texts say nothing', () =>
    withStore(makePlace, async (store) => {
      const items = Array.from({ length: 30 }, (_, n) => ({
        item_id: n,
        position: 1,
        model: n < 10 ? 'real' : `made-up-${n}`,
      }))
      const odd = [
        ...['nonsense', '[]', '"recommendation_id"', '{"recommendation_id":7,"items":[]}', '{'],
        '{"recommendation_id":"r","items":{"item_id":"x","position":1}}',
        '{"recommendation_id":"r","items":[null,7,{"item_id":"x"},{"position":1,"item_id":""}]}',
        '{"recommendation_id":"r","items":[{"item_id":"x","position":101}]}',
        '{"recommendation_id":"r","items":[{"item_id":"x","position":"1"}]}',
        `{"recommendation_id":"${'r'.repeat(65)}","items":[{"item_id":"x","position":1}]}`,
        `{"recommendation_id":"'; DROP TABLE events; --","items":[{"item_id":"🎉","position":2,"model":"It's"}]}`,
      ]
      const rows = [
        impression({ recommendation_id: 'many', items }, 0),
        ...odd.map((parameters, n) => ({ ...impression({}, n + 1), parameters })),
      ]
      await store.write(batchOf(...rows))
      const { rows: counted, latest } = await store.clickThrough(range, people)
      const models = new Map(
        counted.map(({ model, position, impressions }) => [`${model} ${position}`, impressions]),
      )
      assert.equal(models.size, 22)
      assert.deepEqual([models.get('real 1'), models.get('unknown 2')], [10, undefined])
      assert.equal(models.get('other 1'), 1)
      assert.equal(models.get('other 2'), 1)
      assert.deepEqual(
        latest.map(({ recommendationId }) => recommendationId),
        [`'; DROP TABLE events; --`, 'many'],
      )
    }))

  test('without events nothing was seen', () =>
    withStore(makePlace, (store) =>
      expectThrough(store, { rows: [], unmatchedClicks: 0, latest: [] }),
    ))
}

const day = '2026-03-10'
const people: Filter = { bots: 'exclude' }
const range = { from: noon - dayMs / 2, to: noon + dayMs / 2 }

async function expectThrough(store: Store, expected: unknown): Promise<void> {
  assert.deepEqual(await store.clickThrough(range, people), expected)
}

let offset = 0
function rowAt(ms: number, eventType: string, itemId: string | null, parameters: object): Row {
  offset++
  return makeRow({
    eventId: `exposure-${offset}`,
    eventTime: noon + ms,
    eventType,
    itemId,
    parameters: JSON.stringify(parameters),
    offset,
  })
}

function impression(parameters: object, ms: number): Row {
  return rowAt(ms, 'impression', null, parameters)
}

function click(recommendation_id: string, item_id: string, ms: number): Row {
  return rowAt(ms, 'click', item_id, { item_id, recommendation_id })
}

/** Few recommendations and items, times around midnights and a day apart. */
const drafts = fc.record({
  isClick: fc.boolean(),
  id: fc.constantFrom('r1', 'r2', `r'3`),
  items: fc.array(
    fc.record({
      item_id: fc.constantFrom('a', '7', '🎉', 7),
      position: fc.constantFrom(1, 2, 100, 0),
      model: fc.constantFrom('session-knn', 'recent', 'Not One', undefined),
    }),
    { minLength: 1, maxLength: 3 },
  ),
  day: fc.constantFrom(0, 0, 1, 2, 4),
  minute: fc.constantFrom(-720, -30, 0, 0, 30, 719, 720),
  bot: fc.constantFrom(null, null, null, 'crawler'),
})

const scenes = fc
  .record({
    drafts: fc.array(drafts, { minLength: 1, maxLength: 40, size: 'max' }),
    questions: fc.array(
      fc.record({
        from: fc.integer({ min: -1, max: 4 }),
        days: fc.integer({ min: 1, max: 4 }),
        shift: fc.constantFrom(0, 0, minuteMs),
        bots: fc.constantFrom<Filter['bots']>('exclude', 'include'),
      }),
      { minLength: 2, maxLength: 3 },
    ),
  })
  .map(({ drafts: drawn, questions }) => ({
    rows: drawn.map(({ isClick, id, items, day: on, minute, bot }, n) => {
      const ms = on * dayMs + minute * minuteMs
      const [first] = items
      const row = isClick
        ? click(id, String(first?.item_id), ms)
        : impression({ recommendation_id: id, items }, ms)
      return { ...row, bot, position: at(n) }
    }),
    questions: questions.map(({ from, days, shift, bots }) => {
      const start = noon - dayMs / 2 + from * dayMs + shift
      return { range: { from: start, to: start + days * dayMs }, filter: { bots } }
    }),
  }))
