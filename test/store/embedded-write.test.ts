import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DuckDBInstance } from '@duckdb/node-api'
import { dayMs, hourMs, secondMs } from '../../src/lib/clock.ts'
import { loadClaimants } from '../../src/store/embedded/claims.ts'
import { openDatabase } from '../../src/store/embedded/database.ts'
import { divide } from '../../src/store/embedded/lookup.ts'
import { receiptOf } from '../../src/store/embedded/receipt.ts'
import type { Row } from '../../src/store/store.ts'
import { inFolder, makeFolder, openSmall, removeFolder, smallStore } from './embedded-scene.ts'
import { anybody, readAll } from './place.ts'
import {
  at,
  batchOf,
  createRandom,
  log,
  makeDeadLetter,
  makeRow,
  makeTraffic,
  noon,
  topic,
} from './rows.ts'

/** What the embedded store promises where its way of finding events could go wrong. */

test('a batch is divided into the stretch it lives in and the late events', () => {
  const random = createRandom(3)
  const live = Array.from({ length: 1000 }, (_, n) => ({ time: noon + n, eventId: `live ${n}` }))
  const late = Array.from({ length: 20 }, (_, n) => ({
    time: noon - hourMs - Math.floor(random() * 6 * dayMs),
    eventId: `late ${n}`,
  }))
  const divided = divide([...late, ...live])
  assert.deepEqual(divided.stretches, [live])
  assert.deepEqual(divided.late.toSorted(byTime), late.toSorted(byTime))
})

test('quiet traffic is one stretch, and a batch of two busy times is two', () => {
  const quiet = Array.from({ length: 100 }, (_, n) => ({ time: noon + n * 600_000, eventId: '' }))
  assert.equal(divide(quiet).stretches.length, 1)
  const busy = Array.from({ length: 100 }, (_, n) => ({ time: noon + n, eventId: '' }))
  const before = busy.map(({ time }) => ({ time: time - 3 * dayMs, eventId: '' }))
  assert.equal(divide([...busy, ...before]).stretches.length, 2)
  assert.deepEqual(divide([]), { stretches: [], late: [] })
})

test('a batch larger than a vector of DuckDB comes back whole and is known again', () =>
  inFolder(async (store) => {
    const rows = makeTraffic(5_000, { eventTime: noon, offset: 0, spanMs: 60_000 }, createRandom(1))
    assert.deepEqual(await store.write(batchOf(...rows)), { inserted: 5_000, repeated: 0 })
    const byId = new Map((await readAll(store)).map((row) => [row.eventId, row]))
    for (const row of rows) assert.deepEqual(byId.get(row.eventId), row)
    assert.deepEqual(await store.write(batchOf(...rows)), { inserted: 0, repeated: 0 })
  }))

test('thousands of events in one millisecond are told apart', () =>
  inFolder(async (store) => {
    const random = createRandom(2)
    const dense = makeTraffic(6_000, { eventTime: noon, offset: 0, spanMs: 1 }, random)
    await store.write(batchOf(...dense))
    const fresh = makeTraffic(100, { eventTime: noon, offset: 6_000, spanMs: 1 }, random)
    const mixed = [...dense.slice(2_000, 2_300), ...fresh, ...dense.slice(5_990)]
    assert.deepEqual(await store.write(batchOf(...mixed)), { inserted: 100, repeated: 0 })
    const repeats = dense.slice(0, 300).map((row) => ({ ...row, receivedAt: noon + secondMs }))
    assert.deepEqual(await store.write(batchOf(...repeats)), { inserted: 0, repeated: 300 })
    assert.deepEqual(await store.write(batchOf(...repeats)), { inserted: 0, repeated: 0 })
  }))

test('late events among live ones are known again, with live ones and alone', () =>
  inFolder(async (store) => {
    const random = createRandom(4)
    const rows = makeTraffic(3_000, { eventTime: noon, offset: 0, spanMs: 1_500 }, random).map(
      (row): Row => {
        if (random() > 0.2) return row
        const eventTime = row.eventTime - Math.floor(random() * 6 * dayMs)
        return { ...row, eventTime, clientTime: eventTime }
      },
    )
    assert.equal((await store.write(batchOf(...rows)))?.inserted, 3_000)
    assert.equal((await store.write(batchOf(...rows)))?.inserted, 0)
    const late = rows.filter(({ eventTime }) => eventTime < noon)
    for (const part of [late, late.slice(0, 1), late.toReversed()]) {
      assert.deepEqual(await store.write(batchOf(...part)), { inserted: 0, repeated: 0 })
    }
  }))

test('a write that fails half way leaves nothing and says that it can be tried again', () =>
  inFolder(async (store) => {
    const rows = [makeRow({ clockSource: 'absent', userAgent: 'Firefox' })]
    const positions = [at(1)]
    const unwritable = makeDeadLetter(1, { receivedAt: Number.NaN })
    await assert.rejects(store.write({ rows, deadLetters: [unwritable], positions }), {
      code: 'store_unavailable',
    })
    assert.deepEqual([...(await store.positions(log, topic))], [])
    assert.deepEqual(await store.logs(topic), [])
    assert.equal((await store.health()).events, 0)
    const result = await store.write({ rows, deadLetters: [makeDeadLetter(1)], positions })
    assert.deepEqual(result, { inserted: 1, repeated: 0 })
    assert.deepEqual(await readAll(store), rows)
  }))

