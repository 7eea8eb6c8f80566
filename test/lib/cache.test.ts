import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { createCache } from '../../src/lib/cache.ts'

describe('createCache', () => {
  test('never holds more than it may, and gives back only what was set', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 30 })),
        fc.integer({ min: 2, max: 10 }),
        (keys, max) => {
          const cache = createCache<string>(max)
          for (const key of keys) {
            const found = cache.get(`${key}`)
            assert.ok(found === undefined || found === `value ${key}`)
            cache.set(`${key}`, `value ${key}`)
            assert.equal(cache.get(`${key}`), `value ${key}`)
            assert.ok(cache.size() <= max)
          }
        },
      ),
    )
  })

  test('keeps what is used again and again, whatever else passes by', () => {
    const cache = createCache<number>(10)
    cache.set('often', 1)
    for (let index = 0; index < 1000; index++) {
      assert.equal(cache.get('often'), 1)
      cache.set(`once ${index}`, index)
    }
    assert.equal(cache.get('once 0'), undefined)
  })
})
