import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { type ConsumeOptions, type Consumer, openConsumer } from '../../src/consume/consume.ts'
import { replayLog } from '../../src/consume/replay.ts'
import { encodeEvent } from '../../src/event/encode.ts'
import { MillraceError } from '../../src/event/error.ts'
import {
  encodeRejection,
  eventRecordSchema,
  rejectionRecordSchema,
} from '../../src/event/record.ts'
import { openEmbeddedLog } from '../../src/log/embedded/embedded.ts'
import { type Log, type LogBatch, type ReadOptions, storeGroup } from '../../src/log/log.ts'
import { openEmbeddedStore } from '../../src/store/embedded/embedded.ts'
import type { Store } from '../../src/store/store.ts'
import { eventLike, olderEventSchemaText, olderRecord } from './events.ts'

/** The consumer over the real embedded log and store. */

const root = mkdtempSync(join(tmpdir(), 'millrace-consume-'))
after(() => rmSync(root, { recursive: true, force: true }))

const options: ConsumeOptions = {
  batchRecords: 100,
  batchBytes: 1_000_000,
  writeIntervalMs: 0,
  drainTimeoutMs: 10_000,
  retryInitialMs: 1,
  retryMaxMs: 20,
}
const clock = (): number => Date.now()
let scenes = 0

interface Scene {
  readonly events: Log
  readonly rejected: Log
  readonly store: Store
  readonly folder: string
}

function openLog(folder: string, topic: string): Promise<Log> {
  return openEmbeddedLog({
    folder: join(folder, 'log'),
    topic,
    retentionDays: 7,
    maxBytes: 1 << 30,
    segmentBytes: 1 << 24,
    syncIntervalMs: 0,
    diskReserveBytes: 0,
  })
}

async function openScene(t: { after: (close: () => Promise<void>) => void }): Promise<Scene> {
  const folder = join(root, `scene-${++scenes}`)
  const events = await openLog(folder, 'events')
  const rejected = await openLog(folder, 'rejected')
  const store = await openEmbeddedStore({
    folder: join(folder, 'store'),
    memoryBytes: 1 << 28,
    threads: 2,
  })
  await events.addSchema(eventRecordSchema.text)
  await rejected.addSchema(rejectionRecordSchema.text)
  t.after(async () => {
    await store.close()
    await events.close()
    await rejected.close()
  })
  return { events, rejected, store, folder }
}

async function appendEvents(log: Log, first: number, count: number): Promise<void> {
  const records = Array.from({ length: count }, (_, at) => ({
    key: 'party',
    value: encodeEvent(eventLike(first + at)),
    schema: eventRecordSchema.fingerprint,
  }))
  await log.append(records)
}

