import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compareDays, type Facts } from '../../src/cli/recommend-aggregates.ts'

function factsOf(days: Readonly<Record<string, Readonly<Record<string, number>>>>): Facts {
  return new Map(
    Object.entries(days).map(([day, facts]) => [day, new Map(Object.entries(facts))] as const),
  )
}

const view = 'events of people: pageView'
const crawl = 'events of bots: pageView'

function verdicts(spark: Facts, facts: Facts, exactDays?: ReadonlySet<string>): string[] {
  return compareDays(spark, { facts, exactDays }).map(({ day, isEqual, difference }) =>
    `${day} ${isEqual} ${difference}`.trim(),
  )
}

test('days are equal when every count is; what differs, or is missing on either side, is named', () => {
  const day = { [view]: 5, [crawl]: 2, parties: 3, sessions: 4 }
  const spark = factsOf({ '2026-03-01': day, '2026-03-02': day, '2026-03-03': day })
  const store = factsOf({
    '2026-03-01': { ...day },
    '2026-03-02': { ...day, sessions: 5 },
    '2026-03-04': { [view]: 1 },
  })
  assert.deepEqual(verdicts(spark, store), [
    '2026-03-01 true',
    '2026-03-02 false sessions: Spark 4, store 5',
    `2026-03-03 false ${view}: Spark 5, store 0`,
    `2026-03-04 false ${view}: Spark 0, store 1`,
  ])
  const [first] = compareDays(spark, { facts: store, exactDays: undefined })
  assert.deepEqual([first?.events, first?.parties, first?.sessions], [7, 3, 4])
})

test('parties are compared only on days of which the store has counted them exactly', () => {
  const spark = factsOf({ '2026-03-01': { parties: 100 }, '2026-03-02': { parties: 100 } })
  const store = factsOf({ '2026-03-01': { parties: 101 }, '2026-03-02': { parties: 101 } })
  assert.deepEqual(verdicts(spark, store, new Set(['2026-03-02'])), [
    '2026-03-01 true',
    '2026-03-02 false parties: Spark 100, store 101',
  ])
})
