import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { DuckDBInstance } from '@duckdb/node-api'
import { openEmbeddedStore } from '../../src/store/embedded/embedded.ts'
import type { Store } from '../../src/store/store.ts'
import {
  checkWhole,
  inFolder,
  kill,
  makeFolder,
  openSmall,
  recordsOf,
  removeFolder,
  smallStore,
  startOwner,
} from './embedded-scene.ts'
import { createRandom, makeTraffic, noon } from './rows.ts'

/** What the embedded store promises about its file. */

test('a store in use by another process is refused, and the owner named', async () => {
  const folder = makeFolder()
  const owner = await startOwner(folder, 'hold')
  try {
    await assert.rejects(openSmall(folder), (error: Error & { code: string }) => {
      assert.equal(error.code, 'store_locked')
      assert.match(error.message, new RegExp(`process ${owner.pid}\\b`))
      return true
    })
  } finally {
    await kill(owner)
  }
  const store = await openSmall(folder)
  await store.close()
  removeFolder(folder)
})

test('a store is not opened twice in one process, and stays locked for others', () =>
  inFolder(async (store, folder) => {
    await assert.rejects(openSmall(folder), { code: 'store_locked' })
    await store.write(recordsOf(0, 20))
    await assert.rejects(startOwnerThatFails(folder), /store_locked/)
    await checkWhole(store)
  }))

test('close lets go of every handle', { skip: !existsSync('/proc/self/fd') && 'no /proc' }, () =>
  inFolder(async (store, folder) => {
    await store.write(recordsOf(0, 100))
    await Promise.all([store.health(), checkWhole(store)])
    assert.ok(openFilesIn(folder).length > 0)
    await store.close()
    assert.deepEqual(openFilesIn(folder), [])
  }),
)

test('a closed store can be opened again at once, many times', async () => {
  const folder = makeFolder()
  for (let round = 0; round < 5; round++) {
    const store = await openSmall(folder)
    await store.write(recordsOf(round * 30, 30))
    assert.equal(await checkWhole(store), (round + 1) * 30)
    await store.close()
  }
  removeFolder(folder)
})

test('a file that is no database, or half of one, is store_corrupt', async () => {
  const folder = makeFolder()
  const file = join(folder, 'store.duckdb')
  writeFileSync(file, 'this is not a database, although it is long enough to be one\n'.repeat(500))
  await assert.rejects(openSmall(folder), { code: 'store_corrupt' })
  removeFolder(folder)

  const store = await openSmall(folder)
  const rows = makeTraffic(20_000, { eventTime: noon, offset: 0, spanMs: 1000 }, createRandom(1))
  await store.write({ rows, deadLetters: [], positions: [] })
  await store.close()
  for (const share of [0.7, 0.3, 0.001]) {
    truncateSync(file, Math.floor(statSync(file).size * share))
    await assert.rejects(openSmall(folder), { code: 'store_corrupt' })
  }
  removeFolder(folder)
})

test('a database of somebody else is store_corrupt and stays as it is', async () => {
  const folder = makeFolder()
  await editFile(folder, 'CREATE TABLE theirs (a INTEGER); INSERT INTO theirs VALUES (1)')
  await assert.rejects(openSmall(folder), { code: 'store_corrupt' })
  assert.equal(await editFile(folder, 'SELECT count(*) FROM theirs'), 1n)
  removeFolder(folder)
})

test('a store of another format version is store_version', async () => {
  const folder = makeFolder()
  await (await openSmall(folder)).close()
  await editFile(folder, `UPDATE meta SET value = '999' WHERE name = 'format'`)
  await assert.rejects(openSmall(folder), { code: 'store_version' })
  removeFolder(folder)
})

test('a folder that cannot be made is store_unavailable', async () => {
  const folder = makeFolder()
  writeFileSync(join(folder, 'file'), '')
  await assert.rejects(openSmall(join(folder, 'file', 'store')), { code: 'store_unavailable' })
  removeFolder(folder)
})

test('a full disk is store_unavailable, leaves nothing half, and is over when there is space', async (t) => {
  const folder = makeFolder()
  // Past 64 MiB DuckDB wants space for a checkpoint: the second size fills there, and then it wants
  // to be opened anew.
  for (const megabytes of [4, 70]) {
    try {
      mkdirSync(folder, { recursive: true })
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', folder])
    } catch {
      t.skip('NOT TESTED: a full disk, as a small tmpfs cannot be mounted here (needs root)')
      return
    }
    try {
      await fillDisk(await openSmall(folder), folder)
    } finally {
      execFileSync('umount', ['--lazy', folder])
    }
  }
  removeFolder(folder)
})

async function fillDisk(store: Store, folder: string): Promise<void> {
  const size = 4_000
  let next = 0
  const write = async (): Promise<void> => {
    const batch = recordsOf(next, size)
    const rows = batch.rows.map((row) => ({
      ...row,
      parameters: randomBytes(300).toString('base64'),
    }))
    await store.write({ ...batch, rows })
    next += size
  }
  await assert.rejects(
    async () => {
      while (next < 400_000) await write()
    },
    { code: 'store_unavailable' },
  )
  assert.equal(await checkWhole(store), next)
  execFileSync('mount', ['-o', 'remount,size=200m', folder])
  await write()
  assert.equal(await checkWhole(store), next)
  await store.close()
  const again = await openEmbeddedStore({ ...smallStore, folder })
  assert.equal(await checkWhole(again), next)
  await again.close()
}

async function startOwnerThatFails(folder: string): Promise<void> {
  execFileSync(process.execPath, [join(import.meta.dirname, 'embedded-owner.ts'), folder, 'hold'], {
    stdio: 'pipe',
  })
}

function openFilesIn(folder: string): string[] {
  return readdirSync('/proc/self/fd')
    .map((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`)
      } catch {
        return ''
      }
    })
    .filter((path) => path.startsWith(folder))
}

/** Runs SQL on the file with plain DuckDB; returns the first value of the answer. */
async function editFile(folder: string, sql: string): Promise<unknown> {
  const instance = await DuckDBInstance.create(join(folder, 'store.duckdb'), { threads: '1' })
  const connection = await instance.connect()
  const rows = await (await connection.run(sql)).getRows()
  connection.closeSync()
  instance.closeSync()
  return rows[0]?.[0]
}
