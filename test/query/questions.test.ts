import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isMillraceError } from '../../src/event/error.ts'
import { parseAccounting } from '../../src/query/accounting.ts'
import { askFunnel, parseFunnel } from '../../src/query/funnel.ts'
import type { QueryContext } from '../../src/query/query.ts'
import { parseRetention } from '../../src/query/retention.ts'
import { parseSessions } from '../../src/query/sessions.ts'
import { parseDevices, parseTop, parseTopOfPageViews } from '../../src/query/top.ts'
import { createMemoryStore, rowOf } from './memory-store.ts'

const now = Date.parse('2026-03-10T15:30:00Z')
const context: QueryContext = { clock: () => now, rowsMax: 5_000 }

function refuses(parse: () => unknown, words: RegExp): void {
  assert.throws(
    parse,
    (thrown) => isMillraceError(thrown, 'question_invalid') && words.test(thrown.message),
    String(words),
  )
}

describe('a top list', () => {
  it('has 20 rows unless the question says how many, 1,000 at most', () => {
    assert.equal(parseTop('', context, 'itemId').limit, 20)
    assert.equal(parseTop('limit=1000', context, 'itemId').limit, 1_000)
    refuses(() => parseTop('limit=1001', context, 'itemId'), /limit is at most 1000$/)
    refuses(() => parseTop('limit=99999999999999999999', context, 'itemId'), /from 1 to 1000/)
    refuses(() => parseDevices('limit=0', context), /from 1 to 1000/)
  })

  it('of pages and referrers is one of page views, unless another type is asked for', () => {
    const page = parseTopOfPageViews('', context, 'page')
    assert.deepEqual(page.filter, { bots: 'exclude', eventType: 'pageView' })
    const other = parseTopOfPageViews('eventType=purchase', context, 'referrer')
    assert.equal(other.filter.eventType, 'purchase')
    assert.equal(parseTop('', context, 'country').filter.eventType, undefined)
  })

  it('of devices is by category, browser or system', () => {
    assert.equal(parseDevices('', context).dimension, 'device')
    assert.equal(parseDevices('by=system', context).dimension, 'system')
    refuses(() => parseDevices('by=vendor', context), /by is device or browser or system/)
    refuses(() => parseTop('by=system', context, 'itemId'), /unknown parameter "by"/)
  })
})

describe('a funnel', () => {
  it('has 2 to 10 steps, and says so', async () => {
    refuses(() => parseFunnel('', context), /steps is missing: 2 to 10 event types/)
    refuses(() => parseFunnel('steps=a', context), /2 to 10 .*, not 1/)
    refuses(() => parseFunnel('steps=a,b,c,d,e,f,g,h,i,j,k', context), /2 to 10 .*, not 11/)
    refuses(() => parseFunnel('steps=a,,b', context), /a step of steps is empty/)
    refuses(() => parseFunnel('steps=a,b&eventType=a', context), /unknown parameter "eventType"/)
  })

  it('has a row for each step, also for one that comes twice', async () => {
    const store = createMemoryStore()
    for (const [n, eventType] of ['a', 'a', 'b'].entries()) {
      store.rows.push(rowOf(n, now + n, { eventType, partyId: rowOf(0, now).partyId }))
    }
    const rows = await askFunnel(store, parseFunnel('steps=a%2Ca,b,a', context))
    assert.deepEqual(rows, [
      { step: 'a', parties: 1 },
      { step: 'a', parties: 1 },
      { step: 'b', parties: 1 },
      { step: 'a', parties: 0 },
    ])
  })
})

describe('what does not make sense is refused', () => {
  it('sessions with some of their events left out', () => {
    refuses(() => parseSessions('eventType=pageView', context), /unknown parameter "eventType"/)
    refuses(() => parseSessions('item=1', context), /unknown parameter "item"/)
    assert.equal(parseSessions('device=Tablet', context).filter.device, 'Tablet')
  })

  it('an accounting of one party; bots count there unless they must not', () => {
    refuses(() => parseAccounting('party=a', context), /unknown parameter "party"/)
    assert.equal(parseAccounting('', context).filter.bots, 'include')
    assert.equal(parseAccounting('bots=exclude', context).filter.bots, 'exclude')
  })

  it('retention in weeks to come: the range ends today', () => {
    const today = Date.parse('2026-03-11')
    assert.equal(parseRetention('from=2026-03-01&to=2030-01-01', context).range.to, today)
    const { from, to } = parseRetention('from=2027-01-01&to=2027-02-01', context).range
    assert.equal(from, to)
  })
})
