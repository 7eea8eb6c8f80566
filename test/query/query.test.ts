import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isMillraceError } from '../../src/event/error.ts'
import type { EventId, PartyId } from '../../src/event/identifier.ts'
import {
  filterParameters,
  matchesFilter,
  parseFilter,
  parseLimit,
  parseRange,
  rangeParameters,
  readParameters,
} from '../../src/query/query.ts'
import { rowOf } from './memory-store.ts'

const known = {
  ...rangeParameters,
  ...filterParameters,
  limit: { description: '', type: 'integer' },
} as const
const now = Date.parse('2026-03-10T15:30:00Z')

function read(text: string): ReadonlyMap<string, string> {
  return readParameters(text, known)
}

function rangeOf(text: string): [string, string] {
  const { from, to } = parseRange(read(text), now)
  return [new Date(from).toISOString(), new Date(to).toISOString()]
}

function refuses(text: string, code: string, words: RegExp): void {
  assert.throws(
    () => {
      const parameters = read(text)
      parseRange(parameters, now)
      parseFilter(parameters)
      parseLimit(parameters, 500)
    },
    (thrown) => isMillraceError(thrown) && thrown.code === code && words.test(thrown.message),
    text,
  )
}

describe('the range of a question', () => {
  it('is today and the 29 days before, UTC, when none is given', () => {
    const expected = ['2026-02-09T00:00:00.000Z', '2026-03-11T00:00:00.000Z']
    assert.deepEqual(rangeOf(''), expected)
    assert.deepEqual(rangeOf('last=30d'), expected)
  })

  it('is today alone with last=1d, to the last ms of the day', () => {
    const lastMs = Date.parse('2026-03-10T23:59:59.999Z')
    const { from, to } = parseRange(read('last=1d'), lastMs)
    assert.equal(new Date(from).toISOString(), '2026-03-10T00:00:00.000Z')
    assert.equal(to, lastMs + 1)
  })

  it('takes any number of days to ten years', () => {
    assert.equal(rangeOf('last=60d')[0], '2026-01-10T00:00:00.000Z')
    assert.equal(rangeOf('last=3660d')[1], '2026-03-11T00:00:00.000Z')
    refuses('last=3661d', 'question_too_large', /3661 days.*3660/)
    refuses('last=999999999d', 'question_too_large', /3660/)
    refuses('from=2000-01-01', 'question_too_large', /3660/)
  })

  it('includes both days of from and to', () => {
    assert.deepEqual(rangeOf('from=2026-02-01&to=2026-02-28'), [
      '2026-02-01T00:00:00.000Z',
      '2026-03-01T00:00:00.000Z',
    ])
    assert.deepEqual(rangeOf('from=2026-02-01&to=2026-02-01')[1], '2026-02-02T00:00:00.000Z')
  })

  it('ends today when only from is given', () => {
    assert.deepEqual(rangeOf('from=2026-03-01')[1], '2026-03-11T00:00:00.000Z')
  })

  it('takes instants with a zone, also with a + that became a space', () => {
    const expected = ['2026-03-01T10:00:00.000Z', '2026-03-01T11:30:00.500Z']
    assert.deepEqual(rangeOf('from=2026-03-01T10:00Z&to=2026-03-01T11:30:00.500Z'), expected)
    assert.deepEqual(
      rangeOf('from=2026-03-01T12:00:00%2B02:00&to=2026-03-01T13:30:00.5+02:00'),
      expected,
    )
  })

  it('refuses what is no range and says what one is', () => {
    refuses('last=24h', 'question_invalid', /30d.*"24h"/)
    refuses('last=0d', 'question_invalid', /number of days/)
    refuses('last=-1d', 'question_invalid', /number of days/)
    refuses('last=1.5d', 'question_invalid', /number of days/)
    refuses('to=2026-03-01', 'question_invalid', /to needs from/)
    refuses('last=30d&from=2026-03-01', 'question_invalid', /together/)
    refuses('from=2026-03-02&to=2026-03-01', 'question_invalid', /not before/)
    refuses('from=2026-03-01T10:00Z&to=2026-03-01T10:00Z', 'question_invalid', /not before/)
    refuses('from=2027-01-01', 'question_invalid', /not before/)
    refuses('from=2026-02-30', 'question_invalid', /from is a day/)
    refuses('from=2026-02-30T00:00:00Z', 'question_invalid', /from is a day/)
    refuses('from=2026-13-01', 'question_invalid', /from is a day/)
    refuses('from=2026-03-01T10:00:00', 'question_invalid', /instant/)
    refuses('from=2026-03-01T25:00:00Z', 'question_invalid', /instant/)
    refuses('from=yesterday', 'question_invalid', /"yesterday"/)
  })
})

