import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { cpSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  checkWhole,
  kill,
  makeFolder,
  openSmall,
  removeFolder,
  startOwner,
} from './embedded-scene.ts'
import { createRandom } from './rows.ts'

const rounds = 6

test('after kill -9 at any moment rows, repeats, dead letters and position agree, and nothing promised is missing', async () => {
  const folder = makeFolder()
  const random = createRandom(20_260_310)
  try {
    for (let round = 0; round < rounds; round++) {
      const owner = await startOwner(folder, 'write')
      let promised = 0
      owner.on('message', (offset: number) => {
        promised = offset
      })
      await sleep(20 + random() * 200)
      await kill(owner)
      const store = await openSmall(folder)
      const position = await checkWhole(store)
      assert.ok(position >= promised, `${position} of ${promised}`)
      await store.close()
    }
  } finally {
    removeFolder(folder)
  }
})

function untilPromised(owner: ChildProcess, offset: number): Promise<void> {
  return new Promise((resolve, reject) => {
    owner.on('message', (promised: number) => {
      if (promised >= offset) resolve()
    })
    owner.once('exit', () => reject(new Error(`the owner ended before ${offset}`)))
  })
}

test('a write-ahead log that ends anywhere gives a store whose parts agree', async () => {
  const folder = makeFolder()
  const random = createRandom(7)
  try {
    const owner = await startOwner(folder, 'write')
    await untilPromised(owner, 200)
    await kill(owner)
    const whole = statSync(join(folder, 'store.duckdb.wal')).size
    let shorter = 0
    for (let round = 0; round < rounds; round++) {
      const copy = makeFolder()
      cpSync(folder, copy, { recursive: true })
      truncateSync(join(copy, 'store.duckdb.wal'), Math.floor(random() * whole))
      const store = await openSmall(copy)
      shorter += await checkWhole(store)
      await store.close()
      removeFolder(copy)
    }
    const store = await openSmall(folder)
    const position = await checkWhole(store)
    assert.ok(position > 0 && shorter < position * rounds)
    await store.close()
  } finally {
    removeFolder(folder)
  }
})