async function untilRead({ events, rejected }: Scene): Promise<void> {
  for (const log of [events, rejected]) {
    while ((await log.lag(storeGroup)).some(({ lag }) => lag > 0)) {
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }
}

async function storedCount(store: Store): Promise<number> {
  return (await store.health()).events
}

async function consumeAll(
  scene: Scene,
  parts: Partial<Parameters<typeof openConsumer>[1]> = {},
): Promise<Consumer> {
  const consumer = await openConsumer(options, { ...scene, clock, ...parts })
  await untilRead(scene)
  return consumer
}

test('what is on the log is in the store, once, also after a restart in the middle', async (t) => {
  const scene = await openScene(t)
  await appendEvents(scene.events, 0, 250)
  const first = await consumeAll(scene)
  await first.stop()
  await appendEvents(scene.events, 250, 250)
  const second = await consumeAll(scene)
  await second.stop()
  assert.equal(await storedCount(scene.store), 500)
  const { duplicates } = await scene.store.health()
  assert.equal(duplicates, 0)
})

test('what a consumer has stored and not committed is committed by the next one', async (t) => {
  const scene = await openScene(t)
  await appendEvents(scene.events, 0, 50)
  const [range] = await scene.events.partitions()
  const { identity: log, topic } = scene.events
  const position = { log, topic, partition: range?.partition ?? 0, offset: range?.next ?? 0 }
  await scene.store.write({ rows: [], deadLetters: [], positions: [position] })
  assert.equal((await scene.events.lag(storeGroup))[0]?.lag, 50)
  const consumer = await consumeAll(scene)
  await consumer.stop()
  assert.equal(await storedCount(scene.store), 0)
})

test('a store that is away is waited for: the same batch is tried again and nothing is skipped', async (t) => {
  const scene = await openScene(t)
  await appendEvents(scene.events, 0, 50)
  let failures = 0
  const retries: string[] = []
  const failing = Object.create(scene.store) as Store
  failing.write = async (batch) => {
    if (batch.rows.length > 0 && failures++ < 5)
      throw new MillraceError('store_unavailable', 'away')
    return scene.store.write(batch)
  }
  const onRetry = (error: Error): void => {
    retries.push(error.message)
  }
  const consumer = await consumeAll(scene, { store: failing, onRetry })
  assert.equal(retries.length, 5)
  assert.equal(consumer.trouble(), null)
  await consumer.stop()
  assert.equal(await storedCount(scene.store), 50)
  assert.equal((await scene.store.health()).deadLetters, 0)
})

test('a log that cannot be read for a while is read on from where the store stands', async (t) => {
  const scene = await openScene(t)
  await appendEvents(scene.events, 0, 250)
  let failures = 0
  async function* read(options: ReadOptions): AsyncIterable<LogBatch> {
    for await (const batch of scene.events.read(options)) {
      if (failures === 0 || failures === 2) {
        failures++
        throw new Error('EMFILE: too many open files')
      }
      yield batch
      if (failures === 1) {
        failures++
        throw new Error('EIO: i/o error')
      }
    }
  }
  const events = new Proxy(scene.events, {
    get(log, name) {
      if (name === 'read') return read
      const member: unknown = Reflect.get(log, name, log)
      return typeof member === 'function' ? member.bind(log) : member
    },
  })
  const retries: string[] = []
  const onRetry = (error: Error): void => void retries.push(error.message)
  const consumer = await consumeAll(scene, { events, onRetry })
  assert.deepEqual(retries, [
    'EMFILE: too many open files',
    'EIO: i/o error',
    'EMFILE: too many open files',
  ])
  assert.equal(consumer.trouble(), null)
  await consumer.stop()
  await consumer.done
  assert.equal(await storedCount(scene.store), 250)
  assert.equal((await scene.store.health()).duplicates, 0)
})

test('records that cannot be read become dead letters with reason and place, neighbours become rows', async (t) => {
  const scene = await openScene(t)
  const good = encodeEvent(eventLike(1))
  await scene.events.append([
    { key: 'a', value: good, schema: eventRecordSchema.fingerprint },
    { key: 'b', value: Buffer.from('no avro at all'), schema: eventRecordSchema.fingerprint },
    { key: 'c', value: good.subarray(0, good.length >> 1), schema: eventRecordSchema.fingerprint },
    { key: 'd', value: encodeEvent(eventLike(2)), schema: 'unknown-schema-0' },
    { key: 'e', value: encodeEvent(eventLike(3)), schema: eventRecordSchema.fingerprint },
  ])
  const consumer = await consumeAll(scene)
  await consumer.stop()
  assert.equal(await storedCount(scene.store), 2)
  const letters = await scene.store.deadLetters({ limit: 10 })
  const found = letters.map(({ code, position }) => `${position.offset} ${code}`).sort()
  assert.deepEqual(found, ['1 record_undecodable', '2 record_undecodable', '3 schema_unknown'])
  assert.ok(letters.every(({ replayable, source }) => replayable && source === 'log'))
})

test('a row that the store refuses for itself becomes a dead letter and harms no neighbour', async (t) => {
  const scene = await openScene(t)
  await appendEvents(scene.events, 0, 64)
  const picky = Object.create(scene.store) as Store
  picky.write = async (batch) => {
    if (batch.rows.some(({ eventId }) => eventId === eventLike(13).eventId))
      throw new Error('I will not')
    return scene.store.write(batch)
  }
  const consumer = await consumeAll(scene, { store: picky })
  await consumer.stop()
  assert.equal(await storedCount(scene.store), 63)
  const [letter] = await scene.store.deadLetters({ limit: 10 })
  assert.equal(letter?.code, 'record_invalid')
  assert.equal(letter?.position.offset, 13)
})

test('a rejected request becomes a dead letter with its own code', async (t) => {
  const scene = await openScene(t)
  const rejection = {
    receivedAt: 1_700_000_000_000,
    code: 'parameter_missing',
    message: 'A required parameter is missing: p',
    source: 'tag',
    body: 'v=1',
    truncated: false,
    remoteAddress: '192.0.2.0',
    userAgent: null,
    privacy: null,
    country: null,
  } as const
  const value = encodeRejection(rejection)
  await scene.rejected.append([{ key: '', value, schema: rejectionRecordSchema.fingerprint }])
  const consumer = await consumeAll(scene)
  await consumer.stop()
  const [letter] = await scene.store.deadLetters({ limit: 10 })
  assert.equal(letter?.code, 'parameter_missing')
  assert.equal(letter?.receivedAt, rejection.receivedAt)
  assert.equal(letter?.position.topic, 'rejected')
})

test('a log written by an older Event schema is read by the newer one, with its defaults', async (t) => {
  const scene = await openScene(t)
  await scene.events.addSchema(olderEventSchemaText)
  await scene.events.append([olderRecord(1)])
  await appendEvents(scene.events, 2, 1)
  const consumer = await consumeAll(scene)
  await consumer.stop()
  const range = { from: 0, to: Date.now() + 1e9 }
  const rows = await scene.store.events(range, { bots: 'include' }, { order: 'asc', limit: 10 })
  const older = rows.find(({ location }) => location === 'https://example.com/older')
  assert.equal(rows.length, 2)
  assert.equal(older?.source, 'tag')
  assert.equal(older?.bot, null)
})

test('a replay with other batch sizes changes no answer and moves no position', async (t) => {
  const scene = await openScene(t)
  await appendEvents(scene.events, 0, 100)
  await appendEvents(scene.events, 50, 100)
  const consumer = await consumeAll(scene)
  await consumer.stop()
  const answers = async (): Promise<unknown> => {
    const range = { from: 0, to: Date.now() + 1e9 }
    const { events, duplicates } = await scene.store.health()
    const rows = await scene.store.events(
      range,
      { bots: 'include' },
      { order: 'asc', limit: 1_000 },
    )
    const positions = await scene.store.positions(scene.events.identity, 'events')
    return [events, duplicates, rows, [...positions]]
  }
  const before = await answers()
  for (const batchRecords of [1, 7, 1_000]) {
    const signal = new AbortController().signal
    const replay = { ...options, from: 'earliest', batchRecords, signal } as const
    const result = await replayLog(scene.events, scene.store, clock, replay)
    assert.deepEqual(result, { read: 200, total: 200, complete: true })
    assert.deepEqual(await answers(), before)
  }
})

test('a store that was filled from another log is not gone on with, unless it is accepted', async (t) => {
  const scene = await openScene(t)
  await appendEvents(scene.events, 0, 10)
  await (await consumeAll(scene)).stop()
  const other = await openLog(join(scene.folder, 'other'), 'events')
  t.after(() => other.close())
  await other.addSchema(eventRecordSchema.text)
  await appendEvents(other, 10, 10)
  const parts = { ...scene, events: other, clock }
  await assert.rejects(openConsumer(options, parts), { code: 'log_unknown' })
  const accepted = await openConsumer({ ...options, acceptLog: true }, parts)
  await untilRead(parts)
  await accepted.stop()
  assert.equal(await storedCount(scene.store), 20)
})

test('a range that the log lost is refused with its offsets; accepted, it is a counted dead letter', async (t) => {
  const scene = await openScene(t)
  await appendEvents(scene.events, 0, 10)
  await (await consumeAll(scene)).stop()
  // The store is told that it stands beyond the end of the log, as after a log restored too old.
  const { identity: log, topic } = scene.events
  const positions = [{ log, topic, partition: 0, offset: 1_000 }]
  await scene.store.write({ rows: [], deadLetters: [], positions })
  const refused = await openConsumer(options, { ...scene, clock })
  await assert.rejects(refused.done, { code: 'log_gap' })
  const accepted = await openConsumer({ ...options, acceptGap: true }, { ...scene, clock })
  await appendEvents(scene.events, 10, 5)
  await untilRead(scene)
  await accepted.stop()
  assert.equal(await storedCount(scene.store), 15)
})
