import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { eraseParty, isCaughtUp, settleErasures } from '../../src/consume/erase.ts'
import { openEmbeddedLog } from '../../src/log/embedded/embedded.ts'
import type { Log } from '../../src/log/log.ts'
import { openEmbeddedStore } from '../../src/store/embedded/embedded.ts'
import type { Store } from '../../src/store/store.ts'
import { makeRow, noon } from '../store/rows.ts'

interface Scene {
  readonly events: Log
  readonly rejected: Log
  readonly store: Store
}

async function inScene(body: (scene: Scene) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-erase-'))
  const openLog = (topic: string): Promise<Log> =>
    openEmbeddedLog({
      folder: join(folder, 'log'),
      topic,
      retentionDays: 7,
      maxBytes: 2 ** 26,
      segmentBytes: 2 ** 22,
    })
  const [events, rejected] = [await openLog('events'), await openLog('rejected')]
  const store = await openEmbeddedStore({
    folder: join(folder, 'store'),
    memoryBytes: 2 ** 27,
    threads: 1,
  })
  try {
    await body({ events, rejected, store })
  } finally {
    await store.close()
    await Promise.all([events.close(), rejected.close()])
    rmSync(folder, { recursive: true, force: true })
  }
}

const never = new AbortController().signal

/** Appends a record and says where the store has to stand after it. */
async function appendTo(
  log: Log,
): Promise<{ log: string; topic: string; partition: number; offset: number }> {
  await log.append([{ key: '', value: Buffer.from('x'), schema: '' }])
  const [range] = await log.partitions()
  return {
    log: log.identity,
    topic: log.topic,
    partition: range?.partition ?? 0,
    offset: range?.next ?? 0,
  }
}

test('an erasure is final only when both topics are read to its time', () =>
  inScene(async (scene) => {
    const parts = { ...scene, clock: () => noon }
    const { store } = scene
    await store.write({ rows: [makeRow({ partyId: 'p' })], deadLetters: [], positions: [] })
    const positions = [await appendTo(scene.events), await appendTo(scene.rejected)]
    const pending = await eraseParty(parts, 'p', 60, never)
    assert.equal(pending.finalAt, null)
    assert.equal(pending.deleted.events, 1)
    assert.equal(await settleErasures(parts, 0, never), false)
    await store.write({ rows: [], deadLetters: [], positions: positions.slice(0, 1) })
    assert.equal(await settleErasures(parts, 0, never), false)
    await store.write({ rows: [], deadLetters: [], positions: positions.slice(1) })
    assert.equal(await settleErasures(parts, 0, never), true)
    assert.equal((await store.erasures('p'))[0]?.finalAt, noon)
  }))

test('an erasure waits for a consumer that is on its way, and is final at once where nothing waits', () =>
  inScene(async (scene) => {
    const parts = { ...scene, clock: () => noon }
    assert.equal((await eraseParty(parts, 'nobody', 0, never)).finalAt, noon)
    const position = await appendTo(scene.events)
    const erasing = eraseParty(parts, 'somebody', 20_000, never)
    await scene.store.write({ rows: [], deadLetters: [], positions: [position] })
    assert.equal((await erasing).finalAt, noon)
  }))

test('waiting ends with the signal', () =>
  inScene(async (scene) => {
    await appendTo(scene.events)
    const ending = new AbortController()
    const waiting = isCaughtUp(scene, 600_000, ending.signal)
    ending.abort()
    assert.equal(await waiting, false)
  }))
