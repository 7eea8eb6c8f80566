import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { dayMs, dayOf } from '../../src/lib/clock.ts'
import { openDatabase } from '../../src/store/embedded/database.ts'
import { openEmbeddedStore } from '../../src/store/embedded/embedded.ts'
import { dayNumber, fileNameOf, readManifest } from '../../src/store/embedded/manifest.ts'
import { deleteBefore } from '../../src/store/embedded/retention.ts'
import {
  type RewriteContext,
  type RewriteStep,
  rewriteDay,
} from '../../src/store/embedded/rewrite.ts'
import { copyStore } from '../../src/store/embedded/snapshot.ts'
import { loadMemory, writeBatch } from '../../src/store/embedded/write.ts'
import type { Row, Store } from '../../src/store/store.ts'
import { inFolder, makeFolder, openSmall, removeFolder, smallStore } from './embedded-scene.ts'
import { anybody, readAll } from './place.ts'
import { batchOf, createRandom, makeRow, makeTraffic, noon } from './rows.ts'

/** What the embedded store promises about the files of closed days. */

const today = dayOf(noon)
const yesterday = dayOf(noon - dayMs)

const steps: readonly RewriteStep[] = [
  'copied',
  'synced',
  'renamed',
  'folderSynced',
  'committed',
  'retired',
]

for (const step of steps) {
  test(`a kill -9 when a closing has ${step} changes no answer, and it can be done again`, () =>
    inNewFolder(async (folder) => {
      await fill(folder)
      for (const round of ['first version', 'second version']) {
        const before = await withOpen(folder, readAll)
        await killAfter(folder, step)
        await withOpen(folder, async (store) => {
          assert.deepEqual(await readAll(store), before, round)
          await store.closeDay(today)
          assert.deepEqual(await readAll(store), before, round)
          assert.equal((await store.closeDay(today)).isWritten, false)
          await store.write(batchOf(makeRow({ eventId: round, eventTime: noon + 7 })))
        })
        const files = filesOf(folder).filter((name) => name.startsWith(today))
        assert.equal(files.length, 1, files.join())
      }
    }))
}

test('what a killed closing left goes at the start; the files of others stay', () =>
  inNewFolder(async (folder) => {
    await fill(folder)
    const days = join(folder, 'days')
    for (const name of [`${today}.1.parquet.new`, `${today}.7.parquet`, 'notes.parquet']) {
      writeFileSync(join(days, name), 'left')
    }
    await withOpen(folder, async () => {})
    assert.deepEqual(filesOf(folder), ['notes.parquet'])
  }))

test('where the file of a day is missing, another version of it is not thrown away', () =>
  inNewFolder(async (folder) => {
    await fill(folder)
    await withOpen(folder, (store) => store.closeDay(today))
    const days = join(folder, 'days')
    copyFileSync(join(days, `${today}.1.parquet`), join(days, `${today}.2.parquet`))
    rmSync(join(days, `${today}.1.parquet`))
    await withOpen(folder, async () => {})
    assert.deepEqual(filesOf(folder), [`${today}.2.parquet`])
  }))

const damages: Readonly<Record<string, (file: string, other: string) => void>> = {
  missing: (file) => rmSync(file),
  cut: (file) => truncateSync(file, statSync(file).size - 100),
  'of another day': (file, other) => copyFileSync(other, file),
  "somebody's": (file) => writeFileSync(file, 'PAR1 no, a letter\n'.repeat(20)),
  'changed in one bit': flipBit,
}

for (const [what, damage] of Object.entries(damages)) {
  test(`a file that is ${what} is store_corrupt and named; other days and writes go on`, () =>
    inFolder(async (store, folder) => {
      await store.write(batchOf(...traffic(noon), ...traffic(noon - dayMs)))
      await store.closeDay(today)
      await store.closeDay(yesterday)
      const healthy = await readAll(store)
      const file = join(folder, 'days', `${today}.1.parquet`)
      const copy = join(folder, 'copy')
      copyFileSync(file, copy)
      damage(file, join(folder, 'days', `${yesterday}.1.parquet`))
      const named = { code: 'store_corrupt', message: /\d\.1\.parquet/ }
      await assert.rejects(readAll(store), named)
      await assert.rejects(store.counts(dayOfTime(noon), anybody), named)
      await assert.rejects(store.uniques(dayOfTime(noon), anybody), named)
      const others = { from: noon - 2 * dayMs, to: dayOfTime(noon).from }
      assert.equal(sum(await store.counts(others, anybody)), 600)
      const fresh = makeRow({ eventId: 'fresh', eventTime: noon + dayMs })
      assert.deepEqual(await store.write(batchOf(fresh)), { inserted: 1, repeated: 0 })
      if (what !== 'changed in one bit' && what !== 'of another day') {
        assert.deepEqual((await store.health()).damagedDays, [today])
      }
      // Receipts of events that the file holds are taken while nobody can look, and found out later.
      const again = (healthy as Row[]).filter(({ eventTime }) => dayOf(eventTime) === today)
      await store.write(batchOf(...again.slice(0, 80)))
      await assert.rejects(store.closeDay(today), named)
      copyFileSync(copy, file)
      await assert.rejects(readAll(store), { code: 'store_corrupt', message: /closing the day/ })
      await store.closeDay(today)
      assert.deepEqual(await readAll(store), [...healthy, fresh])
      assert.deepEqual((await store.health()).damagedDays, [])
      assert.equal((await store.health()).duplicates, 0)
    }))
}

