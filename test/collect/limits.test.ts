import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createBudget, createRateLimit } from '../../src/collect/limits.ts'

function createClock() {
  let now = 1_000_000
  return {
    clock: () => now,
    advance(ms: number) {
      now += ms
    },
  }
}

describe('a rate limit', () => {
  test('lets a burst pass, then the sustained rate, for each key by itself', () => {
    const { clock, advance } = createClock()
    const limit = createRateLimit(10, 5, clock)
    assert.deepEqual(
      [1, 2, 3, 4, 5].map(() => limit('a')),
      [0, 0, 0, 0, 0],
    )
    assert.equal(limit('a'), 1)
    assert.equal(limit('b'), 0)
    advance(100)
    assert.equal(limit('a'), 0)
    assert.ok(limit('a') > 0)
    advance(60_000)
    assert.deepEqual(
      [1, 2, 3, 4, 5].map(() => limit('a')),
      [0, 0, 0, 0, 0],
    )
    assert.ok(limit('a') > 0)
  })

  test('is not confused by a clock that is set back', () => {
    const { clock, advance } = createClock()
    const limit = createRateLimit(1, 1, clock)
    assert.equal(limit('a'), 0)
    advance(-3_600_000)
    assert.ok(limit('a') > 0)
    advance(1_000)
    assert.equal(limit('a'), 0)
  })

  test('of 0 lets everything pass', () => {
    const limit = createRateLimit(0, 1, () => 0)
    for (let index = 0; index < 1000; index++) assert.equal(limit('a'), 0)
  })

  test('still limits after more addresses than it remembers', () => {
    const limit = createRateLimit(1, 1, () => 0)
    for (let index = 0; index < 200_000; index++) limit(`address ${index}`)
    assert.equal(limit('last'), 0)
    assert.ok(limit('last') > 0)
  })
})

describe('a budget', () => {
  test('ends by number and by bytes, and comes back with time', () => {
    const { clock, advance } = createClock()
    const byNumber = createBudget(2, 1000, clock)
    assert.deepEqual([byNumber(1), byNumber(1), byNumber(1)], [true, true, false])
    const byBytes = createBudget(100, 1000, clock)
    assert.deepEqual([byBytes(600), byBytes(600), byBytes(300)], [true, false, true])
    advance(1_000)
    assert.deepEqual([byNumber(1), byBytes(1000)], [true, true])
  })

  test('of 0 keeps nothing', () => {
    assert.equal(createBudget(0, 1000, () => 0)(1), false)
    assert.equal(createBudget(10, 0, () => 0)(1), false)
  })
})
