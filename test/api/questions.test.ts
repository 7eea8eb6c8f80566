import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it, type TestContext } from 'node:test'
import type { AnswerName } from '../../src/api/schema.ts'
import type { PartyId } from '../../src/event/identifier.ts'
import { dayMs, minuteMs } from '../../src/lib/clock.ts'
import { openEmbeddedStore } from '../../src/store/embedded/embedded.ts'
import type { DeadLetter, Row, Store } from '../../src/store/store.ts'
import { positionOf, rowOf } from '../query/memory-store.ts'
import { type Answer, assertShape, now, sceneOf } from './scene.ts'

/** The questions over HTTP, from the store that people run. */

let folder: string
let store: Store

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-questions-'))
  store = await openEmbeddedStore({ folder, memoryBytes: 128 * 1024 * 1024, threads: 1 })
  await store.write({ rows: shopRows(), deadLetters: [letter], positions: [] })
})

after(async () => {
  await store.close()
  await rm(folder, { recursive: true, force: true })
})

const day = now - (now % dayMs)
const odd = [`o'"; DROP TABLE events; --`, '🎉/é', '__proto__', '%2F%', '<b>&amp;']

const letter: DeadLetter = {
  position: positionOf(1_000, 'rejected'),
  receivedAt: now,
  code: 'body_not_json',
  message: '',
  source: 'json',
  value: Buffer.from(''),
  schema: '',
  replayable: true,
}

/**
 * One party comes on Monday 2 March, looks at two pages and buys; comes again on the 10th, and a
 * bot too. Odd ones have an event each on the 9th. One event of the 10th was sent three times, and
 * the one before it was lost.
 */
function shopRows(): Row[] {
  const partyId = '0:iq8k:anna' as PartyId
  const monday = day - 8 * dayMs
  const item = { itemId: '17', location: 'https://shop.example/item/17?ref=a#top' }
  const inMonday: Partial<Row>[] = [
    { eventType: 'pageView', ...item, referer: 'https://www.search.example/?q=mill' },
    { eventType: 'addToBasket', ...item },
    { eventType: 'pageView', referer: 'https://shop.example/item/17' },
    { eventType: 'purchase', itemId: '18' },
  ]
  const rows = inMonday.map((over, n) =>
    rowOf(n, monday + n * minuteMs, { partyId, country: 'NL', ...over }),
  )
  const again = rowOf(6, day, { partyId, eventType: 'pageView', ...item })
  rows.push(again, { ...again, receivedAt: day + 1 }, { ...again, receivedAt: day + 2 })
  rows.push(rowOf(8, day, { bot: 'crawler', itemId: '19', eventType: 'pageView' }))
  for (const [n, text] of odd.entries()) {
    const over = { partyId: text as PartyId, eventType: text, itemId: text }
    rows.push(rowOf(100 + 4 * n, day - dayMs + n, over))
  }
  return rows.map((row, offset) => ({ ...row, position: positionOf(offset) }))
}

async function sceneOver(t: TestContext): Promise<(path: string) => Promise<Answer>> {
  const { ask } = await sceneOf(t, {}, { store })
  return ask
}

