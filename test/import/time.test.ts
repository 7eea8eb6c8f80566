import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseDayAndClock, parseTime } from '../../src/import/time.ts'

const june = Date.UTC(1999, 5, 24, 10, 6, 37)

test('times are read in the forms that files have, without a zone as UTC', () => {
  const cases: readonly (readonly [unknown, number | null])[] = [
    ['1999-06-24T10:06:37Z', june],
    ['1999-06-24T10:06:37.250Z', june + 250],
    ['1999-06-24 10:06:37', june],
    ['1999-06-24T12:06:37+02:00', june],
    ['1999-06-24 12:06:37+0200', june],
    ['1999-06-24 12:06:37 +02', june],
    ['1999-06-24 10:06:37 UTC', june],
    ['1999-06-24 10:06', june - 37_000],
    ['1999-06-24', Date.UTC(1999, 5, 24)],
    [' 1999-06-24 10:06:37 ', june],
    ['1396437466.94', 1_396_437_466_940],
    ['1396438212.318', 1_396_438_212_318],
    ['1396437466', 1_396_437_466_000],
    ['1396437466940', 1_396_437_466_940],
    ['1396437466940123', 1_396_437_466_940],
    [1_396_437_466.94, 1_396_437_466_940],
    ['1.396437466e9', 1_396_437_466_000],
    ['0', 0],
    ['-1', -1_000],
    ['1999-02-30 10:00:00', null],
    ['1999-06-24 25:00:00', null],
    ['24/06/1999 10:06:37', null],
    ['', null],
    ['yesterday', null],
    ['0x10', null],
    [null, null],
    [true, null],
    [Number.NaN, null],
  ]
  for (const [value, expected] of cases) {
    assert.equal(parseTime(value), expected, JSON.stringify(value))
  }
})

test('a unit that is given decides what a number counts', () => {
  assert.equal(parseTime('1396437466', 'ms'), 1_396_437_466)
  assert.equal(parseTime('1396437466940', 's'), 1_396_437_466_940_000)
  assert.equal(parseTime('1396437466', 'us'), 1_396_437)
  assert.equal(parseTime('1999-06-24T10:06:37Z', 's'), june)
})

test('a day and a time of day make one time', () => {
  assert.equal(parseDayAndClock('1999-06-24', '10:06:37'), june)
  assert.equal(parseDayAndClock('1999-06-24', ''), null)
  assert.equal(parseDayAndClock('1999-06-31', '10:06:37'), null)
  assert.equal(parseDayAndClock(1999, '10:06:37'), null)
})
