import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { dayMs, minuteMs } from '../../src/lib/clock.ts'
import type { Dimension, Filter, Row, Store, TimeRange } from '../../src/store/store.ts'
import {
  accountingOf,
  extentOf,
  funnelOf,
  keyOf,
  retentionOf,
  sessionsOf,
  topOf,
  uniquesOf,
} from './naive.ts'
import { anybody, type StorePlace, withStore } from './place.ts'
import { at, batchOf, makeDeadLetter, makeRow, noon } from './rows.ts'

/** The questions: each against its naive answer over random events, then what is easy to get wrong. */
export function describeQuestions(makePlace: () => StorePlace, runsShare = 1): void {
  test('every question gives the answer that is counted by hand, over random events', () =>
    fc.assert(
      fc.asyncProperty(scenes, async ({ receipts, letters, questions }) => {
        await withStore(makePlace, async (store) => {
          const half = Math.floor(receipts.length / 2)
          const deadLetters = letters.map((day, offset) =>
            makeDeadLetter(offset, { receivedAt: monday + day * dayMs - 1 }),
          )
          await store.write({ rows: receipts.slice(0, half), deadLetters, positions: [] })
          await store.write(batchOf(...receipts.slice(half)))
          for (const question of questions)
            await compare(store, { receipts, deadLetters }, question)
        })
      }),
      { numRuns: Math.ceil(15 * runsShare) },
    ))

  test('a day has the same sessions and the same losses in every range that holds it', () =>
    withStore(makePlace, async (store) => {
      const midnight = monday + dayMs
      const times = [-31, -20, 5, 34, 70].map((minutes) => midnight + minutes * minuteMs)
      const rows = times.map((eventTime, sequence) =>
        // Number 2 was lost.
        rowOf({ eventTime, sequence: sequence < 2 ? sequence : sequence + 1, offset: sequence }),
      )
      await store.write(batchOf(...rows))
      const sessions = [
        { day: '2026-03-09', sessions: 1, events: 4, bounces: 0, durationMs: 65 * minuteMs },
        { day: '2026-03-10', sessions: 1, events: 1, bounces: 1, durationMs: 0 },
      ]
      for (const [first, last] of [
        [0, 1],
        [0, 2],
        [1, 2],
        [-3, 5],
      ] as const) {
        const range = { from: monday + first * dayMs, to: monday + last * dayMs }
        const expected = sessions.slice(Math.max(0, first), last)
        assert.deepEqual(await store.sessions(range, anybody), expected)
        const missing = (await store.accounting(range, anybody)).map((row) => [
          row.day,
          row.missing,
        ])
        const lost = [
          ['2026-03-09', 1],
          ['2026-03-10', 0],
        ]
        assert.deepEqual(missing, lost.slice(Math.max(0, first), last))
      }
    }))

  test('a gap of 30 minutes goes on with a session, a ms more begins one, whatever the range', () =>
    withStore(makePlace, async (store) => {
      const times = [0, 30 * minuteMs, 60 * minuteMs + 1]
      await store.write(
        batchOf(...times.map((ms, n) => rowOf({ eventTime: noon + ms, sequence: n, offset: n }))),
      )
      const sessionsFrom = async (ms: number): Promise<number | undefined> =>
        (await store.sessions({ from: noon + ms, to: noon + dayMs }, anybody))[0]?.sessions
      assert.equal(await sessionsFrom(0), 2)
      assert.equal(await sessionsFrom(1), 1)
      assert.equal(await sessionsFrom(30 * minuteMs + 1), 1)
      assert.equal(await sessionsFrom(60 * minuteMs + 2), undefined)
    }))

  test('a party of an earlier week is not new in a later one', () =>
    withStore(makePlace, async (store) => {
      const weeks = [0, 1, 3].map((week) => monday + week * 7 * dayMs)
      await store.write(
        batchOf(
          ...weeks.map((eventTime, n) => rowOf({ eventTime, sequence: n, offset: n })),
          rowOf({ eventTime: (weeks[1] as number) - 1, partyId: 'other', offset: 8 }),
          rowOf({ eventTime: weeks[1] as number, partyId: 'third', offset: 9 }),
        ),
      )
      const to = monday + 4 * 7 * dayMs
      assert.deepEqual(await store.retention({ from: monday, to }, anybody), [
        { week: '2026-03-09', parties: 2, returned: [2, 1, 0, 1] },
        { week: '2026-03-16', parties: 1, returned: [1, 0, 0] },
      ])
      assert.deepEqual(await store.retention({ from: monday + 7 * dayMs, to }, anybody), [
        { week: '2026-03-16', parties: 1, returned: [1, 0, 0] },
      ])
    }))

  test('a number that no page reaches makes nothing missing, a replayed dead letter is no rejection', () =>
    withStore(makePlace, async (store) => {
      const letters = [makeDeadLetter(7), makeDeadLetter(8)]
      const rows = [rowOf({ sequence: 2, offset: 0 }), rowOf({ sequence: 2 ** 31 - 1, offset: 1 })]
      await store.write({ rows, deadLetters: letters, positions: [] })
      await store.markReplayed(at(8), noon)
      const [row] = await store.accounting({ from: monday, to: monday + 7 * dayMs }, anybody)
      assert.deepEqual(row, { day: '2026-03-10', stored: 2, missing: 2, repeated: 0, rejected: 1 })
    }))

  test('texts of visitors are values in every question, never a part of it', () =>
    withStore(makePlace, async (store) => {
      const odd = [`o'x"; DROP TABLE events; --`, '🎉', '__proto__', '%27', '$1']
      const rows = odd.map((text, offset) =>
        rowOf({ partyId: text, eventType: text, itemId: text, country: text, offset }),
      )
      await store.write(batchOf(...rows))
      const range = { from: monday, to: monday + 7 * dayMs }
      const top = await store.top('itemId', range, anybody, 10)
      assert.deepEqual(top.map(({ value }) => value).sort(), odd.toSorted())
      for (const text of odd) {
        const filter: Filter = { ...anybody, partyId: text, eventType: text, country: text }
        assert.equal((await store.uniques(range, filter)).parties, 1)
        assert.deepEqual(await store.funnel(range, anybody, [text, text]), [1, 0])
        assert.equal((await store.uniques(range, { ...filter, device: text })).parties, 0)
      }
    }))

  test('an empty store answers every question', () =>
    withStore(makePlace, async (store) => {
      const scene = { receipts: [], deadLetters: [] }
      const range = { from: monday, to: monday + dayMs }
      await compare(store, scene, { range, filter: anybody, limit: 5, steps: ['a', 'b'] })
    }))
}