describe('the questions that count', () => {
  const cases: readonly [path: string, answer: AnswerName, rows: unknown][] = [
    [
      'uniques?last=30d',
      'uniques',
      [
        { day: '2026-03-02', parties: 1 },
        { day: '2026-03-09', parties: 5 },
        { day: '2026-03-10', parties: 1 },
      ],
    ],
    [
      'top-items?limit=2',
      'topItems',
      [
        { itemId: '17', count: 3 },
        { itemId: '%2F%', count: 1 },
      ],
    ],
    ['top-items?last=1d&bots=include&item=19', 'topItems', [{ itemId: '19', count: 1 }]],
    [
      'top-pages',
      'topPages',
      [
        { page: 'https://shop.example/item/17', count: 2 },
        { page: 'https://shop.example/', count: 1 },
      ],
    ],
    ['top-pages?eventType=purchase', 'topPages', [{ page: 'https://shop.example/', count: 1 }]],
    ['top-referrers', 'topReferrers', [{ referrer: 'www.search.example', count: 1 }]],
    [
      'countries',
      'countries',
      [
        { country: 'unknown', count: 6 },
        { country: 'NL', count: 4 },
      ],
    ],
    ['countries?country=nl', 'countries', [{ country: 'NL', count: 4 }]],
    ['devices', 'devices', [{ device: 'Personal computer', count: 10 }]],
    ['devices?by=browser', 'devices', [{ device: 'Chrome', count: 10 }]],
    ['devices?by=system&device=Smartphone', 'devices', []],
    [
      'sessions',
      'sessions',
      [
        { day: '2026-03-02', sessions: 1, events: 4, bounces: 0, meanSeconds: 180 },
        { day: '2026-03-09', sessions: 5, events: 5, bounces: 5, meanSeconds: 0 },
        { day: '2026-03-10', sessions: 1, events: 1, bounces: 1, meanSeconds: 0 },
      ],
    ],
    [
      'funnel?steps=pageView,addToBasket,pageView,purchase,pageView,purchase',
      'funnel',
      [
        { step: 'pageView', parties: 1 },
        { step: 'addToBasket', parties: 1 },
        { step: 'pageView', parties: 1 },
        { step: 'purchase', parties: 1 },
        { step: 'pageView', parties: 1 },
        { step: 'purchase', parties: 0 },
      ],
    ],
    [
      'retention',
      'retention',
      [
        { week: '2026-03-02', parties: 1, returned: [1, 1] },
        { week: '2026-03-09', parties: 5, returned: [5] },
      ],
    ],
    [
      'accounting?last=1d',
      'accounting',
      [{ day: '2026-03-10', sent: 5, stored: 2, rejected: 1, missing: 2, repeated: 2 }],
    ],
    [
      'accounting?last=1d&bots=exclude',
      'accounting',
      [{ day: '2026-03-10', sent: 4, stored: 1, rejected: 1, missing: 2, repeated: 2 }],
    ],
  ]
  for (const [path, name, rows] of cases) {
    it(`answers /api/${path}`, async (t) => {
      const ask = await sceneOver(t)
      const { status, json, headers } = await ask(`/api/${path}`)
      assert.equal(status, 200, JSON.stringify(json))
      assertShape(name, json)
      assert.deepEqual(json.rows, rows)
      assert.equal(headers['cache-control'], 'no-store')
    })
  }

  it('count a party that comes back once in the whole range', async (t) => {
    const ask = await sceneOver(t)
    assert.equal((await ask('/api/uniques?last=30d')).json.parties, 6)
    assert.equal((await ask('/api/uniques?last=1d')).json.parties, 1)
    assert.deepEqual((await ask('/api/uniques?from=1999-01-01&to=1999-12-31')).json, {
      rows: [],
      parties: 0,
    })
  })

  it('take odd event types and ids as they are', async (t) => {
    const ask = await sceneOver(t)
    for (const text of odd) {
      const value = encodeURIComponent(text)
      const { json } = await ask(`/api/top-items?item=${value}&party=${value}`)
      assert.deepEqual(json.rows, [{ itemId: text, count: 1 }])
      const funnel = (await ask(`/api/funnel?steps=${value},${value}`)).json.rows
      assert.deepEqual(funnel, [
        { step: text, parties: 1 },
        { step: text, parties: 0 },
      ])
    }
  })
})

describe('GET /api/parties/ID', () => {
  it("answers a party's way, newest session first, page by page", async (t) => {
    const ask = await sceneOver(t)
    const first = (await ask('/api/parties/0:iq8k:anna?limit=1')).json
    assertShape('party', first)
    const { partyId, firstSeen, lastSeen, events, sessions, next } = first
    assert.deepEqual(
      [partyId, firstSeen, lastSeen, events],
      ['0:iq8k:anna', '2026-03-02T00:00:00.000Z', '2026-03-10T00:00:00.000Z', 5],
    )
    assert.deepEqual([sessions.length, sessions[0].events.length], [1, 1])
    const second = (await ask(`/api/parties/0:iq8k:anna?limit=1&after=${next}`)).json
    assert.deepEqual([second.sessions.length, second.next, second.events], [1, null, 5])
    const [monday] = second.sessions
    assert.equal(monday.start, '2026-03-02T00:00:00.000Z')
    assert.equal(monday.end, '2026-03-02T00:03:00.000Z')
    assert.deepEqual(
      monday.events.map(({ eventType }: { eventType: string }) => eventType),
      ['pageView', 'addToBasket', 'pageView', 'purchase'],
    )
  })

  it('finds ids with quotes, slashes, percent signs and emoji', async (t) => {
    const ask = await sceneOver(t)
    for (const id of odd) {
      const { status, json } = await ask(`/api/parties/${encodeURIComponent(id)}?last=30d`)
      assert.equal(status, 200, id)
      assert.deepEqual([json.partyId, json.events], [id, 1])
      assert.equal(json.sessions[0].events[0].partyId, id)
    }
  })

  it('answers no events for one that nobody has seen', async (t) => {
    const ask = await sceneOver(t)
    const { status, json } = await ask('/api/parties/constructor')
    assert.equal(status, 200)
    assert.deepEqual(json, {
      partyId: 'constructor',
      firstSeen: null,
      lastSeen: null,
      events: 0,
      next: null,
      sessions: [],
    })
  })
})

