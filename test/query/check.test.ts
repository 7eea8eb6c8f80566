import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dayMs, dayOf, minuteMs } from '../../src/lib/clock.ts'
import {
  type CheckedStore,
  type CheckQuestion,
  type CheckResult,
  checkDays,
} from '../../src/query/check.ts'
import type { Store } from '../../src/store/store.ts'
import { inFolder } from '../store/embedded-scene.ts'
import { batchOf, makeRow, noon } from '../store/rows.ts'

/** When days are whole, asked of a real store. */

const until = dayOf(noon)
const end = Date.parse(until) + dayMs
const flow = { storedUntil: end, lag: 3 }

function check(
  store: CheckedStore,
  over: Partial<CheckQuestion> = {},
  state = flow,
): Promise<CheckResult> {
  const question = { until, lossMax: 0.02, ...over }
  return checkDays(store, state, question, new AbortController().signal, () => {})
}

/** A page view of ten events on each of two days; the first day is closed. */
async function fill(store: Store, isLeftOut: (event: number) => boolean): Promise<void> {
  const events = Array.from({ length: 20 }, (_, event) => event)
  const rows = events.map((event) =>
    makeRow({
      eventId: `e${event}`,
      partyId: `party-${event < 10 ? 1 : 2}`,
      pageViewId: event < 10 ? 'view-1' : 'view-2',
      sequence: event % 10,
      eventTime: noon + (event < 10 ? -dayMs : 0) + event * minuteMs,
      itemId: `item-${event % 4}`,
      bot: event % 5 === 0 ? 'crawler' : null,
    }),
  )
  await store.write(batchOf(...rows.filter((_, event) => !isLeftOut(event))))
  await store.closeDay(dayOf(noon - dayMs))
}

test('days that are stored to their end, without a loss, and counted as they are, are whole', async () => {
  await inFolder(async (store) => {
    await fill(store, () => false)
    const { ok, reasons, days, storedUntil, lag } = await check(store)
    assert.deepEqual(reasons, [])
    assert.equal(ok, true)
    assert.deepEqual([storedUntil, lag], [new Date(end).toISOString(), 3])
    assert.deepEqual(
      days.map(({ day, stored, isClosed, isEqual }) => [day, stored, isClosed, isEqual]),
      [
        [dayOf(noon - dayMs), 10, true, true],
        [until, 10, false, null],
      ],
    )
    const first = await check(store, { until: dayOf(noon - dayMs) })
    assert.equal(first.days.length, 1)
    const second = await check(store, { from: until })
    assert.equal(second.days.length, 1)
  })
})

test('the day has to be stored to its end, by the millisecond', async () => {
  await inFolder(async (store) => {
    await fill(store, () => false)
    for (const storedUntil of [end - 1, Number.NEGATIVE_INFINITY]) {
      const { ok, reasons } = await check(store, {}, { storedUntil, lag: 7 })
      assert.equal(ok, false)
      assert.match(reasons.join(), /the end of 2026-03-10 is not all stored.* lag 7$/)
    }
  })
})

test('more that is missing than the limit is a reason, and names the day', async () => {
  await inFolder(async (store) => {
    await fill(store, (event) => event === 14 || event === 15)
    const { ok, reasons, days } = await check(store)
    assert.equal(ok, false)
    assert.deepEqual(reasons, [
      '2026-03-10: 2 of 10 events are missing, 20.00 %; the limit is 2.00 %',
    ])
    assert.equal(days[1]?.loss, 0.2)
    assert.equal((await check(store, { lossMax: 0.2 })).ok, true)
  })
})

test('an answer about a closed day that its rows do not have is a reason', async () => {
  await inFolder(async (store) => {
    await fill(store, () => false)
    const wrong: [Partial<CheckedStore>, RegExp][] = [
      [
        { counts: async (range, filter) => more(await store.counts(range, filter)) },
        /^2026-03-09: e/,
      ],
      [{ uniques: async () => ({ rows: [], parties: 4 }) }, /^2026-03-09: parties.*4 .* 1$/],
      [{ top: async () => [] }, /^2026-03-09: items: 0 are answered, its rows are 4$/],
      [{ top: async (...asked) => more(await store.top(...asked)) }, /^2026-03-09: item /],
    ]
    const bare: CheckedStore = {
      days: () => store.days(),
      accounting: (...asked) => store.accounting(...asked),
      counts: (...asked) => store.counts(...asked),
      uniques: (...asked) => store.uniques(...asked),
      top: (...asked) => store.top(...asked),
      events: (...asked) => store.events(...asked),
    }
    assert.equal((await check(bare)).ok, true)
    for (const [over, reason] of wrong) {
      const { ok, reasons, days } = await check({ ...bare, ...over })
      assert.equal(ok, false)
      assert.equal(reasons.length, 1)
      assert.match(reasons[0] ?? '', reason)
      assert.equal(days[0]?.isEqual, false)
    }
  })
})

function more<Row extends { readonly count: number }>(rows: readonly Row[]): Row[] {
  return rows.map((row) => ({ ...row, count: row.count + 1 }))
}
