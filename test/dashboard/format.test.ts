import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  formatAge,
  formatBytes,
  formatCountry,
  formatPlace,
  formatRecent,
  formatShare,
  formatSpan,
  formatTime,
  isWebAddress,
} from '../../src/dashboard/format.ts'

describe('texts for people', () => {
  it('say a length of time in its two greatest units', () => {
    const texts = [0, 59.4, 59.6, 60, 150, 3_600, 7_260, 86_400, 180_000].map(formatSpan)
    assert.deepEqual(texts, [
      '0 s',
      '59 s',
      '1 min',
      '1 min',
      '2 min 30 s',
      '1 h',
      '2 h 1 min',
      '1 day',
      '2 days 2 h',
    ])
  })

  it('say an age by one clock, and nothing is in the future', () => {
    const now = Date.parse('2026-03-10T12:00:00Z')
    assert.equal(formatAge('2026-03-10T11:59:30.500Z', now), '29 s ago')
    assert.equal(formatAge('2026-03-10T12:00:05Z', now), 'now')
  })

  it('name the day of a time that is not today', () => {
    const now = Date.parse('2026-03-10T12:00:00Z')
    const at = (ms: number): string => formatRecent(new Date(now - ms).toISOString(), now)
    assert.equal(at(1_000), formatTime('2026-03-10T11:59:59Z'))
    assert.notEqual(at(48 * 3_600_000), formatTime('2026-03-08T12:00:00Z'))
    assert.match(at(48 * 3_600_000), /8/)
  })

  it('never round something to nothing, nor almost all to all', () => {
    assert.equal(formatShare(0, 0), '–')
    assert.match(formatShare(1, 1_000_000), /^< /)
    assert.match(formatShare(999_999, 1_000_000), /^> /)
    assert.match(formatShare(1, 1), /^100/)
    assert.match(formatShare(0, 5), /^0/)
  })

  it('take only http and https for addresses of pages', () => {
    for (const text of ['http://a.example', 'HTTPS://a.example/x']) assert.ok(isWebAddress(text))
    for (const text of [
      'javascript:alert(1)',
      ' https://a.example',
      'data:text/html,x',
      'https://',
      '//a.example',
      'java\nscript:https://a',
    ]) {
      assert.ok(!isWebAddress(text), text)
    }
    assert.equal(formatPlace('https://shop.example/a?b=c#d'), 'shop.example/a?b=c')
    assert.equal(formatPlace('javascript:alert(1)'), 'javascript:alert(1)')
  })

  it('name countries, and leave what is none as it is', () => {
    assert.notEqual(formatCountry('DE'), 'DE')
    assert.equal(formatCountry('unknown'), 'Unknown')
    assert.equal(formatCountry('<b>'), '<b>')
  })

  it('give bytes a unit', () => {
    assert.equal(formatBytes(0), '0 B')
    assert.match(formatBytes(1_500_000), /^1.5 MB$/)
    assert.match(formatBytes(10 ** 18), / TB$/)
  })
})
