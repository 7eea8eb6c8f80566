import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { isMillraceError } from '../../src/event/error.ts'
import { encodeMincode } from '../../src/event/mincode.ts'
import { decodeMincode } from '../../src/event/mincode-decode.ts'
import { readVectors } from './vectors.ts'

const depthMax = 16

function roundTrip(value: unknown): unknown {
  const text = encodeMincode(value)
  assert.ok(text !== undefined)
  return JSON.parse(JSON.stringify(decodeMincode(text, depthMax)))
}

function decodeToJson(text: string): string | undefined {
  return JSON.stringify(decodeMincode(text, depthMax))
}

interface RecordedMincode {
  /** The source text of the value in JavaScript. */
  readonly js: string
  readonly mincode?: string
  readonly error?: string
}

describe('encodeMincode', () => {
  test('writes what Divolte wrote, in every recorded case', (t) => {
    const cases = readVectors<RecordedMincode[]>(t, 'mincode')
    if (cases === undefined) return
    assert.ok(cases.length > 20)
    for (const { js, mincode, error } of cases) {
      const value: unknown = new Function(`return (${js})`)()
      if (error === undefined) assert.equal(encodeMincode(value), mincode, js)
      else assert.throws(() => encodeMincode(value), js)
    }
  })

  test('writes the example of the documentation', () => {
    assert.equal(
      encodeMincode({ item_id: 101321, event_date: 3213213 }),
      '(ditem_id!266h!devent_date!1wvbx!)',
    )
    assert.equal(encodeMincode([1, 'two', { three: 3 }]), 'ad1!stwo!(dthree!3!).')
  })

  test('refuses what JSON cannot say', () => {
    for (const value of [() => 1, Symbol('s'), 1n]) {
      assert.throws(
        () => encodeMincode({ value }),
        (thrown) => thrown === `Cannot encode of type: ${typeof value}`,
      )
    }
  })
})

describe('decodeMincode', () => {
  test('gives back every JSON value that was encoded', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), (text) => {
        // Integers beyond 2^53: see the numbers below.
        const value: unknown = JSON.parse(text, (_, member) =>
          Number.isInteger(member) && !Number.isSafeInteger(member) ? 0.5 : member,
        )
        assert.equal(JSON.stringify(roundTrip(value)), JSON.stringify(value))
      }),
    )
  })

  test('gives back every text, whatever characters are in it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary' }), (name, text) => {
        assert.deepEqual(roundTrip([{ [`k${name}`]: text }]), [{ [`k${name}`]: text }])
      }),
    )
  })

  test('gives back every number that has an exact text in base 36', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        // Of integers beyond 2^53 the browser itself writes only the first digits.
        fc.pre(Number.isSafeInteger(value) || !Number.isInteger(value))
        assert.equal(roundTrip(value), value === 0 ? 0 : value)
      }),
    )
  })

  test('keeps a member named __proto__ as plain data', () => {
    assert.equal(
      decodeToJson('(s__proto__!x!s__proto__y!z!)'),
      '{"__proto__":"x","__proto__y":"z"}',
    )
    assert.equal(
      Object.getPrototypeOf(decodeMincode('((__proto__!ta!))', depthMax)),
      Object.prototype,
    )
  })

  test('keeps every digit of a number beyond 2^53', () => {
    assert.equal(decodeToJson('dzzzzzzzzzzzzzzzzzzzz!'), '13367494538843734067838845976575')
    assert.equal(decodeToJson('d-zzzzzzzzzzzzzzzzzzzz!'), '-13367494538843734067838845976575')
    assert.equal(decodeToJson('j12345678901234567890.5!'), '12345678901234567890.5')
    assert.equal(decodeToJson('j1e999!'), '1e999')
  })

  test('takes the forms of a number that Java takes and JSON does not', () => {
    assert.equal(decodeToJson('aj1.!j.5!j007!dA!.'), '[1,0.5,7,10]')
  })

  test('takes the last of two members with one name, and ignores what follows the value', () => {
    assert.equal(decodeToJson('(da!1!da!2!)rest'), '{"a":2}')
  })

  test('makes lone surrogates well-formed', () => {
    assert.equal(decodeToJson('s\ud800!'), '"\ufffd"')
    assert.equal(decodeToJson('(s\udc00!x!)'), '{"\ufffd":"x"}')
  })

  test('answers undefined to anything malformed, and never fails otherwise', () => {
    for (const text of [
      '',
      'garbage',
      'o',
      '(oa!)',
      's',
      'sx',
      '(',
      'a',
      'd!',
      'dä!',
      'j--1!',
      '(sa!',
    ]) {
      assert.equal(decodeMincode(text, depthMax), undefined, text)
    }
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'()a.sdjtfn!~x1e-') }), (text) => {
        try {
          decodeMincode(text, depthMax)
        } catch (thrown) {
          assert.ok(isMillraceError(thrown, 'parameters_too_large'))
        }
      }),
    )
  })

  test('refuses what is nested deeper than allowed, however deep', () => {
    assert.equal(
      decodeToJson(`${'a'.repeat(16)}${'.'.repeat(16)}`),
      `${'['.repeat(16)}${']'.repeat(16)}`,
    )
    for (const depth of [17, 100_000]) {
      for (const open of ['a', '(a!']) {
        const text = open === 'a' ? open.repeat(depth) : `(${'(a!'.repeat(depth)}`
        assert.throws(
          () => decodeMincode(text, depthMax),
          (thrown) => isMillraceError(thrown, 'parameters_too_large'),
        )
      }
    }
  })
})
