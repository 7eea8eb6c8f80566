import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { dayMs, hourMs, minuteMs } from '../../src/lib/clock.ts'
import type { EventCursor, Filter, Row, Store } from '../../src/store/store.ts'
import { always, anybody, readAll, type StorePlace, withStore } from './place.ts'
import { at, batchOf, log, makeDeadLetter, makeRow, noon, topic } from './rows.ts'
import { describeClosing } from './store-close.suite.ts'
import { describeDeadLetters } from './store-dead-letters.suite.ts'
import { describeErase } from './store-erase.suite.ts'
import { describeExposure } from './store-exposure.suite.ts'
import { describeIdentity } from './store-identity.suite.ts'
import { describeModels } from './store-models.suite.ts'
import { describeQuestions } from './store-questions.suite.ts'

/**
 * States every promise of the store's contract. `makePlace` gives a new, empty place; `runsShare` of
 * the random runs are made, where each costs seconds.
 */
export function runStoreSuite(name: string, makePlace: () => StorePlace, runsShare = 1): void {
  describe(`${name}: the contract of a store`, () => {
    describeWrites(makePlace)
    describeIdentity(makePlace, runsShare)
    describeEvents(makePlace)
    describeCounts(makePlace)
    describeDeadLetters(makePlace)
    describeRetention(makePlace)
    describeClosing(makePlace, runsShare)
    describeErase(makePlace)
    describeModels(makePlace)
    describeQuestions(makePlace, runsShare)
    describeExposure(makePlace, runsShare)
  })
}

