import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  accountingTotals,
  countsByType,
  firstSteps,
  lastDays,
  linesByDay,
  totalsOf,
} from '../../src/dashboard/days.ts'

const nowMs = Date.parse('2026-03-01T23:59:59Z')
const days = lastDays(3, nowMs)
const counts = {
  rows: [
    { day: '2026-02-27', eventType: 'pageView', count: 4 },
    { day: '2026-02-27', eventType: 'click', count: 1 },
    { day: '2026-03-01', eventType: 'click', count: 7 },
    { day: '2026-03-01', eventType: 'constructor', count: 2 },
  ],
}
const uniques = { rows: [{ day: '2026-02-27', parties: 3 }], parties: 3 }
const sessions = {
  rows: [
    { day: '2026-02-27', sessions: 3, events: 5, bounces: 1, meanSeconds: 10 },
    { day: '2026-02-28', sessions: 1, events: 9, bounces: 1, meanSeconds: 50 },
  ],
}

describe('answers by day', () => {
  it('have a line for each UTC day, oldest first, also for those without events', () => {
    assert.deepEqual(days, ['2026-02-27', '2026-02-28', '2026-03-01'])
    assert.deepEqual(linesByDay(days, { counts, uniques, sessions }), [
      { day: '2026-02-27', events: 5, parties: 3, sessions: 3, views: 4 },
      { day: '2026-02-28', events: 0, parties: 0, sessions: 1, views: 0 },
      { day: '2026-03-01', events: 9, parties: 0, sessions: 0, views: 0 },
    ])
  })

  it('do not take what is not known yet for nothing', () => {
    const [line] = linesByDay(days, { counts })
    assert.deepEqual(line, {
      day: '2026-02-27',
      events: 5,
      parties: undefined,
      sessions: undefined,
      views: 4,
    })
    const { events, parties, sessions: begun } = totalsOf({ uniques })
    assert.deepEqual(
      { events, parties, begun },
      { events: undefined, parties: 3, begun: undefined },
    )
  })

  it('are summed, means by their weight; parties come as the API counts them', () => {
    assert.deepEqual(totalsOf({ counts, uniques: { ...uniques, parties: 2 }, sessions }), {
      events: 14,
      parties: 2,
      sessions: 4,
      views: 4,
      bounceShare: 0.5,
      meanSeconds: 20,
    })
    const empty = totalsOf({ sessions: { rows: [] } })
    assert.equal(empty.sessions, 0)
    assert.equal(empty.bounceShare, undefined)
  })

  it('give the event types, the most frequent first', () => {
    assert.deepEqual(countsByType(counts), [
      { eventType: 'click', count: 8 },
      { eventType: 'pageView', count: 4 },
      { eventType: 'constructor', count: 2 },
    ])
  })

  it('give what was sent and where it is', () => {
    const row = { day: '2026-03-01', sent: 10, stored: 7, rejected: 1, missing: 2, repeated: 3 }
    assert.deepEqual(accountingTotals({ rows: [row, row] }), {
      sent: 20,
      stored: 14,
      rejected: 2,
      missing: 4,
      repeated: 6,
    })
  })

  it('give a first funnel: the usual steps of a shop that happen, else the most frequent types', () => {
    assert.deepEqual(firstSteps(['click', 'purchase', 'pageView']), ['pageView', 'purchase'])
    assert.deepEqual(firstSteps(['d', 'c', 'b', 'a']), ['d', 'c', 'b'])
    assert.deepEqual(firstSteps([]), [])
  })
})