for (const what of ['missing', 'cut', 'changed in one bit']) {
  test(`a snapshot of a store with a file that is ${what} names it, and writes go on`, () =>
    inFolder(async (store, folder) => {
      await store.write(batchOf(...traffic(noon), ...traffic(noon - dayMs)))
      for (const day of [today, yesterday]) await store.closeDay(day)
      const file = join(folder, 'days', `${today}.1.parquet`)
      damages[what]?.(file, '')
      const into = join(folder, 'into')
      const named = { code: 'store_corrupt', message: new RegExp(`${today}\\.1\\.parquet`) }
      await assert.rejects(store.snapshot(into), named)
      assert.ok(!existsSync(into), 'nothing is copied')
      const fresh = makeRow({ eventId: 'fresh', eventTime: noon + dayMs })
      assert.deepEqual(await store.write(batchOf(fresh)), { inserted: 1, repeated: 0 })
    }))
}

test('a file that goes while its day is put together is named', () =>
  inNewFolder(async (folder) => {
    let isGoing = false
    const file = join(folder, 'days', `${today}.1.parquet`)
    const away = join(folder, 'away')
    const onRewriteStep = (step: RewriteStep): void => {
      if (isGoing && step === 'folderSynced') renameSync(file, away)
    }
    const store = await openEmbeddedStore({ ...smallStore, folder, onRewriteStep })
    await store.write(batchOf(makeRow()))
    await store.closeDay(today)
    renameSync(file, away)
    await store.write(batchOf(makeRow()))
    renameSync(away, file)
    isGoing = true
    const named = { code: 'store_corrupt', message: /\.1\.parquet is missing/ }
    await assert.rejects(store.closeDay(today), named)
    isGoing = false
    renameSync(away, file)
    assert.equal((await store.closeDay(today)).rows, 1)
    await store.close()
  }))

test('a file that goes while a snapshot is made is named too', () =>
  inNewFolder(async (folder) => {
    await fill(folder)
    const gone = join(folder, 'days', `${today}.1.parquet`)
    const copying = copyStore(join(folder, 'store.duckdb'), [gone], makeInto(folder), 2 ** 27)
    await assert.rejects(copying, { code: 'store_corrupt', message: /\.1\.parquet is missing/ })
  }))

test('rows that are written while their day is copied stay, those that went do not come back', () =>
  inNewFolder(async (folder) => {
    await fill(folder)
    let meanwhile = async (): Promise<unknown> => undefined
    const onRewriteStep = (step: RewriteStep): unknown => (step === 'copied' ? meanwhile() : 0)
    const store = await openEmbeddedStore({
      ...smallStore,
      folder,
      onRewriteStep: async (step) => void (await onRewriteStep(step)),
    })
    const before = await readAll(store)
    const late = makeRow({ eventId: 'late', eventTime: noon + 3 * 3_600_000 })
    meanwhile = () => store.write(batchOf(late))
    assert.equal((await store.closeDay(today)).rows, 600)
    assert.equal((await store.days()).find(({ day }) => day === today)?.openRows, 1)
    assert.deepEqual(new Set(await readAll(store)), new Set([...before, late]))
    let deletions = 0
    meanwhile = async () => {
      if (deletions++ === 0) await store.retain(1, noon + dayMs)
    }
    await store.closeDay(yesterday)
    await store.closeDay(today)
    assert.deepEqual(await readAll(store), [])
    await store.close()
  }))

test('a question under way keeps the version that it reads', () =>
  inNewFolder(async (folder) => {
    await fill(folder)
    await withOpen(folder, (store) => store.closeDay(today))
    const database = await openDatabase({ ...smallStore, folder })
    const file = join(folder, 'days', `${today}.1.parquet`)
    const begun = Promise.withResolvers<void>()
    const ended = Promise.withResolvers<void>()
    const asking = database.ask(() => {
      begun.resolve()
      return ended.promise
    })
    await begun.promise
    database.days.retire(file, database.questionsUnderWay())
    await new Promise((next) => setTimeout(next, 20))
    assert.ok(existsSync(file))
    ended.resolve()
    await asking
    await database.days.exclusively(async () => assert.ok(!existsSync(file)))
    await database.close()
  }))

