import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { dayMs, minuteMs, secondMs } from '../../src/lib/clock.ts'
import type { Row, Store } from '../../src/store/store.ts'
import { readAll, type StorePlace, withStore } from './place.ts'
import { batchOf, makeRow, noon } from './rows.ts'

/** The part of the suite about what is one event: retries, redeliveries, replays, wrong clocks. */
export function describeIdentity(makePlace: () => StorePlace, runsShare = 1): void {
  test('the same row again, in its batch or a later one, changes nothing', () =>
    withStore(makePlace, async (store) => {
      const row = makeRow()
      assert.deepEqual(await store.write(batchOf(row, row)), { inserted: 1, repeated: 0 })
      assert.deepEqual(await store.write(batchOf(row)), { inserted: 0, repeated: 0 })
      assert.deepEqual(await readAll(store), [row])
    }))

  test('the first receipt in log order is the one that is shown', () =>
    withStore(makePlace, async (store) => {
      const first = makeRow({ receivedAt: noon + 20, userAgent: 'first', offset: 0 })
      const second = makeRow({ receivedAt: noon + 10, userAgent: 'second', offset: 1 })
      assert.deepEqual(await store.write(batchOf(first, second)), { inserted: 1, repeated: 1 })
      assert.deepEqual(await store.write(batchOf(second, first)), { inserted: 0, repeated: 0 })
      assert.deepEqual(await readAll(store), [first])
    }))

  test('a receipt at another time is a repeat, once, however often it is read again', () =>
    withStore(makePlace, async (store) => {
      const receipts = [0, 1, 2].map((n) => makeRow({ receivedAt: noon + n, offset: n }))
      assert.deepEqual(await store.write(batchOf(...receipts)), { inserted: 1, repeated: 2 })
      for (const receipt of receipts) await store.write(batchOf(receipt))
      assert.deepEqual(await store.write(batchOf(...receipts)), { inserted: 0, repeated: 0 })
      assert.equal((await store.health()).duplicates, 2)
    }))

  test('a copy with the same receivedAt at another position is a redelivery, no repeat', () =>
    withStore(makePlace, async (store) => {
      const row = makeRow({ offset: 0 })
      const repeat = makeRow({ receivedAt: noon + 1, offset: 1 })
      const copies = [makeRow({ offset: 2 }), makeRow({ receivedAt: noon + 1, offset: 3 })]
      await store.write(batchOf(row, repeat))
      assert.deepEqual(await store.write(batchOf(...copies)), { inserted: 0, repeated: 0 })
    }))

  test('one event id of two parties, or of none, is as many events', () =>
    withStore(makePlace, async (store) => {
      const rows = ['a', 'b', null].map((partyId, offset) => makeRow({ partyId, offset }))
      assert.deepEqual(await store.write(batchOf(...rows)), { inserted: 3, repeated: 0 })
      assert.deepEqual(await store.write(batchOf(...rows)), { inserted: 0, repeated: 0 })
    }))

  test('one id at two times within the bounds is two events', () =>
    withStore(makePlace, async (store) => {
      const rows = [makeRow(), makeRow({ eventTime: noon + 1, offset: 1 })]
      assert.deepEqual(await store.write(batchOf(...rows)), { inserted: 2, repeated: 0 })
    }))

  test('events without a client time are placed where the first receipt was', () =>
    withStore(makePlace, async (store) => {
      const receipts = [0, 1, 2].map((n) =>
        makeRow({ clockSource: 'absent', partyId: null, eventTime: noon + n * dayMs, offset: n }),
      )
      assert.deepEqual(await store.write(batchOf(receipts[0] as Row)), { inserted: 1, repeated: 0 })
      assert.deepEqual(await store.write(batchOf(...receipts)), { inserted: 0, repeated: 2 })
      assert.deepEqual(
        (await readAll(store)).map(({ eventTime }) => eventTime),
        [noon],
      )
    }))

  test('a claim of one event leaves the other events of its party where they are', () =>
    withStore(makePlace, async (store) => {
      const wrong = makeRow({ clockSource: 'wrong', clientTime: 5 })
      const right = makeRow({
        eventId: 'another',
        eventTime: noon - minuteMs,
        receivedAt: noon + 1,
      })
      await store.write(batchOf(wrong))
      await store.write(batchOf(right))
      assert.deepEqual(await readAll(store), [right, wrong])
    }))

  test('a claim goes with its event: after retention the event may come again in its own place', () =>
    withStore(makePlace, async (store) => {
      const clientTime = noon + 8 * dayMs
      await store.write(batchOf(makeRow({ clockSource: 'wrong', clientTime })))
      assert.equal(await store.retain(3, clientTime), 1)
      const believed = makeRow({ eventTime: clientTime, offset: 1 })
      assert.deepEqual(await store.write(batchOf(believed)), { inserted: 1, repeated: 0 })
      assert.deepEqual(await readAll(store), [believed])
    }))

  test('receipts of events on both sides of both bounds, in any order and cut, give one row each', async () => {
    await fc.assert(
      fc.asyncProperty(scene, async ({ receipts, cuts }) => {
        await withStore(makePlace, async (store) => {
          const repeated = await writeCut(store, receipts, cuts)
          await checkOneRowEach(store, receipts)
          const { duplicates } = await store.health()
          assert.equal(repeated, duplicates)
          // And a replay of it all, cut differently, changes nothing.
          const before = await readAll(store)
          assert.equal(await writeCut(store, receipts, [3, 5]), 0)
          assert.deepEqual(await readAll(store), before)
        })
      }),
      { numRuns: Math.ceil(20 * runsShare) },
    )
  })

  test('how batches are cut does not show in what is stored', async () => {
    await fc.assert(
      fc.asyncProperty(scene, async ({ receipts, cuts }) => {
        const stored: (readonly Row[])[] = []
        for (const cut of [cuts, receipts.map(() => 1), [receipts.length]]) {
          await withStore(makePlace, async (store) => {
            await writeCut(store, receipts, cut)
            stored.push(await readAll(store))
          })
        }
        assert.deepEqual(stored[0], stored[1])
        assert.deepEqual(stored[1], stored[2])
      }),
      { numRuns: Math.ceil(6 * runsShare) },
    )
  })
}

