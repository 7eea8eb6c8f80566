import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { isMillraceError } from '../../src/event/error.ts'
import type { EventId, PartyId } from '../../src/event/identifier.ts'
import { dayMs } from '../../src/lib/clock.ts'
import { askEvents, parseEventStream, parseEvents, tokenAfter } from '../../src/query/events.ts'
import { type EventRow, type QueryContext, rangeDaysMax } from '../../src/query/query.ts'
import { questionKey, readToken, writeToken } from '../../src/query/token.ts'
import { createMemoryStore, type MemoryStore, rowOf } from './memory-store.ts'

const now = Date.parse('2026-03-10T15:30:00Z')
const context: QueryContext = { clock: () => now, rowsMax: 5_000 }

/** Asks page after page, as a client does, with `limit` rows each. */
async function readPages(
  store: MemoryStore,
  queryText: string,
  at: QueryContext = context,
): Promise<EventRow[]> {
  const rows: EventRow[] = []
  let after = ''
  for (;;) {
    const question = parseEvents(queryText + after, at)
    const page: EventRow[] = []
    for await (const chunk of askEvents(store, question, question.limit)) page.push(...chunk)
    rows.push(...page)
    const last = page.at(-1)
    if (last === undefined) return rows
    after = `&after=${tokenAfter(question, last)}`
  }
}

function idsOf(rows: readonly EventRow[]): string[] {
  return rows.map((row) => `${row.eventTime} ${row.eventId} ${row.partyId}`)
}

describe('events, page by page', () => {
  it('gives every event once, in either order, whatever the pages and however equal the times', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(3), fc.nat(5), fc.nat(2)), { maxLength: 60 }),
        fc.integer({ min: 1, max: 7 }),
        fc.constantFrom('asc', 'desc'),
        async (keys, limit, order) => {
          const store = createMemoryStore()
          const distinct = new Map(keys.map((key) => [key.join(), key]))
          for (const [time, id, party] of distinct.values()) {
            const partyId = party === 0 ? null : (`p${party}` as PartyId)
            store.rows.push(rowOf(0, now + time, { eventId: `e${id}` as EventId, partyId }))
          }
          const rows = await readPages(store, `last=1d&limit=${limit}&order=${order}`)
          const all = await readPages(store, `last=1d&limit=5000&order=${order}`)
          assert.equal(rows.length, distinct.size)
          assert.deepEqual(idsOf(rows), idsOf(all))
        },
      ),
      { numRuns: 60 },
    )
  })

  it('neither loses nor repeats an event while others arrive before and behind', async () => {
    for (const order of ['asc', 'desc']) {
      const store = createMemoryStore()
      for (let n = 0; n < 50; n++) store.rows.push(rowOf(n, now - 100_000 + n * 1_000))
      const before = idsOf(store.rows)
      let n = 100
      store.beforePage = () => {
        store.rows.push(rowOf(n, now - 100_000 + n), rowOf(n + 1, now + n))
        n += 2
        if (n > 200) store.beforePage = () => {}
      }
      const ids = idsOf(await readPages(store, `last=1d&limit=7&order=${order}`))
      assert.equal(new Set(ids).size, ids.length, order)
      const missing = before.filter((id) => !ids.includes(id))
      assert.deepEqual(missing, [], order)
    }
  })

  it('keeps the range of the first page when the day changes in between', () => {
    const first = parseEvents('last=2d', context)
    const token = tokenAfter(first, rowOf(1, now))
    const nextDay = { ...context, clock: () => now + dayMs }
    const second = parseEvents(`last=2d&limit=7&after=${token}`, nextDay)
    assert.deepEqual(second.range, first.range)
    assert.deepEqual(second.after, {
      eventTime: now,
      eventId: rowOf(1, now).eventId,
      partyId: rowOf(1, now).partyId,
    })
  })

  it('asks the store for no more than it needs, a chunk at a time', async () => {
    const store = createMemoryStore()
    for (let n = 0; n < 2_500; n++) store.rows.push(rowOf(n, now + n))
    let pages = 0
    store.beforePage = () => {
      pages++
    }
    const question = parseEventStream('last=1d', context)
    assert.equal(question.limit, undefined)
    const sizes: number[] = []
    for await (const chunk of askEvents(store, question, undefined)) {
      sizes.push(chunk.length)
      assert.equal(pages, sizes.length)
    }
    assert.deepEqual(sizes, [1_000, 1_000, 500])
  })
})

describe('a continuation token', () => {
  const token = tokenAfter(parseEvents('party=a', context), rowOf(1, now))

  it('is refused by another question', () => {
    for (const other of [
      'party=b',
      'party=a&order=desc',
      'party=a&last=60d',
      'party=a&bots=include',
    ]) {
      assert.throws(
        () => parseEvents(`${other}&after=${token}`, context),
        (thrown) => isMillraceError(thrown, 'token_foreign'),
        other,
      )
    }
    assert.equal(parseEvents(`party=a&limit=9&after=${token}`, context).limit, 9)
  })

  it('is refused when it is garbage, whatever is in it', () => {
    const { key } = parseEvents('party=a', context)
    const time = now
    const forged = [
      [0, rangeDaysMax * dayMs + 1, time, 'e', 'p'],
      [time, time, time, 'e', 'p'],
      [0, '1', time, 'e', 'p'],
      [0, 1, Number.MAX_VALUE, 'e', 'p'],
      [0, 1, time, 'e'],
      [0, 1, time, ['e'], 'p'],
    ].map((place) => writeToken(key, place))
    const garbage = ['x', '%00', token.slice(0, -3), `${token}AA`, 'e30', 'bnVsbA', 'W10']
    for (const bad of [...forged, ...garbage, 'A'.repeat(1_000)]) {
      assert.throws(
        () => parseEvents(`party=a&after=${bad}`, context),
        (thrown) => isMillraceError(thrown, 'question_invalid'),
        bad,
      )
    }
  })

  it('gives back the place that it was written with', () => {
    const place = fc.array(fc.oneof(fc.maxSafeInteger(), fc.string({ unit: 'grapheme' })))
    fc.assert(
      fc.property(place, fc.string(), (written, name) => {
        const key = questionKey(name, [])
        assert.deepEqual(readToken(key, writeToken(key, written)), written)
      }),
    )
  })
})