describe('the parameters of a question', () => {
  it('are refused when they are unknown, with the nearest name', () => {
    refuses('lst=30d', 'question_invalid', /unknown parameter "lst"; did you mean last\?/)
    refuses('eventtype=x', 'question_invalid', /did you mean eventType\?/)
    refuses('zzzzzzzzzz=1', 'question_invalid', /known: last, from/)
    refuses('__proto__=1', 'question_invalid', /unknown parameter "__proto__"/)
    refuses('constructor=1', 'question_invalid', /unknown parameter "constructor"/)
  })

  it('are refused when they are given twice, empty, broken or endless', () => {
    refuses('party=a&party=b', 'question_invalid', /party is given twice/)
    refuses('party=', 'question_invalid', /party is empty/)
    refuses('party', 'question_invalid', /party is empty/)
    refuses('party=%zz', 'question_invalid', /percent escape/)
    refuses('party=%C3', 'question_invalid', /percent escape/)
    refuses(`party=${'x'.repeat(1025)}`, 'question_invalid', /longer than 1024/)
  })

  it('are decoded as a form sends them', () => {
    assert.equal(read('eventType=a+b%26c%3D%F0%9F%98%80&').get('eventType'), 'a b&c=😀')
  })

  it('give a limit within the maximum, which an error names', () => {
    assert.equal(parseLimit(read('limit=500'), 500), 500)
    assert.equal(parseLimit(read(''), 500), undefined)
    for (const bad of ['0', '-1', '1.5', '1e2', 'ten', '0x10']) {
      refuses(`limit=${bad}`, 'question_invalid', /from 1 to 500/)
    }
    refuses('limit=501', 'question_invalid', /at most 500/)
  })
})

describe('the filter of a question', () => {
  it('leaves bots out unless they are asked for', () => {
    assert.deepEqual(parseFilter(read('')), { bots: 'exclude' })
    assert.deepEqual(parseFilter(read('bots=include')), { bots: 'include' })
    refuses('bots=yes', 'question_invalid', /bots is exclude or include, not "yes"/)
  })

  it('names party, session, event type and item as the store does', () => {
    assert.deepEqual(parseFilter(read('party=0:ABC:x&session=0:0z:y&eventType=click&item=17')), {
      bots: 'exclude',
      partyId: '0:abc:x',
      sessionId: '0:z:y',
      eventType: 'click',
      itemId: '17',
    })
    assert.equal(parseFilter(read('party=my-own-id')).partyId, 'my-own-id')
    assert.deepEqual(parseFilter(read('country=nl&device=Smart+TV')), {
      bots: 'exclude',
      country: 'NL',
      device: 'Smart TV',
    })
    assert.equal(parseFilter(read('country=unknown')).country, 'unknown')
  })

  it('means the same for an event that is not stored yet', () => {
    const row = rowOf(1, now, { partyId: '0:a:x' as PartyId, itemId: '17', eventType: 'click' })
    const bot = { ...row, bot: 'crawler' }
    assert.equal(matchesFilter({ bots: 'exclude' }, row), true)
    assert.equal(matchesFilter({ bots: 'exclude' }, bot), false)
    assert.equal(matchesFilter({ bots: 'include' }, bot), true)
    assert.equal(matchesFilter({ bots: 'exclude', partyId: '0:a:x', itemId: '17' }, row), true)
    assert.equal(matchesFilter({ bots: 'exclude', partyId: '0:a:y' }, row), false)
    assert.equal(matchesFilter({ bots: 'exclude', eventType: 'view' }, row), false)
    assert.equal(matchesFilter({ bots: 'exclude', itemId: '18' }, row), false)
    assert.equal(matchesFilter({ bots: 'exclude', sessionId: '18' }, row), false)
    const abroad = { ...row, country: 'NL' }
    assert.equal(matchesFilter({ bots: 'exclude', country: 'NL' }, abroad), true)
    assert.equal(matchesFilter({ bots: 'exclude', country: 'NL' }, row), false)
    assert.equal(matchesFilter({ bots: 'exclude', country: 'unknown' }, row), true)
    assert.equal(matchesFilter({ bots: 'exclude', device: 'Personal computer' }, row), true)
    assert.equal(matchesFilter({ bots: 'exclude', device: 'unknown' }, row), false)
    const nobody = { ...row, partyId: null, eventId: 'x' as EventId }
    assert.equal(matchesFilter({ bots: 'exclude', partyId: '0:a:x' }, nobody), false)
  })
})
