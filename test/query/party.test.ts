import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { isMillraceError } from '../../src/event/error.ts'
import type { PartyId } from '../../src/event/identifier.ts'
import { dayMs, minuteMs } from '../../src/lib/clock.ts'
import { tokenAfter } from '../../src/query/events.ts'
import { askParty, type PartyPage, parseParty } from '../../src/query/party.ts'
import type { QueryContext } from '../../src/query/query.ts'
import { createMemoryStore, type MemoryStore, rowOf } from './memory-store.ts'

const now = Date.parse('2026-03-10T15:30:00Z')
const context: QueryContext = { clock: () => now, rowsMax: 5_000 }
const partyId = 'p' as PartyId

/** Every page, by its token, as a client asks for them. */
async function readPages(
  store: MemoryStore,
  queryText: string,
  at: QueryContext = context,
): Promise<PartyPage[]> {
  const pages: PartyPage[] = []
  let after = ''
  for (;;) {
    const question = parseParty(partyId, `${queryText}${after}`, at)
    const page = await askParty(store, question)
    pages.push(page)
    if (page.last === undefined) return pages
    after = `&after=${tokenAfter(question, page.last)}`
  }
}

function storeOf(minutes: readonly number[]): MemoryStore {
  const store = createMemoryStore()
  store.rows.push(
    ...minutes.map((minute, n) => rowOf(n, now - minute * minuteMs, { partyId })),
    rowOf(9_000, now - 15 * minuteMs),
  )
  return store
}

/** The minutes before now of each event, session by session. */
function minutesOf(pages: readonly PartyPage[]): number[][] {
  return pages.flatMap(({ sessions }) =>
    sessions.map(({ events }) => events.map(({ eventTime }) => (now - eventTime) / minuteMs)),
  )
}

describe("a party's way", () => {
  it('is its events by sessions, newest session first, each in the order of its time', async () => {
    const store = storeOf([0, 10, 40, 71, 72, 2_000])
    const [page, ...more] = await readPages(store, '')
    assert.deepEqual(minutesOf([page as PartyPage]), [[40, 10, 0], [72, 71], [2_000]])
    assert.equal(more.length, 0)
    assert.deepEqual(page?.extent, {
      events: 6,
      firstTime: now - 2_000 * minuteMs,
      lastTime: now,
    })
  })

  it('is the same whatever the pages, which cut no session', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 60 }),
        fc.integer({ min: 1, max: 4 }),
        async (minutes, limit) => {
          const store = storeOf(minutes)
          const pages = await readPages(store, `limit=${limit}`)
          assert.deepEqual(minutesOf(pages), minutesOf(await readPages(store, '')))
          for (const page of pages.slice(0, -1)) assert.equal(page.sessions.length, limit)
        },
      ),
      { numRuns: 60 },
    ))

  it('ends a page before it has too many events, and gives a longer session in parts', async () => {
    const store = storeOf([0, 1, 2, 50, 51, 100, 101, 102, 103, 104, 105, 106])
    const pages = await readPages(store, '', { ...context, rowsMax: 4 })
    assert.deepEqual(
      pages.map((page) => minutesOf([page])),
      [[[2, 1, 0]], [[51, 50]], [[103, 102, 101, 100]], [[106, 105, 104]]],
    )
  })

  it('ends a page that holds too much text', async () => {
    const store = storeOf([])
    const parameters = JSON.stringify('x'.repeat(1_000_000))
    for (let n = 0; n < 40; n++) {
      store.rows.push(rowOf(n, now - n * dayMs, { partyId, parameters }))
    }
    const pages = await readPages(store, 'limit=1000')
    assert.deepEqual(
      pages.map(({ sessions }) => sessions.length),
      [16, 16, 8],
    )
  })

  it('is everything that is stored, bots too, unless the question says less', async () => {
    const store = storeOf([])
    store.rows.push(
      rowOf(1, now - 3_000 * dayMs, { partyId }),
      rowOf(2, now, { partyId, bot: 'b' }),
    )
    const count = async (text: string): Promise<number | undefined> =>
      (await readPages(store, text))[0]?.extent.events
    assert.equal(await count(''), 2)
    assert.equal(await count('last=30d'), 1)
    assert.equal(await count('bots=exclude'), 1)
    assert.equal(await count('last=30d&bots=exclude'), 0)
  })

  it('takes any id, and the canonical form of ours', () => {
    for (const id of [`o'"x`, '🎉', '__proto__', '%2F', '../..', ' ']) {
      assert.equal(parseParty(id, '', context).partyId, id)
    }
    assert.equal(parseParty('0:0ABC:x', '', context).filter.partyId, '0:abc:x')
    for (const id of ['', 'x'.repeat(1_025)]) {
      assert.throws(
        () => parseParty(id, '', context),
        (e) => isMillraceError(e, 'question_invalid'),
      )
    }
  })

  it('refuses the token of another party, range or choice of bots', () => {
    const question = parseParty('a', '', context)
    const token = tokenAfter(question, rowOf(1, now))
    for (const [id, text] of [
      ['b', ''],
      ['a', 'last=30d&'],
      ['a', 'bots=exclude&'],
    ] as const) {
      assert.throws(
        () => parseParty(id, `${text}after=${token}`, context),
        (thrown) => isMillraceError(thrown, 'token_foreign'),
      )
    }
    assert.deepEqual(parseParty('a', `limit=3&after=${token}`, context).range, question.range)
  })
})
