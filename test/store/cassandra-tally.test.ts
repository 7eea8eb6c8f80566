import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  addText,
  createHyperLogLog,
  estimate,
  type HyperLogLog,
  unite,
} from '../../src/store/cassandra/hyperloglog.ts'
import { hasSeen } from '../../src/store/cassandra/marks.ts'
import { joinRuns, runsOf } from '../../src/store/cassandra/recount.ts'
import {
  addTally,
  countRow,
  createTally,
  decodeCounts,
  decodeItems,
  decodeParties,
  encodeCounts,
  encodeItems,
  encodeParties,
} from '../../src/store/cassandra/tally.ts'

describe('the number of different texts', () => {
  test('is within 2 % from none to a million, and exact while it is small', () => {
    const counter = createHyperLogLog()
    assert.equal(estimate(counter), 0)
    const checked = [1, 2, 10, 100, 1_000, 10_000, 30_000, 50_000, 80_000, 200_000, 1_000_000]
    let count = 0
    for (const wanted of checked) {
      for (; count < wanted; count++) addText(counter, `0:l9x2k${count.toString(36)}:text`)
      const error = Math.abs(estimate(counter) - wanted) / wanted
      assert.ok(wanted <= 100 ? error === 0 : error < 0.02, `${wanted}: ${estimate(counter)}`)
    }
  })

  test('counts a text once, and a union as if all had been counted together', () => {
    const [one, other, both] = [1, 2, 3].map(createHyperLogLog) as [
      HyperLogLog,
      HyperLogLog,
      HyperLogLog,
    ]
    for (let n = 0; n < 20_000; n++) {
      addText(n < 12_000 ? one : other, `party ${n}`)
      if (n >= 8_000 && n < 12_000) addText(other, `party ${n}`)
      addText(both, `party ${n}`)
    }
    unite(one, other)
    assert.deepEqual(one, both)
  })
})

describe('a tally', () => {
  const row = (over: object): never =>
    ({
      event_name: 'view',
      bot: '',
      item_id: null,
      click_stream_cookie_id: 'p',
      receipts: [0],
      ...over,
    }) as never

  test('counts people and bots apart, and comes back from its columns as it was', () => {
    const tally = createTally()
    countRow(tally, row({ item_id: '7', receipts: [0, 1, 2] }))
    countRow(tally, row({ bot: 'Googlebot', event_name: '1\n"' }))
    countRow(tally, row({ click_stream_cookie_id: '' }))
    assert.deepEqual([...tally.counts.values()], [2, 1])
    assert.equal(tally.repeats, 2)
    assert.deepEqual([estimate(tally.people), estimate(tally.bots)], [1, 1])
    assert.deepEqual(decodeCounts(encodeCounts(tally)), tally.counts)
    assert.deepEqual(decodeItems(encodeItems(tally)), tally.items)
    const parties = decodeParties(encodeParties(tally))
    assert.deepEqual([estimate(parties.people), estimate(parties.bots)], [1, 1])
  })

  test('is the sum of the tallies of its parts', () => {
    const [a, b, whole] = [createTally(), createTally(), createTally()]
    for (let n = 0; n < 100; n++) {
      const each = row({
        event_name: `t${n % 3}`,
        item_id: n % 2 === 0 ? `${n % 7}` : null,
        click_stream_cookie_id: `p${n % 11}`,
        bot: n % 5 === 0 ? 'b' : '',
      })
      countRow(n < 40 ? a : b, each)
      countRow(whole, each)
    }
    addTally(a, b)
    const sorted = (map: Map<string, unknown>): unknown => [...map].sort()
    assert.deepEqual(sorted(a.counts), sorted(whole.counts))
    assert.deepEqual(a.people, whole.people)
    for (const [key, items] of whole.items) {
      assert.deepEqual(sorted(a.items.get(key) as Map<string, unknown>), sorted(items))
    }
  })
})

describe('marks', () => {
  test('a tally is outdated when any writer has come further, or is unknown to it', () => {
    assert.ok(hasSeen({}, {}))
    assert.ok(hasSeen({ a: 3n, b: 1n }, { a: 3n }))
    assert.ok(hasSeen({ a: 4n }, { a: 3n }))
    assert.ok(!hasSeen({ a: 2n }, { a: 3n }))
    assert.ok(!hasSeen({ a: 3n }, { a: 3n, b: 1n }))
  })

  test('neighbouring slots are counted together', () => {
    assert.deepEqual(runsOf([]), [])
    assert.deepEqual(runsOf([5, 3, 4, 9, 287]), [
      [3, 5],
      [9, 9],
      [287, 287],
    ])
  })

  test('stretches are joined over few events, and not over many', () => {
    const events = (slot: number): number => (slot === 20 ? 2_001 : 1_000)
    assert.deepEqual(joinRuns([], events), [])
    const runs = [
      [1, 2],
      [5, 5],
      [9, 19],
      [21, 21],
    ] as const
    assert.deepEqual(joinRuns(runs, events), [
      [1, 5],
      [9, 19],
      [21, 21],
    ])
  })
})