function describeWrites(makePlace: () => StorePlace): void {
  test('a row comes back as it was written, every field of it', () =>
    withStore(makePlace, async (store) => {
      const rows = [fullRow, emptyRow]
      assert.deepEqual(await store.write(batchOf(...rows)), { inserted: 2, repeated: 0 })
      assert.deepEqual(await readAll(store), rows)
    }))

  test('texts come back as they were: emoji, NUL, quotes, long ones', () =>
    withStore(makePlace, async (store) => {
      const texts = ['🎉 é 漢字', 'a\0b', `'; DROP TABLE events; --"`, 'x'.repeat(70_000), '']
      const rows = texts.map((parameters, offset) =>
        makeRow({ parameters, eventType: parameters, eventId: `e${offset}`, offset }),
      )
      await store.write(batchOf(...rows))
      assert.deepEqual(await readAll(store), rows)
      for (const row of rows) {
        const found = await readAll(store, { ...anybody, eventType: row.eventType })
        assert.deepEqual(found, [row])
      }
    }))

  test('an empty user agent, bot or country is none', () =>
    withStore(makePlace, async (store) => {
      await store.write(batchOf(makeRow({ userAgent: '', bot: '', country: '' })))
      const [row] = await readAll(store)
      assert.deepEqual([row?.userAgent, row?.bot, row?.country], [null, null, null])
      assert.equal((await store.counts(always, { bots: 'exclude' }))[0]?.count, 1)
    }))

  test('a lone surrogate in an id is stored as U+FFFD and still known when it comes again', () =>
    withStore(makePlace, async (store) => {
      const row = makeRow({ eventId: 'e\ud800', partyId: 'p\udc00' })
      await store.write(batchOf(row))
      assert.deepEqual(await store.write(batchOf(row)), { inserted: 0, repeated: 0 })
      assert.equal((await readAll(store))[0]?.eventId, 'e\ufffd')
    }))

  test('rows, dead letters and positions written at once are there after the store is opened again', async () => {
    const place = makePlace()
    const first = await place.open()
    const row = makeRow()
    const letter = makeDeadLetter(1)
    await first.write({ rows: [row], deadLetters: [letter], positions: [at(2), at(7, 1)] })
    await first.close()
    const second = await place.open()
    assert.deepEqual(await readAll(second), [row])
    assert.deepEqual(await second.deadLetters({ limit: 10 }), [{ ...letter, replayedAt: null }])
    assert.deepEqual(
      [...(await second.positions(log, topic))],
      [
        [0, 2],
        [1, 7],
      ],
    )
    assert.deepEqual(await second.write(batchOf(row)), { inserted: 0, repeated: 0 })
    await second.close()
    await place.remove()
  })

  test('positions are kept for each log and topic; those of an unknown one are empty', () =>
    withStore(makePlace, async (store) => {
      const elsewhere = { ...at(5), log: 'log-2' }
      const rejected = { ...at(9), topic: 'rejected' }
      await store.write({ rows: [], deadLetters: [], positions: [at(3), elsewhere, rejected] })
      await store.write({ rows: [], deadLetters: [], positions: [at(4)] })
      assert.deepEqual([...(await store.positions(log, topic))], [[0, 4]])
      assert.deepEqual([...(await store.positions('log-2', topic))], [[0, 5]])
      assert.deepEqual([...(await store.positions(log, 'rejected'))], [[0, 9]])
      assert.deepEqual([...(await store.positions('log-3', topic))], [])
    }))

  test('logs are named for each topic, once', () =>
    withStore(makePlace, async (store) => {
      assert.deepEqual(await store.logs(topic), [])
      const other = makeRow({ eventId: 'b', position: { ...at(0, 3), log: 'log-2' } })
      const rejected = makeDeadLetter(0, {
        position: { ...at(0), log: 'log-3', topic: 'rejected' },
      })
      await store.write(batchOf(makeRow(), makeRow({ eventId: 'c', position: at(0, 1) }), other))
      await store.write({ rows: [], deadLetters: [rejected], positions: [] })
      assert.deepEqual(await store.logs(topic), [log, 'log-2'])
      assert.deepEqual(await store.logs('rejected'), ['log-3'])
    }))

  test('an empty batch changes nothing', () =>
    withStore(makePlace, async (store) => {
      assert.deepEqual(await store.write(batchOf()), { inserted: 0, repeated: 0 })
      assert.equal((await store.health()).events, 0)
    }))

  test('a row that no store can hold is refused and leaves nothing of its batch', () =>
    withStore(makePlace, async (store) => {
      const bad = makeRow({ eventId: 'bad', receivedAt: Number.NaN, eventTime: noon })
      const batch = { rows: [makeRow(), bad], deadLetters: [makeDeadLetter(1)], positions: [at(2)] }
      await assert.rejects(store.write(batch), { code: 'record_invalid' })
      assert.deepEqual(await readAll(store), [])
      assert.deepEqual(await store.deadLetters({ limit: 10 }), [])
      assert.deepEqual([...(await store.positions(log, topic))], [])
      assert.deepEqual(await store.write(batchOf(makeRow())), { inserted: 1, repeated: 0 })
    }))

  test('writes asked for together are made one after the other', () =>
    withStore(makePlace, async (store) => {
      const writes = Array.from({ length: 20 }, (_, offset) =>
        store.write({ rows: [makeRow({ offset })], deadLetters: [], positions: [at(offset + 1)] }),
      )
      const results = await Promise.all(writes)
      assert.deepEqual(results[0], { inserted: 1, repeated: 0 })
      assert.ok(results.slice(1).every((result) => result?.inserted === 0))
      assert.deepEqual([...(await store.positions(log, topic))], [[0, 20]])
    }))

  test('close waits for the writes under way; afterwards the store refuses', () =>
    withStore(makePlace, async (store, place) => {
      const write = store.write(batchOf(makeRow()))
      await store.close()
      await write
      await assert.rejects(store.write(batchOf(makeRow())), { code: 'store_unavailable' })
      await assert.rejects(store.health(), { code: 'store_unavailable' })
      const again = await place.open()
      assert.equal((await readAll(again)).length, 1)
      await again.close()
    }))
}

