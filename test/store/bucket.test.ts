import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { dayMs, hourMs } from '../../src/lib/clock.ts'
import {
  bucketOf,
  bucketsOfParty,
  dayNumberOf,
  firstDays,
  type Layout,
  planLayout,
  slotsOf,
  wholeDay,
} from '../../src/store/bucket.ts'
import { noon } from './rows.ts'

const layouts = fc.oneof(
  fc.constant(wholeDay),
  fc.constant(firstDays),
  fc.integer({ min: 1, max: 2_000_000_000 }).map(planLayout),
)

describe('buckets', () => {
  test('a day of one bucket has the day as its partition key', () => {
    assert.equal(bucketOf(wholeDay, noon, 'party', 'event'), '2026-03-10')
    assert.deepEqual(slotsOf(dayNumberOf(noon), wholeDay), [
      { from: noon - 12 * hourMs, to: noon + 12 * hourMs, buckets: ['2026-03-10'] },
    ])
  })

  test('a bucket names its day, its slot and its shard', () => {
    const layout: Layout = { slotMs: 6 * hourMs, shards: 16 }
    assert.match(bucketOf(layout, noon - 1, 'party', ''), /^2026-03-10\/0600\/(0\d|1[0-5])$/)
    assert.match(bucketOf(layout, noon, 'party', ''), /^2026-03-10\/1200\/(0\d|1[0-5])$/)
    assert.match(bucketOf(layout, -1, 'party', ''), /^1969-12-31\/1800\//)
  })

  test('readers look where writers write: every event is in exactly one bucket of its slot', () => {
    const times = fc.integer({ min: -3 * dayMs, max: 30_000 * dayMs })
    fc.assert(
      fc.property(layouts, times, fc.string(), fc.string(), (layout, time, partyId, eventId) => {
        const pk = bucketOf(layout, time, partyId, eventId)
        const slots = slotsOf(dayNumberOf(time), layout)
        const found = slots.filter(({ buckets }) => buckets.includes(pk))
        assert.equal(found.length, 1)
        assert.ok((found[0]?.from ?? 0) <= time && time < (found[0]?.to ?? 0))
        if (partyId === '') return
        const ofParty = bucketsOfParty(dayNumberOf(time), layout, partyId)
        assert.ok(ofParty.some(({ buckets }) => buckets[0] === pk))
      }),
      { numRuns: 200 },
    )
  })

  test('a planned bucket holds some 100,000 events, whatever the day', () => {
    for (const expected of [1, 99_999, 100_001, 1_600_000, 10_000_000, 1_000_000_000]) {
      const { slotMs, shards } = planLayout(expected)
      const buckets = (dayMs / slotMs) * shards
      assert.ok(Number.isInteger(dayMs / slotMs))
      assert.ok(expected / buckets <= 100_001, `${expected}: ${buckets} buckets`)
      assert.ok(buckets < 3 * Math.max(1, expected / 100_000), `${expected}: ${buckets} buckets`)
    }
    assert.deepEqual(planLayout(100_000), wholeDay)
    assert.deepEqual(planLayout(1_600_000), firstDays)
  })

  test('parties spread evenly over the shards', () => {
    const counts = new Map<string, number>()
    for (let n = 0; n < 16_000; n++) {
      const pk = bucketOf(firstDays, noon, `0:i4${n.toString(36)}:abc${n * 7919}`, '')
      counts.set(pk, (counts.get(pk) ?? 0) + 1)
    }
    assert.equal(counts.size, 16)
    assert.ok([...counts.values()].every((count) => count > 800 && count < 1_200))
  })
})
