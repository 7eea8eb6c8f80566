import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { dayMs, minuteMs } from '../../src/lib/clock.ts'
import type { Row, Store } from '../../src/store/store.ts'
import { always, anybody, readAll, type StorePlace, withStore } from './place.ts'
import { at, batchOf, makeDeadLetter, makeRow, noon } from './rows.ts'

const party = `0:k1:O'Brien "--`
const hour = 60 * minuteMs
const erasedAt = noon + hour

/** Rows of the party and of another, from `offset`, received before the erasure. */
function rowsOfBoth(): Row[] {
  return [0, 1, 2, 3].flatMap((n) => [
    makeRow({ partyId: party, eventId: `p${n}`, eventTime: noon + n - n * dayMs, offset: 2 * n }),
    makeRow({
      partyId: '0:other',
      eventId: `o${n}`,
      eventTime: noon + n - n * dayMs,
      offset: 2 * n + 1,
    }),
  ])
}

async function erase(store: Store, partyId = party): Promise<void> {
  await store.erase(partyId, erasedAt)
  await store.settleErasures(erasedAt, erasedAt + 1)
}

/** What a recount over the rows themselves gives. */
async function checkCounts(store: Store): Promise<readonly Row[]> {
  const rows = await readAll(store)
  const counts = await store.counts(always, anybody)
  assert.equal(
    counts.reduce((sum, { count }) => sum + count, 0),
    rows.length,
  )
  const uniques = await store.uniques(always, anybody)
  assert.equal(uniques.parties, new Set(rows.flatMap(({ partyId }) => partyId ?? [])).size)
  assert.equal((await store.health()).events, rows.length)
  return rows
}

