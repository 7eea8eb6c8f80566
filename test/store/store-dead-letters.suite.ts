import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dayMs } from '../../src/lib/clock.ts'
import type { Store, StoredDeadLetter } from '../../src/store/store.ts'
import { type StorePlace, withStore } from './place.ts'
import { at, makeDeadLetter, noon } from './rows.ts'

/** The part of the suite about what could not be stored. */
export function describeDeadLetters(makePlace: () => StorePlace): void {
  test('a dead letter is kept once for its position, whoever brings it again', () =>
    withStore(makePlace, async (store) => {
      const letter = makeDeadLetter(1)
      await store.write({ rows: [], deadLetters: [letter, letter], positions: [] })
      await store.write({ rows: [], deadLetters: [letter, makeDeadLetter(2)], positions: [] })
      assert.equal((await store.health()).deadLetters, 2)
      assert.deepEqual(await store.deadLetter(at(1)), { ...letter, replayedAt: null })
      assert.equal(await store.deadLetter(at(3)), undefined)
      assert.equal(await store.deadLetter({ ...at(1), log: 'another' }), undefined)
    }))

  test('the same offset of another topic or partition is another dead letter', () =>
    withStore(makePlace, async (store) => {
      const places = [at(1), at(1, 1), { ...at(1), topic: 'rejected' }]
      const deadLetters = places.map((position) => makeDeadLetter(1, { position }))
      await store.write({ rows: [], deadLetters, positions: [] })
      assert.equal((await store.health()).deadLetters, 3)
      for (const position of places) {
        assert.deepEqual((await store.deadLetter(position))?.position, position)
      }
    }))

  test('dead letters come newest first, page by page, by code when asked', () =>
    withStore(makePlace, async (store) => {
      const deadLetters = Array.from({ length: 9 }, (_, n) =>
        makeDeadLetter(n, {
          receivedAt: noon + Math.floor(n / 3),
          code: n % 2 === 0 ? 'even' : 'odd',
          value: new Uint8Array(n * 100),
          replayable: n !== 4,
        }),
      )
      await store.write({ rows: [], deadLetters, positions: [] })
      const newestFirst = deadLetters
        .toReversed()
        .map((letter) => ({ ...letter, replayedAt: null }))
      for (const limit of [1, 2, 20]) assert.deepEqual(await readPages(store, limit), newestFirst)
      assert.deepEqual(
        await readPages(store, 2, 'odd'),
        newestFirst.filter(({ code }) => code === 'odd'),
      )
    }))

  test('a replayed dead letter says when, and no longer counts', () =>
    withStore(makePlace, async (store) => {
      await store.write({ rows: [], deadLetters: [makeDeadLetter(1)], positions: [] })
      await store.markReplayed(at(1), noon + 5)
      assert.equal((await store.deadLetter(at(1)))?.replayedAt, noon + 5)
      assert.equal((await store.health()).deadLetters, 0)
      await assert.rejects(store.markReplayed(at(2), noon), { code: 'dead_letter_unknown' })
    }))

  test('retention deletes dead letters by the day they were received', () =>
    withStore(makePlace, async (store) => {
      const old = makeDeadLetter(1, { receivedAt: noon - 2 * dayMs })
      await store.write({ rows: [], deadLetters: [old, makeDeadLetter(2)], positions: [] })
      assert.equal(await store.retain(2, noon), 0)
      assert.deepEqual(
        (await store.deadLetters({ limit: 9 })).map(({ position }) => position),
        [at(2)],
      )
      assert.deepEqual(await store.deadLetters({ limit: 9, after: at(1) }), [])
    }))
}

async function readPages(store: Store, limit: number, code?: string): Promise<StoredDeadLetter[]> {
  const letters: StoredDeadLetter[] = []
  for (;;) {
    const after = letters.at(-1)?.position
    const found = await store.deadLetters({
      limit,
      ...(after && { after }),
      ...(code !== undefined && { code }),
    })
    if (found.length === 0) return letters
    letters.push(...found)
  }
}