test('claims are known after the store is opened again', async () => {
  const folder = makeFolder()
  for (const [partyId, n] of [
    ['p', 0],
    [null, 1],
  ] as const) {
    const wrong = makeRow({
      eventId: `${n}`,
      partyId,
      clockSource: 'wrong',
      clientTime: noon - 8 * dayMs,
    })
    const believed = makeRow({
      eventId: `${n}`,
      partyId,
      eventTime: noon - 8 * dayMs,
      receivedAt: noon - dayMs,
    })
    const first = await openSmall(folder)
    assert.equal((await first.write(batchOf(wrong)))?.inserted, 1)
    await first.close()
    const second = await openSmall(folder)
    assert.deepEqual(await second.write(batchOf(believed)), { inserted: 0, repeated: 1 })
    await second.close()
  }
  removeFolder(folder)
})

test('more claimants than may be remembered means that all are looked up', async () => {
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  await connection.run(
    `CREATE TABLE claims (party_id VARCHAR, event_id VARCHAR);
     INSERT INTO claims VALUES ('a', '1'), ('a', '2'), ('', '3')`,
  )
  const receipt = (partyId: string | null, eventId: string): ReturnType<typeof receiptOf> =>
    receiptOf(makeRow({ partyId, eventId }), 1, null)
  const known = await loadClaimants(connection, 2)
  assert.deepEqual(
    [receipt('a', '9'), receipt(null, '3'), receipt('b', '1'), receipt(null, '1')].map(known.has),
    [true, true, false, false],
  )
  known.add([receipt('b', '1')])
  assert.ok(known.has(receipt('anybody', '1')))
  const unknown = await loadClaimants(connection, 1)
  assert.ok(unknown.has(receipt('anybody', '1')))
  connection.closeSync()
  instance.closeSync()
})

test('a question that takes too long is stopped, and the next one is answered', async () => {
  const folder = makeFolder()
  const database = await openDatabase({ ...smallStore, folder, questionMsMax: 2_000 })
  const endless = database.ask((reader) =>
    reader.run('SELECT sum(a.range + b.range) FROM range(10000000) a, range(10000000) b'),
  )
  await assert.rejects(endless, { code: 'question_too_large' })
  assert.equal((await database.ask((reader) => reader.run('SELECT 1'))).rowCount, 1)
  await database.close()
  removeFolder(folder)
})

test('a question whose ROLLBACK is interrupted leaves no open transaction to the next one', async () => {
  const folder = makeFolder()
  const database = await openDatabase({ ...smallStore, folder })
  const interrupted = database.ask(async (reader) => {
    reader.run = () => Promise.reject(new Error('INTERRUPT Error: Interrupted!'))
  })
  await assert.rejects(interrupted, { code: 'question_too_large' })
  assert.equal((await database.ask((reader) => reader.run('SELECT 1'))).rowCount, 1)
  await database.close()
  removeFolder(folder)
})

test('a question that needs more memory than there is is refused, and the next one is answered', async () => {
  const folder = makeFolder()
  const database = await openDatabase({ threads: 1, memoryBytes: 16 * 1024 * 1024, folder })
  const huge = database.ask((reader) =>
    reader.run(`SELECT list(repeat('x', 100) || range) FROM range(5000000)`),
  )
  await assert.rejects(huge, { code: 'question_too_large' })
  assert.equal((await database.ask((reader) => reader.run('SELECT 1'))).rowCount, 1)
  await database.close()
  removeFolder(folder)
})

test('questions asked while a batch is written see all of it or nothing', () =>
  inFolder(async (store) => {
    const random = createRandom(5)
    const seen: number[] = []
    for (let round = 0; round < 5; round++) {
      const from = { eventTime: noon + round * 1000, offset: round * 1000, spanMs: 1000 }
      const write = store.write(batchOf(...makeTraffic(1_000, from, random)))
      const counts = await Promise.all(
        Array.from({ length: 6 }, () => store.counts({ from: 0, to: noon + dayMs }, anybody)),
      )
      for (const rows of counts) seen.push(rows.reduce((sum, { count }) => sum + count, 0))
      await write
    }
    assert.ok(
      seen.every((count) => count % 1_000 === 0),
      seen.join(),
    )
  }))

test('space that retention frees is used again', () =>
  inFolder(async (store) => {
    const random = createRandom(6)
    const sizes: number[] = []
    for (let day = 0; day < 8; day++) {
      const eventTime = noon + day * dayMs
      const rows = makeTraffic(15_000, { eventTime, offset: day * 15_000, spanMs: hourMs }, random)
      await store.write(batchOf(...rows))
      await store.retain(2, eventTime + hourMs)
      sizes.push((await store.health()).bytes)
    }
    assert.equal((await store.health()).events, 30_000)
    const [grown = 0, last = 0] = [sizes[3], sizes.at(-1)]
    assert.ok(last <= grown * 1.5, `bytes after each day: ${sizes}`)
  }))

function byTime(a: { readonly time: number }, b: { readonly time: number }): number {
  return a.time - b.time
}