/** The bounds around `receivedAt` in which a client's time is believed. */
const latenessMs = 7 * dayMs
const aheadMs = 5 * minuteMs

/** Delays of a receipt after the client's time: beyond, at and within both bounds. */
const delays = [
  -aheadMs - 1,
  -aheadMs,
  0,
  30 * secondMs,
  latenessMs,
  latenessMs + 1,
  latenessMs + 2 * dayMs,
]

const receipt = fc.record({
  event: fc.integer({ min: 0, max: 4 }),
  delay: fc.constantFrom(...delays),
})

/** Receipts of a few events in a random order, and how they are cut into batches. */
const scene = fc
  .record({
    drawn: fc.array(receipt, { minLength: 2, maxLength: 16 }),
    cuts: fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 8 }),
  })
  .map(({ drawn, cuts }) => ({
    receipts: drawn.map(({ event, delay }, offset) => receiptOf(event, delay, offset)),
    cuts,
  }))

/** As the collector stamps it. Events 0 and 1 are of one party, 2 and 3 share an id, 4 has no party. */
function receiptOf(event: number, delay: number, offset: number): Row {
  const clientTime = noon + (event % 3) * dayMs
  const receivedAt = clientTime + delay
  const isBelieved = delay >= -aheadMs && delay <= latenessMs
  return makeRow({
    eventId: `event-${event === 3 ? 2 : event}`,
    partyId: event === 4 ? null : event < 2 ? 'one' : `party-${event}`,
    clientTime,
    receivedAt,
    eventTime: isBelieved ? clientTime : receivedAt,
    clockSource: isBelieved ? 'client' : 'wrong',
    offset,
  })
}

/** Writes in batches of the sizes of `cuts`, again and again; returns the repeats it was told of. */
async function writeCut(
  store: Store,
  receipts: readonly Row[],
  cuts: readonly number[],
): Promise<number> {
  let repeated = 0
  for (let from = 0, cut = 0; from < receipts.length; cut++) {
    const size = cuts[cut % cuts.length] as number
    const result = await store.write(batchOf(...receipts.slice(from, from + size)))
    repeated += result?.repeated ?? 0
    from += size
  }
  return repeated
}

async function checkOneRowEach(store: Store, receipts: readonly Row[]): Promise<void> {
  const identity = ({ partyId, eventId }: Row): string => `${partyId}/${eventId}`
  const stored = (await readAll(store)).map(identity)
  assert.deepEqual(stored.toSorted(), [...new Set(receipts.map(identity))].toSorted())
}
