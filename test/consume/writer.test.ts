import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createWriter } from '../../src/consume/writer.ts'
import { MillraceError } from '../../src/event/error.ts'
import type { Log, LogBatch, Offset } from '../../src/log/log.ts'
import type { Store, WriteBatch } from '../../src/store/store.ts'
import { makeRow } from '../store/rows.ts'

/** The writer alone, over a store and a log that only note what they are asked. */

interface Scene {
  readonly written: WriteBatch[]
  readonly committed: [number, number][]
  /** Lets the write that waits go on. */
  readonly release: () => void
}

function scene(
  options: { batchRecords: number; batchBytes?: number; writeIntervalMs: number },
  fail?: () => Error | undefined,
) {
  const waiting: (() => void)[] = []
  const noted: Scene = {
    written: [],
    committed: [],
    release: () => waiting.shift()?.(),
  }
  const store = {
    async write(batch: WriteBatch) {
      await new Promise<void>((resolve) => waiting.push(resolve))
      noted.written.push(batch)
      return undefined
    },
  } as unknown as Store
  const log = {
    identity: 'log',
    topic: 'events',
    async commit(_group: string, partition: number, offset: number) {
      const failure = fail?.()
      if (failure !== undefined) throw failure
      noted.committed.push([partition, offset])
    },
  } as unknown as Log
  const ending = new AbortController()
  const failures: string[] = []
  const counted: number[] = []
  const writer = createWriter(
    { batchBytes: 1_000, ...options, retryInitialMs: 1, retryMaxMs: 10 },
    {
      log,
      store,
      signal: ending.signal,
      onRetry: () => {},
      onWritten: ({ rows }) => counted.push(rows),
      onFailure: () => failures.push('failed'),
    },
  )
  let offset = 0
  const add = (count: number, partition = 0, recordBytes = 1): Promise<boolean> => {
    const rows = Array.from({ length: count }, () => makeRow({ offset: offset++ }))
    const records = rows.map(() => ({ value: Buffer.alloc(recordBytes) }))
    const batch = { partition, nextOffset: offset as Offset, records } as unknown as LogBatch
    return writer.add(batch, { rows, deadLetters: [] })
  }
  return { ...noted, writer, add, ending, failures, counted }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('what is read during a write goes into the next one, whole and in order', async () => {
  const { add, writer, written, committed, counted, release } = scene({
    batchRecords: 100,
    writeIntervalMs: 0,
  })
  await add(1)
  await turn()
  for (let piece = 0; piece < 5; piece++) await add(10, piece % 2)
  release()
  await turn()
  release()
  await writer.end()
  assert.deepEqual(
    written.map(({ rows }) => rows.length),
    [1, 50],
  )
  assert.deepEqual(counted, [1, 50])
  const offsets = written.flatMap(({ rows }) => rows.map(({ position }) => position.offset))
  assert.deepEqual(
    offsets,
    offsets.map((_, index) => index),
  )
  assert.deepEqual(committed, [
    [0, 1],
    [0, 51],
    [1, 41],
  ])
})

test('a full batch holds up the reader, and does not rest', async () => {
  const { add, writer, written, ending, release } = scene({
    batchRecords: 10,
    writeIntervalMs: 60_000,
  })
  await add(1)
  let hasRead = false
  const full = add(10).then(() => {
    hasRead = true
  })
  await turn()
  assert.equal(hasRead, false)
  release()
  await full
  await turn()
  release()
  await turn()
  assert.equal(written.length, 2)
  ending.abort()
  await writer.end()
})

test('a batch is full by its bytes too', async () => {
  const { add, writer, written, ending, release } = scene({
    batchRecords: 100,
    batchBytes: 64,
    writeIntervalMs: 60_000,
  })
  await add(1)
  let hasRead = false
  await add(3, 0, 16)
  const full = add(1, 0, 16).then(() => {
    hasRead = true
  })
  await turn()
  assert.equal(hasRead, false)
  release()
  await full
  await turn()
  release()
  await turn()
  assert.deepEqual(
    written.map(({ rows }) => rows.length),
    [1, 4],
  )
  ending.abort()
  await writer.end()
})

test('after a write that fails for good nothing follows', async () => {
  const failure = new MillraceError('log_unwritable', 'the disk')
  const { add, writer, written, committed, failures, release } = scene(
    { batchRecords: 100, writeIntervalMs: 0 },
    () => failure,
  )
  await add(3)
  await turn()
  release()
  await turn()
  await turn()
  assert.deepEqual(failures, ['failed'])
  await assert.rejects(add(3), failure)
  await assert.rejects(writer.end(), failure)
  assert.equal(written.length, 1)
  assert.deepEqual(committed, [])
})

test('nothing is written once the signal has aborted', async () => {
  const { add, writer, written, ending, release } = scene({ batchRecords: 5, writeIntervalMs: 0 })
  await add(1)
  await turn()
  ending.abort()
  release()
  await writer.end()
  assert.equal(await add(7), false)
  await writer.end()
  assert.equal(written.length, 1)
})
