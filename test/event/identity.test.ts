import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import {
  createIdentifier,
  createPageViewId,
  type EventId,
  randomPart,
} from '../../src/event/identifier.ts'
import { identityOf, parseBase36, parseIdentifier, sequenceOf } from '../../src/event/identity.ts'

const bytes = Uint8Array.from({ length: 32 }, (_, index) => index * 7)

describe('identifiers', () => {
  test('have the form and the alphabet of Divolte', () => {
    const all = Uint8Array.from({ length: 64 }, (_, index) => index)
    assert.equal(
      randomPart(all),
      'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxzy0123456789~_',
    )
    assert.match(createIdentifier(1570226155576, bytes), /^0:k1co3zug:[A-Za-z0-9~_]{32}$/)
    assert.match(createPageViewId(bytes), /^0:[A-Za-z0-9~_]{32}$/)
  })

  test('that are made can be read, and are canonical', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 8.64e15 }),
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        (timeMs, random) => {
          const identifier = createIdentifier(timeMs, random)
          assert.equal(parseIdentifier(identifier), identifier)
        },
      ),
    )
  })
})

describe('parseIdentifier', () => {
  test('writes the time in one way', () => {
    assert.equal(parseIdentifier('0:KF12OT8G:abc'), '0:kf12ot8g:abc')
    assert.equal(parseIdentifier('0:00kf:abc'), '0:kf:abc')
    assert.equal(parseIdentifier('0:+1:abc'), '0:1:abc')
    assert.equal(parseIdentifier('0:-1:abc'), '0:-1:abc')
    assert.equal(parseIdentifier('0:1:'), '0:1:')
  })

  test('keeps all digits of times that no number can hold', () => {
    assert.equal(parseIdentifier('0:1Y2P0IJ32E8E7:a'), '0:1y2p0ij32e8e7:a')
    assert.equal(parseIdentifier('0:-1y2p0ij32e8e8:a'), '0:-1y2p0ij32e8e8:a')
  })

  test('refuses anything else', () => {
    for (const text of [
      '',
      '0',
      '0:1',
      '1:1:a',
      '00:1:a',
      '0:***:abc',
      '0:1.5:a',
      '0:a:b:c',
      '0::a',
      '0:1y2p0ij32e8e8:a',
    ]) {
      assert.equal(parseIdentifier(text), null, text)
    }
  })
})

describe('parseBase36', () => {
  test('takes what a signed 64-bit integer can hold', () => {
    assert.equal(parseBase36('kf12ot8g'), 1600000000000)
    assert.equal(parseBase36('-G8I76C'), Number.parseInt('-g8i76c', 36))
    assert.equal(parseBase36('1y2p0ij32e8e7'), 2 ** 63)
    for (const text of ['', '1.5', '*!', '1y2p0ij32e8e8', 'zzzzzzzzzzzzzz', ' 1', '1 ']) {
      assert.equal(parseBase36(text), null, text)
    }
  })

  test('reads every integer that was written in base 36', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (value) => parseBase36(value.toString(36)) === value),
    )
  })
})

describe('sequenceOf', () => {
  test('is the counter behind the page view', () => {
    assert.equal(sequenceOf('0:PvPv0', '0:PvPv'), 0)
    assert.equal(sequenceOf('0:PvPv1a', '0:PvPv'), 26)
    assert.equal(sequenceOf('0:PvPv7fffffff', '0:PvPv'), 2 ** 31 - 1)
  })

  test('is null where the event id does not go on from its page view by a counter', () => {
    for (const eventId of ['0:PvPv', '0:PvPv01', '0:PvPvA', '0:PvPv80000000', '0:PvPv-1', 'x0']) {
      assert.equal(sequenceOf(eventId, '0:PvPv'), null, eventId)
    }
    assert.equal(sequenceOf('0', ''), null)
    assert.equal(sequenceOf('0', null), null)
  })
})

test('two parties may use one event id', () => {
  const eventId = 'e1' as EventId
  const identities = ['0:1:a', '0:1:b'].map((party) => identityOf(party as never, eventId))
  assert.equal(new Set([...identities, identityOf(null, eventId)]).size, 3)
})
