import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { canonicalText, murmur3, type ParameterValues } from '../../src/event/checksum.ts'
import { readVectors } from './vectors.ts'

function checksum(text: string): string {
  return murmur3(Buffer.from(text)).toString(36)
}

describe('murmur3', () => {
  test('has the values of the recorded cases', (t) => {
    const cases = readVectors<Record<string, string>[]>(t, 'murmur')
    if (cases === undefined) return
    assert.ok(cases.length > 5)
    for (const { murmur3_32_utf8_seed0_signed: text = '', base36 } of cases) {
      assert.equal(checksum(text), base36, text)
    }
  })

  test('is the standard hash, also where the hash of the original server was wrong', (t) => {
    assert.equal(checksum('😀'), '-i483ra')
    const cases = readVectors<Record<string, string>[]>(t, 'guavaHashStringBug')
    if (cases === undefined) return
    for (const { text = '', client_and_standard_base36: standard } of cases) {
      assert.equal(checksum(text), standard, text)
    }
  })

  test('has known values for every length of the tail', () => {
    const known = ['0', 'gos6uq', '-rtdin5', undefined, 'iui9nu']
    for (const [length, base36] of known.entries()) {
      if (base36 !== undefined) assert.equal(checksum('abcd'.slice(0, length)), base36)
    }
    assert.equal(checksum('hello'), 'a5205j')
    assert.equal(checksum('é'), '4ghf9j')
    assert.equal(checksum('日本'), '-getghq')
  })

  test('covers only the bytes that it is told to', () => {
    assert.equal(murmur3(Buffer.from('hello, and more'), 5), murmur3(Buffer.from('hello')))
  })
})

describe('canonicalText', () => {
  test('sorts by name and keeps the order of repeated values', () => {
    const parameters: ParameterValues[] = [
      ['b', ['2', '1']],
      ['a', ['']],
    ]
    assert.equal(canonicalText(parameters), 'a=,;b=2,1,;')
    assert.equal(checksum(canonicalText(parameters)), '-5o20rf')
  })

  test('gives the recorded texts and checksums', (t) => {
    const cases = readVectors<{ query: string; canonical: string; x: string }[]>(
      t,
      'checksumWorked',
    )
    if (cases === undefined) return
    assert.ok(cases.length > 5)
    for (const { query, canonical, x } of cases) {
      const parameters = [...new URLSearchParams(query)].filter(([name]) => name !== 'x')
      const text = canonicalText(parameters.map(([name, value]) => [name, [value]]))
      assert.equal(text, canonical)
      assert.equal(checksum(text), x)
    }
  })
})