test('a day that retention takes and that gets rows again does not lose them with its old file', () =>
  inNewFolder(async (folder) => {
    const database = await openDatabase({ ...smallStore, folder })
    const { writer, days } = database
    const write = async (eventId: string): Promise<void> => {
      await writeBatch(writer, await loadMemory(writer), batchOf(makeRow({ eventId })))
    }
    const number = dayNumber(today)
    const ended = Promise.withResolvers<void>()
    let asking: Promise<void> | undefined
    const context: RewriteContext = {
      database: async () => database,
      change: (work) => work(writer),
      onStep: async (step) => {
        if (step !== 'folderSynced' || asking !== undefined) return
        asking = database.ask(() => ended.promise)
        const { closedDays } = await deleteBefore(writer, (number + 1) * dayMs)
        for (const entry of closedDays) {
          days.retire(join(days.path, fileNameOf(entry)), database.questionsUnderWay())
        }
        await write('imported')
      },
    }
    await write('first')
    await rewriteDay({ ...context, onStep: undefined }, number)
    await write('late')
    assert.equal((await rewriteDay(context, number))?.rows, 1)
    ended.resolve()
    await asking
    // Whatever is to go has gone before the next one may write.
    await days.exclusively(async () => undefined)
    const [entry] = await readManifest(writer)
    assert.ok(entry !== undefined)
    assert.deepEqual(readdirSync(days.path), [fileNameOf(entry)])
    await database.close()
  }))

test('health calls no day damaged because it is being written anew', () =>
  inNewFolder((folder) =>
    withOpen(folder, async (store) => {
      let isClosing = true
      const asking = (async () => {
        while (isClosing) assert.deepEqual((await store.health()).damagedDays, [])
      })()
      for (let n = 0; n < 30; n++) {
        await store.write(batchOf(makeRow({ eventId: `event-${n}`, offset: n })))
        await store.closeDay(today)
      }
      isClosing = false
      await asking
    }),
  ))

test('DuckDB reaches the files of closed days and no others', () =>
  inNewFolder(async (folder) => {
    await withOpen(folder, async () => {})
    writeFileSync(join(folder, 'outside.txt'), 'outside')
    writeFileSync(join(folder, 'days', 'inside.txt'), 'inside')
    const database = await openDatabase({ ...smallStore, folder })
    const read = (file: string): Promise<unknown> =>
      database.ask(async (reader) =>
        (await reader.run(`SELECT content FROM read_text('${join(folder, file)}')`)).getRows(),
      )
    assert.deepEqual(await read('days/inside.txt'), [['inside']])
    await assert.rejects(read('outside.txt'), /Permission Error/)
    await assert.rejects(read('days/../outside.txt'), /Permission Error/)
    await database.close()
  }))

function traffic(time: number): Row[] {
  return makeTraffic(600, { eventTime: time, offset: 0, spanMs: 3_600_000 }, createRandom(time))
}

function makeInto(folder: string): string {
  const into = join(folder, 'into')
  mkdirSync(into)
  return into
}

async function fill(folder: string): Promise<void> {
  await withOpen(folder, (store) =>
    store.write(batchOf(...traffic(noon), ...traffic(noon - dayMs))),
  )
}

async function killAfter(folder: string, step: RewriteStep): Promise<void> {
  const child = fork(join(import.meta.dirname, 'embedded-closer.ts'), [folder, today, step])
  const [, signal] = (await once(child, 'exit')) as [number | null, string | null]
  assert.equal(signal, 'SIGKILL')
}

async function inNewFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = makeFolder()
  try {
    await body(folder)
  } finally {
    removeFolder(folder)
  }
}

async function withOpen<Answer>(
  folder: string,
  body: (store: Store) => Promise<Answer>,
): Promise<Answer> {
  const store = await openSmall(folder)
  try {
    return await body(store)
  } finally {
    await store.close()
  }
}

function filesOf(folder: string): string[] {
  return readdirSync(join(folder, 'days')).sort()
}

/** Same size and same time of change: only the bytes tell. */
function flipBit(file: string): void {
  const { atime, mtime } = statSync(file)
  const bytes = readFileSync(file)
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1
  writeFileSync(file, bytes)
  utimesSync(file, atime, mtime)
}

function dayOfTime(time: number): { from: number; to: number } {
  const from = Math.floor(time / dayMs) * dayMs
  return { from, to: from + dayMs }
}

function sum(rows: readonly { count: number }[]): number {
  return rows.reduce((total, { count }) => total + count, 0)
}
