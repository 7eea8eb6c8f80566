import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { existsSync, globSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { DuckDBInstance } from '@duckdb/node-api'
import { dayMs } from '../../src/lib/clock.ts'
import { compactDatabase } from '../../src/store/embedded/compact.ts'
import { openEmbeddedStore } from '../../src/store/embedded/embedded.ts'
import {
  inFolder,
  kill,
  makeFolder,
  openSmall,
  removeFolder,
  smallStore,
} from './embedded-scene.ts'
import { anybody, readAll } from './place.ts'
import { batchOf, createRandom, makeDeadLetter, makeRow, noon, randomText } from './rows.ts'

const random = createRandom(4)
const party = `0:iq8k:${randomText(random)}`

/** The files below a folder in which a text stands. */
function filesWith(folder: string, text: string): string[] {
  const files = globSync('**', { cwd: folder }).filter((name) =>
    statSync(join(folder, name)).isFile(),
  )
  return files.filter((name) => readFileSync(join(folder, name)).includes(text))
}

/** Rows of a party in Parquet files, whose texts are compressed. */
async function rowsInDays(folder: string): Promise<number> {
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  const sql = `SELECT count(*)::INT FROM read_parquet('${folder}/days/*') WHERE party_id = '${party}'`
  const rows = (await connection.runAndReadAll(sql)).getRows()
  connection.closeSync()
  instance.closeSync()
  return rows[0]?.[0] as number
}

test('after an erasure no byte of the party is left in the folder, not in free blocks either', () =>
  inFolder(async (store, folder) => {
    const rows = Array.from({ length: 3_000 }, (_, n) =>
      makeRow({
        partyId: n % 10 === 0 ? party : `0:iq8k:${randomText(random)}`,
        eventId: randomText(random),
        eventTime: noon + n - (n % 3) * dayMs,
        location: n % 10 === 0 ? `https://shop.example/?me=${party}` : null,
        offset: n,
      }),
    )
    const letter = makeDeadLetter(9_000, { value: Buffer.from(`p=${party}&broken`) })
    await store.write({ rows, deadLetters: [letter], positions: [] })
    await store.closeDay('2026-03-08')
    assert.equal(await rowsInDays(folder), 100)
    assert.notDeepEqual(filesWith(folder, party), [])
    await store.erase(party, noon + dayMs)
    assert.equal((await store.partyRows(party)).events, 0)
    // Deleted is not erased: this is what the compaction is for.
    assert.notDeepEqual(filesWith(folder, party), [])
    await store.settleErasures(noon + dayMs, noon + dayMs)
    assert.deepEqual(filesWith(folder, party), [])
    assert.equal(await rowsInDays(folder), 0)
    assert.equal(globSync('days/2026-03-08.*', { cwd: folder }).length, 1)
    assert.equal((await readAll(store)).length, 2_700)
    await store.write(batchOf(...rows))
    assert.deepEqual(filesWith(folder, party), [])
    const [erasure] = await store.erasures(party)
    assert.deepEqual(erasure?.deleted, { events: 300, repeats: 0, claims: 0, deadLetters: 1 })
    assert.equal(erasure?.dropped, 300)
  }))

test('after kill -9 at any moment of erasing and compacting, nothing else is lost and nothing comes back', async () => {
  const folder = makeFolder()
  let promised = -1
  try {
    for (let round = 0; round < 4; round++) {
      const child = fork(join(import.meta.dirname, 'embedded-eraser.ts'), [folder])
      const started = new Promise((resolve) => child.once('message', resolve))
      child.on('message', (n: number) => {
        promised = n
      })
      await started
      await sleep(random() * 120)
      await kill(child)
      const store = await openSmall(folder)
      assert.ok(!existsSync(join(folder, 'store.duckdb.fresh')))
      const parties = (await readAll(store)).map(({ partyId }) => String(partyId))
      for (let n = 0; n <= promised; n++) {
        assert.ok(parties.includes(`kept-${n}-`), `kept-${n} of ${promised}`)
        assert.ok(!parties.includes(`erased-${n}-`), `erased-${n} of ${promised}`)
      }
      await store.settleErasures(noon + dayMs, noon + dayMs)
      const erasures = await store.erasures()
      assert.ok(erasures.every(({ finalAt }) => finalAt !== null))
      assert.ok(erasures.length > promised)
      // One more may be written whose erasure was not asked for yet.
      for (let n = 0; n < erasures.length; n++) {
        assert.deepEqual(filesWith(folder, `erased-${n}-`), [], `erased-${n}`)
      }
      await store.close()
    }
  } finally {
    removeFolder(folder)
  }
})

test('a day that is closed while an erasure is settled loses the party too', async () => {
  const folder = makeFolder()
  let whileCopied: (() => Promise<void>) | undefined
  const onRewriteStep = async (step: string): Promise<void> => {
    if (step === 'copied') await whileCopied?.()
  }
  const store = await openEmbeddedStore({ ...smallStore, folder, onRewriteStep })
  try {
    const rows = [0, 1].flatMap((days) =>
      [party, '0:iq8k:other'].map((partyId) =>
        makeRow({ partyId, eventId: `${partyId}-${days}`, eventTime: noon - days * dayMs }),
      ),
    )
    await store.write(batchOf(...rows))
    await store.closeDay('2026-03-09')
    // Noted only, as its first deletion cannot write the file of the closed day.
    whileCopied = () => Promise.reject(new Error('the disk'))
    await assert.rejects(store.erase(party, noon + dayMs), { code: 'store_unavailable' })
    let settled: Promise<void> | undefined
    whileCopied = async () => {
      settled ??= store.settleErasures(noon + dayMs, noon + dayMs)
      // By then it knows the closed days, and waits for this one to be written.
      for (let asked = 0; asked < 20; asked++) await store.partyRows(party)
    }
    await store.closeDay('2026-03-10')
    await settled
    assert.notEqual((await store.erasures(party))[0]?.finalAt, null)
    assert.equal((await store.partyRows(party)).events, 0)
    assert.equal(await rowsInDays(folder), 0)
    assert.equal((await readAll(store)).length, 2)
  } finally {
    await store.close()
    removeFolder(folder)
  }
})

/** What can become of a file that is moved away and put back later. */
const damages: Readonly<Record<string, (file: string) => void>> = {
  missing: () => {},
  cut: (file) => writeFileSync(file, 'PAR1'),
}

for (const [what, damage] of Object.entries(damages)) {
  test(`while a closed day's file is ${what}, the rest is erased and the erasure stays pending`, () =>
    inFolder(async (store, folder) => {
      const erasedAt = noon + dayMs
      const rows = [0, 1, 2].flatMap((days) =>
        [party, '0:iq8k:other'].map((partyId, n) =>
          makeRow({
            partyId,
            eventId: `${n}-${days}`,
            eventTime: noon - days * dayMs,
            receivedAt: noon,
            offset: 2 * days + n,
          }),
        ),
      )
      const letter = makeDeadLetter(90, { value: Buffer.from(`p=${party}&broken`) })
      await store.write({ rows, deadLetters: [letter], positions: [] })
      for (const day of ['2026-03-08', '2026-03-09']) await store.closeDay(day)
      const [file, away] = [join(folder, 'days', '2026-03-09.1.parquet'), join(folder, 'away')]
      renameSync(file, away)
      damage(file)

      const receipt = await store.erase(party, erasedAt)
      assert.deepEqual(receipt.deleted, { events: 2, repeats: 0, claims: 0, deadLetters: 1 })
      assert.equal(receipt.finalAt, null)
      const open = { from: noon - 60_000, to: noon + 60_000 }
      const earlier = { from: noon - 3 * dayMs, to: noon - 1.5 * dayMs }
      for (const range of [open, earlier]) {
        const uniques = await store.uniques(range, anybody)
        assert.equal(uniques.parties, 1)
      }
      const inode = statSync(join(folder, 'store.duckdb')).ino
      for (let times = 0; times < 2; times++) {
        await store.settleErasures(erasedAt, erasedAt + 1)
        assert.equal((await store.erasures(party))[0]?.finalAt, null)
        assert.equal(statSync(join(folder, 'store.duckdb')).ino, inode, 'written anew for nothing')
      }
      // Still dropped, not stored.
      assert.deepEqual(await store.write(batchOf(...rows.slice(0, 1))), {
        inserted: 0,
        repeated: 0,
      })

      renameSync(away, file)
      await store.settleErasures(erasedAt, erasedAt + 2)
      const [erasure] = await store.erasures(party)
      assert.deepEqual(erasure?.deleted, { events: 3, repeats: 0, claims: 0, deadLetters: 1 })
      assert.equal(erasure?.finalAt, erasedAt + 2)
      assert.equal(await rowsInDays(folder), 0)
      const left = await readAll(store)
      assert.deepEqual(left.map(({ eventId }) => eventId).sort(), ['1-0', '1-1', '1-2'])
    }))
}

test('an erasure waits for a damaged day that has nothing of the party, until retention takes it', () =>
  inFolder(async (store, folder) => {
    await store.write(
      batchOf(
        makeRow({ partyId: '0:iq8k:other', eventId: 'old', eventTime: noon - dayMs, offset: 0 }),
        makeRow({ partyId: party, eventId: 'new', offset: 1 }),
      ),
    )
    await store.closeDay('2026-03-09')
    renameSync(join(folder, 'days', '2026-03-09.1.parquet'), join(folder, 'away'))
    const { deleted } = await store.erase(party, noon + dayMs)
    assert.equal(deleted.events, 1)
    await store.settleErasures(noon + dayMs, noon + dayMs)
    assert.equal((await store.erasures(party))[0]?.finalAt, null)
    await store.retain(1, noon)
    await store.settleErasures(noon + dayMs, noon + dayMs)
    assert.equal((await store.erasures(party))[0]?.finalAt, noon + dayMs)
    assert.deepEqual(filesWith(folder, party), [])
  }))

test('what was stored beside a file that could not be read is put together and erased when it is back', () =>
  inFolder(async (store, folder) => {
    const rows = [party, '0:iq8k:other'].map((partyId, offset) =>
      makeRow({ partyId, eventId: `${offset}`, eventTime: noon - dayMs, receivedAt: noon, offset }),
    )
    await store.write(batchOf(...rows))
    await store.closeDay('2026-03-09')
    const [file, away] = [join(folder, 'days', '2026-03-09.1.parquet'), join(folder, 'away')]
    renameSync(file, away)
    await store.write(batchOf(...rows))
    await store.erase(party, noon + dayMs)
    renameSync(away, file)
    await store.settleErasures(noon + dayMs, noon + dayMs)
    assert.equal((await store.erasures(party))[0]?.finalAt, noon + dayMs)
    assert.deepEqual(
      (await readAll(store)).map(({ eventId }) => eventId),
      ['1'],
    )
    assert.deepEqual((await store.health()).damagedDays, [])
    assert.equal(await rowsInDays(folder), 0)
  }))

test('a compaction that fails leaves the file as it was', async () => {
  const folder = makeFolder()
  const file = join(folder, 'store.duckdb')
  try {
    const store = await openSmall(folder)
    const rows = Array.from({ length: 20_000 }, (_, offset) =>
      makeRow({ eventId: randomText(random), offset }),
    )
    await store.write(batchOf(...rows))
    await store.close()
    const bytes = readFileSync(file)
    // A disk that gives back other bytes than it took.
    bytes.fill(7, 16_384)
    writeFileSync(file, bytes)
    await assert.rejects(compactDatabase(file, smallStore.memoryBytes))
    assert.deepEqual(readFileSync(file), bytes)
    assert.deepEqual(globSync('store.duckdb.*', { cwd: folder }), [])
  } finally {
    removeFolder(folder)
  }
})

test('what a compaction that was killed left behind goes when the store is opened', async () => {
  const folder = makeFolder()
  try {
    await (await openSmall(folder)).close()
    for (const name of ['store.duckdb.fresh', 'store.duckdb.fresh.wal']) {
      writeFileSync(join(folder, name), party)
    }
    await (await openSmall(folder)).close()
    assert.deepEqual(filesWith(folder, party), [])
  } finally {
    removeFolder(folder)
  }
})