function describeEvents(makePlace: () => StorePlace): void {
  test('pages of events go on where the last one ended, both ways, with ties in time', () =>
    withStore(makePlace, async (store) => {
      const rows: Row[] = []
      for (let index = 0; index < 60; index++) {
        const eventTime = noon + Math.floor(index / 12) * minuteMs
        const eventId = `e${(index * 7) % 6}`
        const partyId = index % 2 === 0 ? `p${index}` : index % 3 === 0 ? null : 'é🎉'
        rows.push(
          makeRow({ eventTime, eventId: `${eventId}-${index >> 1}`, partyId, offset: index }),
        )
      }
      await store.write(batchOf(...rows))
      const sorted = rows.toSorted((a, b) => compareKeys(a, b))
      for (const limit of [1, 7, 60, 100]) {
        assert.deepEqual(await readPages(store, 'asc', limit), sorted)
        assert.deepEqual(await readPages(store, 'desc', limit), sorted.toReversed())
      }
    }))

  test('a range has its beginning and not its end', () =>
    withStore(makePlace, async (store) => {
      const rows = [0, 1, 2].map((n) =>
        makeRow({ eventTime: noon + n, eventId: `${n}`, offset: n }),
      )
      await store.write(batchOf(...rows))
      const range = { from: noon, to: noon + 2 }
      const page = { order: 'asc', limit: 10 } as const
      assert.deepEqual(await store.events(range, anybody, page), rows.slice(0, 2))
      assert.deepEqual(await store.events({ from: noon, to: noon }, anybody, page), [])
    }))

  test('filters narrow by party, session, event type, item and bot', () =>
    withStore(makePlace, async (store) => {
      const rows = [
        makeRow({ eventId: 'a', partyId: 'p1', sessionId: 's1', offset: 0 }),
        makeRow({ eventId: 'b', partyId: 'p2', sessionId: 's2', eventType: 'search', offset: 1 }),
        makeRow({ eventId: 'c', partyId: null, sessionId: null, itemId: '7', offset: 2 }),
        makeRow({ eventId: 'd', partyId: 'p1', sessionId: 's3', bot: 'Googlebot', offset: 3 }),
      ]
      await store.write(batchOf(...rows))
      const ids = async (filter: Filter): Promise<string> =>
        (await readAll(store, filter)).map(({ eventId }) => eventId).join('')
      assert.equal(await ids({ bots: 'include' }), 'abcd')
      assert.equal(await ids({ bots: 'exclude' }), 'abc')
      assert.equal(await ids({ bots: 'include', partyId: 'p1' }), 'ad')
      assert.equal(await ids({ bots: 'exclude', partyId: 'p1' }), 'a')
      assert.equal(await ids({ bots: 'include', sessionId: 's2' }), 'b')
      assert.equal(await ids({ bots: 'include', eventType: 'search' }), 'b')
      assert.equal(await ids({ bots: 'include', itemId: '7' }), 'c')
      assert.equal(await ids({ bots: 'include', itemId: `7' OR '1'='1` }), '')
    }))
}

function describeCounts(makePlace: () => StorePlace): void {
  test('counts are by UTC day and event type, in that order, of what the filter lets through', () =>
    withStore(makePlace, async (store) => {
      const day = Math.floor(noon / dayMs) * dayMs
      const times = [day - 1, day, day + dayMs - 1, day + dayMs, -1]
      const rows = times.map((eventTime, n) => makeRow({ eventTime, eventId: `${n}`, offset: n }))
      rows.push(makeRow({ eventId: 'x', eventType: 'click', offset: 8 }))
      rows.push(makeRow({ eventId: 'y', eventType: 'click', bot: 'b', offset: 9 }))
      await store.write(batchOf(...rows))
      const range = { from: -dayMs, to: always.to }
      const counts = async (filter: Filter): Promise<string[]> =>
        (await store.counts(range, filter)).map((row) => `${row.day} ${row.eventType} ${row.count}`)
      assert.deepEqual(await counts({ bots: 'exclude' }), [
        '1969-12-31 pageView 1',
        '2026-03-09 pageView 1',
        '2026-03-10 click 1',
        '2026-03-10 pageView 2',
        '2026-03-11 pageView 1',
      ])
      assert.deepEqual(await counts({ bots: 'include', eventType: 'click' }), [
        '2026-03-10 click 2',
      ])
    }))

  test('health counts events, repeats and waiting dead letters, and knows the newest receipt', async () => {
    const place = makePlace()
    const store = await place.open()
    const empty = await store.health()
    assert.deepEqual(
      { ...empty, bytes: 0 },
      {
        events: 0,
        lastReceivedAt: null,
        lastWrittenAt: null,
        duplicates: 0,
        deadLetters: 0,
        bytes: 0,
        damagedDays: [],
      },
    )
    await store.write({
      rows: [
        makeRow({ eventId: 'a', receivedAt: noon + 5, offset: 0 }),
        makeRow({ eventId: 'b', receivedAt: noon + 2, offset: 1 }),
        makeRow({ eventId: 'a', receivedAt: noon + 9, offset: 2 }),
      ],
      deadLetters: [makeDeadLetter(3), makeDeadLetter(4)],
      positions: [],
    })
    await store.markReplayed(at(3), noon)
    const full = await store.health()
    assert.deepEqual([full.events, full.duplicates, full.deadLetters], [2, 1, 1])
    assert.equal(full.lastReceivedAt, noon + 9)
    assert.ok(full.lastWrittenAt !== null)
    assert.ok(full.bytes > 0 || place.isSizedLater)
    await store.close()
    const again = await place.open()
    const { lastReceivedAt, lastWrittenAt } = await again.health()
    assert.deepEqual([lastReceivedAt, lastWrittenAt], [noon + 9, null])
    await again.close()
    await place.remove()
  })
}