/** The Monday before `noon`. */
const monday = noon - 1.5 * dayMs

interface Question {
  readonly range: TimeRange
  readonly filter: Filter
  readonly limit: number
  readonly steps: readonly string[]
}

interface Written {
  readonly receipts: readonly Row[]
  readonly deadLetters: readonly ReturnType<typeof makeDeadLetter>[]
}

async function compare(store: Store, written: Written, question: Question): Promise<void> {
  const { receipts, deadLetters } = written
  const { range, filter, limit, steps } = question
  const rows = [...new Map(receipts.toReversed().map((row) => [keyOf(row), row])).values()]
  assert.deepEqual(await store.extent(range, filter), extentOf(rows, range, filter))
  assert.deepEqual(await store.uniques(range, filter), uniquesOf(rows, range, filter))
  for (const dimension of dimensions) {
    const top = await store.top(dimension, range, filter, limit)
    assert.deepEqual(top, topOf(rows, dimension, range, filter, limit), dimension)
  }
  assert.deepEqual(await store.sessions(range, filter), sessionsOf(rows, range, filter))
  assert.deepEqual(
    await store.funnel(range, filter, steps),
    funnelOf(rows, range, filter, steps),
    steps.join(),
  )
  assert.deepEqual(await store.retention(range, filter), retentionOf(rows, range, filter))
  const { bots } = filter
  assert.deepEqual(
    await store.accounting(range, { bots }),
    accountingOf(receipts, deadLetters, range, { bots }),
  )
}

const dimensions: readonly Dimension[] = [
  'itemId',
  'page',
  'referrer',
  'country',
  'device',
  'browser',
  'system',
]

/** An event of its own page view unless it says otherwise, with the id that the tag would give it. */
function rowOf(input: Parameters<typeof makeRow>[0] = {}): Row {
  const { pageViewId = '0:page🎉', sequence = input.offset ?? 0 } = input
  const eventId = `${pageViewId}${(sequence ?? 0).toString(16)}`
  return makeRow({ eventId, ...input, pageViewId, sequence })
}

const types = ['pageView', 'addToBasket', `pay'd`]
const locations = [
  'https://shop.example/a?x=1',
  'https://shop.example/a#y?z',
  'https://shop.example/b',
  'HTTP://Shop.Example:8080/c?#',
  'https://',
  'https:///d',
  'javascript:alert(1)',
  'ftp://files.example/y',
  null,
]
const referers = [
  'https://www.search.example/find?q=a/b',
  'HTTP://Search.Example',
  'https://user:p@news.example:8443/x',
  'https://host.example?x=/3',
  'https://shop.example/b',
  'https://[2001:db8::1]:80/',
  'https:/a/no-host.example/',
  'android-app://com.example/',
  '',
  null,
]
const agents = [
  { deviceCategory: 'Smartphone', name: 'Firefox', osFamily: 'Android' },
  { deviceCategory: 'Smartphone', name: null, osFamily: 'iOS' },
  { deviceCategory: null, name: 'Firefox', osFamily: null },
  undefined,
]

