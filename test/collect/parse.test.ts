import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { checksumOf, parsePairs, parseQuery } from '../../src/collect/parse.ts'
import { canonicalPath } from '../../src/collect/path.ts'
import { isMillraceError } from '../../src/event/error.ts'

describe('parseQuery', () => {
  test('gives the first value of each letter, as URLSearchParams does', () => {
    const pair = fc.tuple(
      fc.constantFrom('p', 's', 'v', 'e', 'c', 'l', 'u', 't', 'x', 'utm_source', 'P', 'é'),
      fc.string({ unit: 'grapheme' }),
    )
    fc.assert(
      fc.property(fc.array(pair), (pairs) => {
        const query = new URLSearchParams(pairs).toString()
        const expected = new URLSearchParams(query)
        const fields = parseQuery(query)
        for (const name of ['p', 's', 'v', 'e', 'c', 'l', 'u', 't'] as const) {
          assert.equal(fields[name] ?? null, expected.get(name))
        }
      }),
    )
  })

  test('finds the event intact exactly when the checksum covers all other parameters', () => {
    const pair = fc.tuple(
      fc.constantFrom('p', 's', 'l', 'u', 'abc'),
      fc.string({ unit: 'grapheme' }),
    )
    fc.assert(
      fc.property(fc.array(pair, { minLength: 1 }), fc.nat(), (pairs, seed) => {
        const query = new URLSearchParams(pairs).toString()
        const x = checksumOf(parsePairs(query))
        assert.ok(parseQuery(`${query}&x=${x}`).intact)
        assert.ok(parseQuery(`x=${x.toUpperCase()}&${query}`).intact)
        assert.ok(!parseQuery(query).intact)
        assert.ok(!parseQuery(`${query}&x=`).intact)
        assert.ok(!parseQuery(`${query}&y=${seed}&x=${x}`).intact)
      }),
    )
  })

  test('does not take the unsigned form of a negative checksum', () => {
    const query = 'p=0:a:b&s=0:c:d'
    assert.ok(parseQuery(`${query}&x=-88kwld`).intact)
    const unsigned = (Number.parseInt('-88kwld', 36) >>> 0).toString(36)
    assert.ok(!parseQuery(`${query}&x=${unsigned}`).intact)
  })

  test('takes an emoji for what it is', () => {
    const query = 'l=%F0%9F%98%80'
    const fields = parseQuery(`${query}&x=${checksumOf([['l', ['😀']]])}`)
    assert.deepEqual([fields.l, fields.intact], ['😀', true])
  })

  test('undoes the escapes of a name too', () => {
    assert.equal(parseQuery('%70=a%2Bb+c').p, 'a+b c')
  })

  test('refuses broken escapes and raw bytes', () => {
    for (const query of [
      'p=%',
      'p=%4',
      'p=%zz',
      'p=a%FFb',
      'p=%C3',
      '%=1',
      'p=%ED%A0%80',
      'l=é',
      'l=a b',
    ]) {
      assert.throws(
        () => parseQuery(query),
        (thrown) => isMillraceError(thrown, 'query_undecodable'),
        query,
      )
    }
  })

  test('takes empty, nameless and valueless pairs as they come', () => {
    const fields = parseQuery('&&p&s=&=x&t=a=b&')
    assert.deepEqual([fields.p, fields.s, fields.t, fields.v], ['', '', 'a=b', undefined])
  })
})

test('canonicalPath understands the paths that Divolte understands', () => {
  for (const path of [
    '/csc-event',
    '/csc-event/',
    '//csc-event',
    '/x/../csc-event',
    '/./csc-event',
    '/../csc-event',
    'http://a.example:80/csc-event',
  ]) {
    assert.equal(canonicalPath(path), '/csc-event', path)
  }
  assert.equal(canonicalPath('/'), '/')
  assert.equal(canonicalPath('*'), '/*')
})