/** The erasure and the copy of a store: part of the contract's suite. */
export function describeErase(makePlace: () => StorePlace): void {
  test('an erasure deletes events, repeats, claims and dead letters of one party alone', () =>
    withStore(makePlace, async (store) => {
      const rows = rowsOfBoth()
      const [first] = rows as [Row]
      const repeat = { ...first, receivedAt: first.receivedAt + 5, position: at(20) }
      const wrong = { clockSource: 'wrong', clientTime: 5 } as const
      const claimed = makeRow({ partyId: party, eventId: 'w', ...wrong, offset: 21 })
      const letters = [
        makeDeadLetter(30, {
          value: Buffer.from(`p=${encodeURIComponent(party)}&x=1`),
          source: 'tag',
        }),
        makeDeadLetter(31, {
          value: Buffer.from(JSON.stringify({ partyId: party })),
          source: 'json',
        }),
        makeDeadLetter(32, { value: Buffer.from('p=0:other'), source: 'tag' }),
      ]
      await store.write({ rows: [...rows, repeat, claimed], deadLetters: letters, positions: [] })
      const before = { events: 5, repeats: 1, claims: 1, deadLetters: 2 }
      assert.deepEqual(await store.partyRows(party), before)
      await erase(store)
      const left = await checkCounts(store)
      assert.deepEqual(left.map(({ eventId }) => eventId).sort(), ['o0', 'o1', 'o2', 'o3'])
      const none = { events: 0, repeats: 0, claims: 0, deadLetters: 0 }
      assert.deepEqual(await store.partyRows(party), none)
      assert.equal((await store.deadLetters({ limit: 10 })).length, 1)
      const [erasure, ...more] = await store.erasures(party)
      assert.deepEqual(more, [])
      assert.deepEqual(erasure?.deleted, before)
      assert.equal(erasure?.at, erasedAt)
      assert.equal(erasure?.finalAt, erasedAt + 1)
      assert.doesNotMatch(erasure?.party ?? party, /Brien/)
    }))

  test('closed days lose the party, and a replay does not bring it back', () =>
    withStore(makePlace, async (store) => {
      const rows = rowsOfBoth()
      await store.write(batchOf(...rows))
      for (const day of ['2026-03-07', '2026-03-08']) await store.closeDay(day)
      const letter = makeDeadLetter(30, {
        value: Buffer.from(`p=${encodeURIComponent(party)}`),
        source: 'tag',
        receivedAt: noon,
      })
      await store.write({ rows: [], deadLetters: [letter], positions: [] })
      await erase(store)
      await store.write({ rows, deadLetters: [letter], positions: [at(50)] })
      const left = await checkCounts(store)
      assert.deepEqual(left.map(({ eventId }) => eventId).sort(), ['o0', 'o1', 'o2', 'o3'])
      const [erasure] = await store.erasures()
      assert.deepEqual(erasure?.deleted, { events: 4, repeats: 0, claims: 0, deadLetters: 1 })
      assert.equal(erasure?.dropped, 5)
      assert.deepEqual(await store.deadLetters({ limit: 10 }), [])
      assert.deepEqual([...(await store.positions(at(0).log, at(0).topic))], [[0, 50]])
    }))

  test('what a party does after its erasure is stored', () =>
    withStore(makePlace, async (store) => {
      await store.write(batchOf(...rowsOfBoth()))
      await erase(store)
      const late = makeRow({ partyId: party, eventId: 'late', receivedAt: erasedAt, offset: 60 })
      const next = makeRow({
        partyId: party,
        eventId: 'next',
        receivedAt: erasedAt + 1,
        offset: 61,
      })
      assert.deepEqual(await store.write(batchOf(late, next)), { inserted: 1, repeated: 0 })
      assert.equal((await store.partyRows(party)).events, 1)
      await store.erase(party, erasedAt + 2)
      assert.equal((await store.partyRows(party)).events, 0)
      assert.equal((await store.erasures(party)).length, 2)
    }))

  test('an erasure while events arrive is right, and stays so when the store is opened again', async () => {
    const place = makePlace()
    const store = await place.open()
    const writes: Promise<unknown>[] = []
    for (let n = 0; n < 60; n++) {
      const rows = [0, 1].map((kind) =>
        makeRow({
          partyId: kind === 0 ? party : '0:other',
          eventId: `e${n}`,
          eventTime: noon + n,
          // Every third is received after the erasure.
          receivedAt: n % 3 === 0 ? erasedAt + 1 + n : noon + n,
          offset: 2 * n + kind,
        }),
      )
      writes.push(store.write(batchOf(...rows)))
      if (n === 20) writes.push(store.erase(party, erasedAt))
      if (n === 40) writes.push(store.settleErasures(erasedAt, erasedAt + 1))
    }
    await Promise.all(writes)
    await store.settleErasures(erasedAt, erasedAt + 1)
    const check = async (opened: Store): Promise<void> => {
      const rows = await checkCounts(opened)
      assert.equal(rows.filter(({ partyId }) => partyId === '0:other').length, 60)
      assert.equal(rows.filter(({ partyId }) => partyId === party).length, 20)
      const [erasure] = await opened.erasures()
      assert.equal((erasure?.deleted.events ?? 0) + (erasure?.dropped ?? 0), 40)
      assert.notEqual(erasure?.finalAt, null)
    }
    await check(store)
    await store.close()
    const again = await place.open()
    await check(again)
    await again.write(batchOf(makeRow({ partyId: party, eventId: 'e1', receivedAt: noon + 1 })))
    assert.equal((await again.partyRows(party)).events, 20)
    await again.close()
    await place.remove()
  })

  test('an erasure that is not settled is pending, goes on after the store is opened again, and takes what came', async () => {
    const place = makePlace()
    const store = await place.open()
    await store.write(batchOf(...rowsOfBoth()))
    assert.equal((await store.erase(party, erasedAt)).finalAt, null)
    assert.equal((await store.partyRows(party)).events, 0)
    await store.close()
    const again = await place.open()
    // Unreadable: nothing but a search of its bytes says whose it was.
    const letter = makeDeadLetter(30, {
      value: Buffer.from(`{"x":"${party.replaceAll('"', '\\"')}"}`),
    })
    await again.write({ rows: [], deadLetters: [letter], positions: [] })
    await again.settleErasures(erasedAt - 1, erasedAt)
    assert.equal((await again.erasures())[0]?.finalAt, null)
    await again.settleErasures(erasedAt, erasedAt + 7)
    const [erasure] = await again.erasures()
    assert.equal(erasure?.finalAt, erasedAt + 7)
    assert.deepEqual(erasure?.deleted, { events: 4, repeats: 0, claims: 0, deadLetters: 1 })
    await again.close()
    await place.remove()
  })

  test('an unknown party gives a receipt that says that nothing was found', () =>
    withStore(makePlace, async (store) => {
      await store.write(batchOf(...rowsOfBoth()))
      for (const unknown of ['nobody', `'; DROP TABLE events; --`, '🎉', '%', '0:k1:']) {
        const { deleted } = await store.erase(unknown, erasedAt)
        assert.deepEqual(deleted, { events: 0, repeats: 0, claims: 0, deadLetters: 0 })
        assert.deepEqual(await store.erasures(`${unknown}x`), [])
      }
      assert.equal((await checkCounts(store)).length, 8)
    }))

  test('a snapshot is the store in one moment of it, whatever is written meanwhile', async () => {
    const place = makePlace()
    const target = mkdtempSync(join(tmpdir(), 'millrace-snapshot-'))
    const store = await place.open()
    if (place.isCopiedElsewhere) {
      await assert.rejects(store.snapshot(target), { code: 'store_copy_elsewhere' })
      await store.close()
      return
    }
    const rows = rowsOfBoth()
    await store.write({ rows, deadLetters: [makeDeadLetter(9)], positions: [at(10)] })
    await store.closeDay('2026-03-08')
    const before = await readAll(store)
    const folder = join(target, 'store')
    mkdirSync(folder)
    const copying = store.snapshot(folder)
    const writing = store.write(batchOf(makeRow({ eventId: 'later', offset: 70 })))
    const asking = store.counts(always, anybody)
    await Promise.all([copying, writing, asking])
    assert.equal((await readAll(store)).length, 9)
    // A day that is written anew takes nothing from the copy.
    await erase(store)
    await store.close()
    await place.remove()
    if (place.openAt !== undefined) {
      const copy = await place.openAt(folder)
      // The write that was asked for at the same time is in it whole, or not at all.
      const copied = (await readAll(copy)).filter(({ eventId }) => eventId !== 'later')
      assert.deepEqual(copied, before)
      assert.equal((await copy.deadLetters({ limit: 10 })).length, 1)
      assert.deepEqual([...(await copy.positions(at(0).log, at(0).topic))], [[0, 10]])
      await copy.close()
    }
    rmSync(target, { recursive: true, force: true })
  })
}