/** Few parties and items, times around the midnights of three weeks and the gap of a session. */
const receipt = fc
  .record({
    party: fc.constantFrom('p1', `p'2`, 'p🎉', null),
    day: fc.constantFrom(0, 1, 2, 6, 7, 14),
    minute: fc.constantFrom(-61, -31, -30, -1, 0, 1, 29, 30, 31),
    ms: fc.constantFrom(0, 0, 1),
    eventType: fc.constantFrom(...types),
    itemId: fc.constantFrom('1', '2', `o'3`, null),
    location: fc.constantFrom(...locations),
    referer: fc.constantFrom(...referers),
    country: fc.constantFrom('NL', 'DE', null),
    agent: fc.constantFrom(...agents),
    bot: fc.constantFrom(null, null, null, 'crawler'),
    sequence: fc.constantFrom(0, 1, 2, 5, 17, null),
    pageView: fc.constantFrom('0:a', '0:🎉', 'apart', '0:load.0', '0:load.1', '0:load.1a'),
    repeats: fc.constantFrom(0, 0, 0, 1, 2),
  })
  .map((draft) => {
    const { day, party, sequence, eventType, itemId, location, referer, country, bot } = draft
    const eventTime = monday + day * dayMs + draft.minute * minuteMs + draft.ms
    // A load of a page is of one day, as a page view is.
    const pageViewId = draft.pageView.startsWith('0:load')
      ? `${draft.pageView.replace('load', `load${day}`)}.`
      : `${draft.pageView}${day}.`
    const counter = (sequence ?? 0).toString(16)
    const eventId = draft.pageView === 'apart' ? `0:x${day}.${counter}` : `${pageViewId}${counter}`
    const none = makeRow().agent
    const agent = draft.agent === undefined ? none : { ...none, ...draft.agent }
    const described = { eventType, itemId, location, referer, country, bot, agent }
    const userAgent = draft.agent === undefined ? null : JSON.stringify(draft.agent)
    const row = {
      eventTime,
      eventId,
      pageViewId,
      sequence,
      partyId: party,
      userAgent,
      ...described,
    }
    return { row, repeats: draft.repeats }
  })

const filters = fc.constantFrom<Filter>(
  { bots: 'exclude' },
  { bots: 'include' },
  { bots: 'exclude', country: 'NL' },
  { bots: 'exclude', country: 'unknown' },
  { bots: 'exclude', device: 'Smartphone' },
  { bots: 'include', device: 'unknown' },
  { bots: 'exclude', partyId: `p'2`, itemId: `o'3` },
  { bots: 'exclude', eventType: 'pageView' },
)

const scenes = fc
  .record({
    receipts: fc.array(receipt, { minLength: 1, maxLength: 70, size: 'max' }),
    letters: fc.array(fc.constantFrom(0, 1, 2, 7), { maxLength: 5 }),
    questions: fc.array(
      fc.record({
        from: fc.integer({ min: -2, max: 8 }),
        days: fc.integer({ min: 1, max: 20 }),
        shift: fc.constantFrom(0, 0, 0, -5 * minuteMs, 30 * minuteMs, 1),
        filter: filters,
        limit: fc.integer({ min: 1, max: 6 }),
        steps: fc.array(fc.constantFrom(...types), { minLength: 2, maxLength: 4 }),
      }),
      { minLength: 2, maxLength: 3 },
    ),
  })
  .map(({ receipts, letters, questions }) => {
    let offset = 0
    // Two receipts of one event differ in what the receipt alone decides.
    const firsts = new Map<string, Row>()
    const rows = receipts.flatMap(({ row, repeats }) => {
      const drafted = makeRow(row)
      const first = firsts.get(keyOf(drafted)) ?? drafted
      firsts.set(keyOf(first), first)
      return Array.from({ length: repeats + 1 }, (_, n) => ({
        ...first,
        receivedAt: first.receivedAt + n,
        position: at(offset++),
      }))
    })
    return {
      receipts: rows,
      letters,
      questions: questions.map(({ from, days, shift, ...question }) => {
        const start = monday + from * dayMs + shift
        return { ...question, range: { from: start, to: start + days * dayMs } }
      }),
    }
  })
