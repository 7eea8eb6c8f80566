import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { dayMs, dayOf, hourMs, minuteMs } from '../../src/lib/clock.ts'
import type { Row, Store } from '../../src/store/store.ts'
import { always, anybody, readAll, type StorePlace, withStore } from './place.ts'
import { at, batchOf, createRandom, log, makeRow, makeTraffic, noon, topic } from './rows.ts'

/** The part of the suite about closed days: nothing that anybody can ask tells them from open ones. */
export function describeClosing(makePlace: () => StorePlace, runsShare = 1): void {
  test('every answer is the same before and after closing, and after opening again', () =>
    withStore(makePlace, async (store, place) => {
      await store.write(batchOf(...threeDays()))
      const before = await answersOf(store)
      for (const { day } of await store.days()) {
        assert.equal((await store.closeDay(day)).isWritten, true)
        assert.deepEqual(await answersOf(store), before)
      }
      assert.ok((await store.days()).every(({ openRows, bytes }) => openRows === 0 && bytes > 0))
      await store.close()
      const again = await place.open()
      assert.deepEqual(await answersOf(again), before)
      await again.close()
    }))

  test('a row comes back from a closed day as it was, with every kind of text and id', () =>
    withStore(makePlace, async (store, { idBytesMax = 70_000 }) => {
      const texts = ['🎉 é', 'a\0b', `'; DROP TABLE events; --"`, 'x'.repeat(idBytesMax), '']
      const rows = texts.map((text, offset) =>
        makeRow({
          eventId: `page ${text}${offset}`,
          pageViewId: `page ${text}`,
          partyId: offset === 2 ? null : `p${text}`,
          parameters: text,
          clientTime: noon + offset * hourMs,
          receivedAt: noon - offset,
          eventTime: noon + offset,
          clockSource: offset === 1 ? 'wrong' : 'client',
          privacy: offset === 2 ? 'gpc' : null,
          devicePixelRatio: 1.25,
          importedAt: offset === 3 ? noon : null,
          firstInSession: true,
          offset,
        }),
      )
      await store.write(batchOf(...rows))
      const before = await readAll(store)
      await store.closeDay(dayOf(noon))
      assert.deepEqual(await readAll(store), before)
      assert.deepEqual(
        before.map(({ parameters }) => parameters),
        [...new Set(before.map(({ parameters }) => parameters))],
      )
    }))

  test('closing again does nothing; a day without rows neither', () =>
    withStore(makePlace, async (store) => {
      await store.write(batchOf(makeRow()))
      const first = await store.closeDay(dayOf(noon))
      assert.deepEqual([first.isWritten, first.rows], [true, 1])
      assert.deepEqual(await store.closeDay(dayOf(noon)), { ...first, isWritten: false })
      const empty = await store.closeDay(dayOf(noon + dayMs))
      assert.deepEqual([empty.isWritten, empty.rows], [false, 0])
    }))

  test('late rows are read with their closed day and join it when it is closed again', () =>
    withStore(makePlace, async (store) => {
      const [early, late] = [
        makeRow(),
        makeRow({ eventId: 'late', eventTime: noon + 1, offset: 1 }),
      ]
      await store.write(batchOf(early))
      const first = await store.closeDay(dayOf(noon))
      assert.deepEqual(await store.write(batchOf(late)), { inserted: 1, repeated: 0 })
      assert.deepEqual(await readAll(store), [early, late])
      const [state] = await store.days()
      assert.deepEqual([state?.openRows, state?.closedRows], [1, 1])
      const second = await store.closeDay(dayOf(noon))
      assert.ok(second.rows === 2 && second.version > first.version)
      assert.deepEqual(await readAll(store), [early, late])
      assert.equal((await store.health()).events, 2)
    }))

  test('what is stored in a closed day is known again: retries, replays in other batches, repeats', () =>
    withStore(makePlace, async (store) => {
      const rows = threeDays()
      await store.write(batchOf(...rows))
      for (const { day } of await store.days()) await store.closeDay(day)
      const before = await answersOf(store)
      // Many of one day at once, and few of each.
      for (const size of [rows.length, 400, 7]) {
        for (let from = 0; from < rows.length; from += size) {
          const result = await store.write(batchOf(...rows.slice(from, from + size)))
          assert.deepEqual(result, { inserted: 0, repeated: 0 })
        }
      }
      const retry = { ...(rows[5] as Row), receivedAt: (rows[5] as Row).receivedAt + minuteMs }
      assert.deepEqual(await store.write(batchOf(retry)), { inserted: 0, repeated: 1 })
      assert.deepEqual(await store.write(batchOf(retry)), { inserted: 0, repeated: 0 })
      assert.deepEqual(keysOf((await answersOf(store)).events), keysOf(before.events))
    }))

  test('a receipt whose clock is wrong by now finds its event in a closed day', () =>
    withStore(makePlace, async (store) => {
      const believed = makeRow()
      await store.write(batchOf(believed))
      await store.closeDay(dayOf(noon))
      const receivedAt = noon + 9 * dayMs
      const wrong = makeRow({
        clientTime: noon,
        receivedAt,
        eventTime: receivedAt,
        clockSource: 'wrong',
        offset: 1,
      })
      assert.deepEqual(await store.write(batchOf(wrong)), { inserted: 0, repeated: 1 })
      assert.deepEqual(keysOf(await readAll(store)), keysOf([believed]))
    }))

  test('retention takes closed days, whole ones, and gives back their bytes', () =>
    withStore(makePlace, async (store, { deletionLasts = false }) => {
      const rows = [0, 1, 2].map((n) =>
        makeRow({ eventId: `e${n}`, eventTime: noon - n * dayMs, offset: n }),
      )
      await store.write(batchOf(...rows))
      for (const { day } of await store.days()) await store.closeDay(day)
      assert.equal(await store.retain(2, noon), 1)
      assert.deepEqual(await readAll(store), [rows[1], rows[0]])
      assert.equal((await store.health()).events, 2)
      if (deletionLasts) return
      // And the day may be filled and closed anew.
      assert.deepEqual(await store.write(batchOf(rows[2] as Row)), { inserted: 1, repeated: 0 })
      await store.closeDay(dayOf(noon - 2 * dayMs))
      assert.deepEqual(await readAll(store), rows.toReversed())
    }))

  test('the newest receipt of each partition is kept beside its position, imports left out', () =>
    withStore(makePlace, async (store) => {
      const rows = [
        makeRow({ eventId: 'a', receivedAt: noon + 5, offset: 0 }),
        makeRow({ eventId: 'b', receivedAt: noon + 3, offset: 1 }),
        makeRow({ eventId: 'c', receivedAt: noon + 9, importedAt: noon + 10, offset: 2 }),
        makeRow({ eventId: 'd', importedAt: noon, position: at(0, 1) }),
      ]
      await store.write({ rows, deadLetters: [], positions: [at(3), at(1, 1)] })
      await store.write({ rows: [rows[1] as Row], deadLetters: [], positions: [at(4)] })
      assert.deepEqual(
        [...(await store.progress(log, topic))],
        [
          [0, { offset: 4, receivedAt: noon + 5 }],
          [1, { offset: 1, receivedAt: null }],
        ],
      )
    }))

  test('a store whose days are closed at any time answers as one that never closes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 12 }), async (steps) => {
        await withStore(makePlace, async (open) => {
          const place = makePlace()
          let store = await place.open()
          let offset = 0
          for (const { kind, events } of steps) {
            if (kind === 'write') {
              const rows = events.map((event) => receiptOf(event, offset++))
              const [expected, found] = [
                await open.write(batchOf(...rows)),
                await store.write(batchOf(...rows)),
              ]
              assert.deepEqual(found, expected)
            } else if (kind === 'close') {
              await store.closeDay(dayOf(noon + ((events[0] ?? 0) % 3) * dayMs))
            } else {
              await store.close()
              store = await place.open()
            }
          }
          assert.deepEqual(await answersOf(store), await answersOf(open))
          await store.close()
          await place.remove()
        })
      }),
      { numRuns: Math.ceil(8 * runsShare) },
    )
  })
}