function describeRetention(makePlace: () => StorePlace): void {
  test('retention keeps today and the days before it, and deletes whole older days', () =>
    withStore(makePlace, async (store) => {
      const day = Math.floor(noon / dayMs) * dayMs
      const rows = [-3, -2, -1, 0].flatMap((days) => [
        makeRow({ eventTime: day + days * dayMs, eventId: `first ${days}`, offset: 10 + days }),
        makeRow({
          eventTime: day + (days + 1) * dayMs - 1,
          eventId: `last ${days}`,
          offset: 20 + days,
        }),
      ])
      const repeats = rows.map((row) => ({ ...row, receivedAt: row.receivedAt + hourMs }))
      await store.write(batchOf(...rows, ...repeats))
      assert.equal((await store.health()).duplicates, 8)
      assert.equal(await store.retain(2, day + 1), 4)
      assert.deepEqual(
        (await readAll(store)).map(({ eventId }) => eventId),
        ['first -1', 'last -1', 'first 0', 'last 0'],
      )
      assert.equal((await store.health()).duplicates, 4)
      assert.equal(await store.retain(2, day + dayMs - 1), 0)
      assert.equal(await store.retain(1, day + dayMs), 4)
      assert.equal((await store.health()).lastReceivedAt, null)
    }))

  test('what retention deleted can be written again, where deletion leaves nothing behind', () =>
    withStore(makePlace, async (store, { deletionLasts = false }) => {
      const row = makeRow({ userAgent: 'Firefox' })
      await store.write(batchOf(row))
      await store.retain(1, noon + 5 * dayMs)
      const isBack = !deletionLasts
      assert.deepEqual(await store.write(batchOf(row)), { inserted: isBack ? 1 : 0, repeated: 0 })
      assert.deepEqual(await readAll(store), isBack ? [row] : [])
    }))
}

async function readPages(store: Store, order: 'asc' | 'desc', limit: number): Promise<Row[]> {
  const rows: Row[] = []
  let after: EventCursor | undefined
  for (;;) {
    const page = { order, limit, ...(after && { after }) }
    const found = await store.events(always, anybody, page)
    assert.ok(found.length <= limit)
    const last = found.at(-1)
    if (last === undefined) return rows
    rows.push(...found)
    after = { eventTime: last.eventTime, eventId: last.eventId, partyId: last.partyId ?? '' }
  }
}

/** The order of the contract: texts by their UTF-8 bytes. */
function compareKeys(a: Row, b: Row): number {
  return (
    a.eventTime - b.eventTime ||
    Buffer.compare(Buffer.from(a.eventId), Buffer.from(b.eventId)) ||
    Buffer.compare(Buffer.from(a.partyId ?? ''), Buffer.from(b.partyId ?? ''))
  )
}

const emptyRow = makeRow({
  eventId: 'empty',
  partyId: null,
  sessionId: null,
  pageViewId: null,
  location: null,
  eventTime: noon + 2,
  offset: 1,
})

const fullRow = makeRow({
  eventId: '0:page2a',
  partyId: '0:party',
  pageViewId: '0:page2',
  sequence: 10,
  eventType: 'addToBasket',
  eventTime: noon + 1,
  clockSource: 'wrong',
  receivedAt: noon + 1,
  clientTime: 3213213,
  referer: 'https://www.example/',
  parameters: '{"item_id":101321}',
  itemId: '101321',
  firstInSession: true,
  newParty: true,
  duplicate: true,
  corrupt: true,
  viewportWidth: 1,
  viewportHeight: -2,
  screenWidth: 2_147_483_647,
  screenHeight: 0,
  devicePixelRatio: 1.1,
  userAgent: 'Mozilla/5.0',
  agent: {
    name: 'n',
    family: 'f',
    vendor: 'v',
    type: 't',
    version: '1.2',
    deviceCategory: 'd',
    osFamily: 'o',
    osVersion: 'ov',
    osVendor: 'oo',
  },
  bot: 'crawler',
  privacy: 'gpc',
  source: 'json',
  position: { log: 'log-9', topic: 'events', partition: 12, offset: 2 ** 40 },
})