describe('a bad question', () => {
  it('has its code and names what is wrong and what would be right', async (t) => {
    const ask = await sceneOver(t)
    const { next } = (await ask('/api/parties/0:iq8k:anna?limit=1')).json
    const { next: eventsNext } = (await ask('/api/events?limit=1&party=0:iq8k:anna')).json
    const cases: readonly [path: string, status: number, code: string, words: RegExp][] = [
      ['uniques?last=3661d', 422, 'question_too_large', /3661 days, where 3660/],
      ['sessions?from=2000-01-01', 422, 'question_too_large', /3660/],
      ['retention?last=99999d', 422, 'question_too_large', /3660/],
      ['parties/a?from=2000-01-01&to=2026-01-01', 422, 'question_too_large', /3660/],
      ['top-items?limit=1001', 400, 'question_invalid', /limit is at most 1000$/],
      ['top-pages?limit=1e9', 400, 'question_invalid', /limit is a number from 1 to 1000/],
      ['parties/a?limit=1001', 400, 'question_invalid', /limit is at most 1000; go on with/],
      ['funnel', 400, 'question_invalid', /steps is missing/],
      ['funnel?steps=a', 400, 'question_invalid', /2 to 10 event types/],
      ['devices?by=__proto__', 400, 'question_invalid', /by is device or browser or system/],
      ['countries?contry=NL', 400, 'question_invalid', /did you mean country\?/],
      ['accounting?item=1', 400, 'question_invalid', /unknown parameter "item"/],
      ['parties/a?party=b', 400, 'question_invalid', /unknown parameter "party"/],
      ['parties/', 400, 'question_invalid', /the party is empty/],
      ['parties/%zz', 400, 'question_invalid', /%zz/],
      [`parties/${'x'.repeat(1_025)}`, 400, 'question_invalid', /longer than 1024/],
      ['uniques?bots=1', 400, 'question_invalid', /bots is exclude or include/],
      [`parties/0:iq8k:other?after=${next}`, 400, 'token_foreign', /another question/],
      [`parties/0:iq8k:anna?after=${eventsNext}`, 400, 'token_foreign', /another question/],
      [`events?party=0:iq8k:anna&after=${next}`, 400, 'token_foreign', /another question/],
      ['parties/0:iq8k:anna?after=x', 400, 'question_invalid', /not a continuation token/],
    ]
    for (const [path, status, code, words] of cases) {
      const answer = await ask(`/api/${path}`)
      assertShape('error', answer.json)
      assert.deepEqual([answer.status, answer.json.error.code], [status, code], path)
      assert.match(answer.json.error.message, words, path)
      // The words of a library for the shapes of values are for programmers.
      assert.doesNotMatch(answer.json.error.message, /expected|too big|too small/i, path)
    }
  })

  it('that takes too long is given up with its limit', async (t) => {
    const slow = await mkdtemp(join(tmpdir(), 'millrace-slow-'))
    const options = { folder: slow, memoryBytes: 128 * 1024 * 1024, threads: 1, questionMsMax: 0 }
    const hasty = await openEmbeddedStore(options)
    const rows = Array.from({ length: 20_000 }, (_, n) => rowOf(n, now - n))
    await hasty.write({ rows, deadLetters: [], positions: [] })
    const { ask } = await sceneOf(t, {}, { store: hasty })
    t.after(async () => {
      await hasty.close()
      await rm(slow, { recursive: true, force: true })
    })
    const { status, json } = await ask('/api/sessions')
    assert.deepEqual([status, json.error.code], [422, 'question_too_large'])
    assert.match(json.error.message, /longer than 0 ms/)
  })
})