const step = fc.record({
  kind: fc.constantFrom('write', 'write', 'close', 'reopen'),
  events: fc.array(fc.integer({ min: 0, max: 35 }), { minLength: 1, maxLength: 8 }),
})

/** One of three receipts of twelve events on three days; the last comes with a wrong clock. */
function receiptOf(drawn: number, offset: number): Row {
  const event = drawn % 12
  const clientTime = noon + (event % 3) * dayMs + event
  const delay = [0, hourMs, 8 * dayMs][Math.floor(drawn / 12)] as number
  const isBelieved = delay < 8 * dayMs
  return makeRow({
    eventId: `e${event}`,
    partyId: event % 4 === 0 ? null : `p${event % 5}`,
    eventType: event % 2 === 0 ? 'pageView' : 'search',
    clientTime,
    receivedAt: clientTime + delay,
    eventTime: isBelieved ? clientTime : clientTime + delay,
    clockSource: isBelieved ? 'client' : 'wrong',
    offset,
  })
}

function threeDays(): Row[] {
  const from = { eventTime: noon - dayMs, offset: 0, spanMs: 3 * dayMs }
  return makeTraffic(1_500, from, createRandom(5))
}

/** Which events there are; which of their receipts is shown is the backend's to say. */
function keysOf(rows: readonly Row[]): unknown[] {
  return rows.map(({ eventTime, eventId, partyId }) => [eventTime, eventId, partyId])
}

/** All that can be asked of the rows. */
async function answersOf(
  store: Store,
): Promise<Record<string, unknown> & { readonly events: readonly Row[] }> {
  const half = { from: noon - dayMs / 3, to: noon + dayMs / 3 }
  const party = (await readAll(store)).find(({ partyId }) => partyId !== null)?.partyId
  const page = { order: 'desc', limit: 70 } as const
  const pages: unknown[] = []
  let after: Row | undefined
  for (let count = 0; count < 4; count++) {
    const cursor = after && { ...after, partyId: after.partyId ?? '' }
    const found = await store.events(always, anybody, { ...page, ...(cursor && { after: cursor }) })
    pages.push(found.map(({ eventId }) => eventId))
    after = found.at(-1)
    if (after === undefined) break
  }
  return {
    events: await readAll(store),
    pages,
    party: party && (await store.events(always, { ...anybody, partyId: party }, page)),
    searches: await store.events(always, { ...anybody, eventType: 'search' }, page),
    counts: await store.counts(always, anybody),
    someCounts: await store.counts(half, { bots: 'exclude' }),
    uniques: await store.uniques(always, anybody),
    top: await store.top('itemId', half, anybody, 20),
    sessions: await store.sessions(always, anybody),
    funnel: await store.funnel(always, anybody, ['pageView', 'addToBasket']),
    retention: await store.retention(always, anybody),
    accounting: await store.accounting(always, anybody),
    extent: await store.extent(half, anybody),
    events2: (await store.health()).events,
  }
}
