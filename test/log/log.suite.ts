import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, describe, it, type TestContext } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { fingerprintOf } from '../../src/event/schema.ts'
import type {
  AppendRecord,
  Log,
  LogBatch,
  LogRecord,
  Offset,
  ReadOptions,
} from '../../src/log/log.ts'

/** What a backend gives the suite. */
export interface LogBackend {
  /** Opens the log of a topic: the same topic again is the same log. */
  open(topic: string): Promise<Log>
  /** Called once, after the last test. */
  dispose(): Promise<void>
}

/** Tests that a backend does not pass, each with the reason. */
export type Deviations = Readonly<Record<string, string>>

export const schemaText = '{"type":"record","name":"Test","fields":[]}'
export const schema = fingerprintOf(schemaText)

export function recordOf(text: string, key = 'party'): AppendRecord {
  return { key, value: Buffer.from(text), schema }
}

export function textsOf(records: readonly LogRecord[]): string[] {
  return records.map(({ value }) => Buffer.from(value).toString())
}

/** All that a log holds now, from the oldest record kept; checks what every batch must be. */
export async function readAll(log: Log, options: Partial<ReadOptions> = {}): Promise<LogRecord[]> {
  const records: LogRecord[] = []
  const next = new Map<number, number>()
  const from = async () => undefined
  for await (const batch of log.read({ from, recordsMax: 100, untilEnd: true, ...options })) {
    checkBatch(batch, next.get(batch.partition))
    next.set(batch.partition, batch.nextOffset)
    for (const record of batch.records)
      records.push({ ...record, value: Buffer.from(record.value) })
  }
  return records
}

/** Offsets are contiguous within the batch and follow the batch before. */
export function checkBatch(batch: LogBatch, expected: number | undefined): void {
  assert.ok(batch.records.length > 0)
  let offset = expected ?? (batch.records[0]?.offset as number)
  for (const record of batch.records) assert.equal(record.offset, offset++)
  assert.equal(batch.nextOffset, offset)
}

/** States every promise of the contract over one backend. */
export function runLogSuite(name: string, backend: LogBackend, deviations: Deviations = {}): void {
  describe(`log: ${name}`, () => {
    after(() => backend.dispose())
    const promise = (what: string, test: (scene: Scene) => Promise<void>) => {
      it(what, async (t) => {
        const reason = deviations[what]
        if (reason !== undefined) return t.skip(reason)
        await test(new Scene(backend, t))
      })
    }
    appendPromises(promise)
    readPromises(promise)
    groupPromises(promise)
    lifePromises(promise)
  })
}

/** One test's topic, whose logs are closed when the test ends. */
class Scene {
  readonly topic = `test-${randomUUID()}`
  readonly #backend: LogBackend
  readonly #t: TestContext

  constructor(backend: LogBackend, t: TestContext) {
    this.#backend = backend
    this.#t = t
  }

  async open(): Promise<Log> {
    const log = await this.#backend.open(this.topic)
    this.#t.after(() => log.close())
    await log.addSchema(schemaText)
    return log
  }
}

type Promise_ = (what: string, test: (scene: Scene) => Promise<void>) => void

function appendPromises(promise: Promise_): void {
  promise(
    'what travels beside a value is read back, and costs records without it nothing',
    async (scene) => {
      const log = await scene.open()
      const headers = { 'millrace-event-id': 'é😀', 'millrace-party-id': '' }
      await log.append([recordOf('plain'), { ...recordOf('more'), headers }, recordOf('last')])
      const read = await readAll(log)
      assert.deepEqual(
        read.map((record) => record.headers),
        [undefined, headers, undefined],
      )
      assert.deepEqual(textsOf(read), ['plain', 'more', 'last'])
    },
  )

  promise('what was appended is read back: key, value and schema', async (scene) => {
    const log = await scene.open()
    const other = '{"type":"string"}'
    await log.addSchema(other)
    const records = [
      { key: '0:kx3v8:party', value: Buffer.from([0, 255, 1]), schema },
      { key: 'naïve ☃ 😀', value: Buffer.alloc(0), schema: fingerprintOf(other) },
      { key: '', value: Buffer.alloc(300_000, 7), schema },
    ]
    await log.append(records)
    const read = await readAll(log)
    const byKey = new Map(read.map(({ key, value, schema }) => [key, { key, value, schema }]))
    assert.equal(read.length, 3)
    for (const record of records) assert.deepEqual(byKey.get(record.key), record)
  })

  promise('appends made together are all kept, each once, in order for a key', async (scene) => {
    const log = await scene.open()
    const texts = Array.from({ length: 500 }, (_, index) => `${index}`)
    await Promise.all(texts.map((text) => log.append([recordOf(text)])))
    assert.deepEqual(textsOf(await readAll(log)), texts)
  })

  promise('the records of one append keep their order for a key', async (scene) => {
    const log = await scene.open()
    const texts = Array.from({ length: 1_000 }, (_, index) => `${index}`)
    await log.append(texts.map((text) => recordOf(text)))
    await log.append([recordOf('last')])
    assert.deepEqual(textsOf(await readAll(log)), [...texts, 'last'])
  })

  promise('an append of nothing changes nothing', async (scene) => {
    const log = await scene.open()
    await log.append([])
    assert.deepEqual(await readAll(log), [])
  })

  promise('check resolves while appends would', async (scene) => {
    const log = await scene.open()
    await log.check()
    await log.append([recordOf('a')])
    await log.check()
  })
}

function readPromises(promise: Promise_): void {
  promise('reading begins at the offset asked for', async (scene) => {
    const log = await scene.open()
    for (const text of ['a', 'b', 'c', 'd']) await log.append([recordOf(text)])
    const [, , third] = await readAll(log)
    // One key, so they are all in one partition.
    const held = (await log.partitions()).find(({ first, next }) => next > first)?.partition
    const from = async (partition: number) => (partition === held ? third?.offset : undefined)
    assert.deepEqual(textsOf(await readAll(log, { from })), ['c', 'd'])
  })

  promise("from 'end' only what comes later is read", async (scene) => {
    const log = await scene.open()
    await log.append([recordOf('before')])
    const started = Promise.withResolvers<void>()
    const from = async () => {
      setImmediate(started.resolve)
      return 'end' as const
    }
    const batches = log.read({ from, recordsMax: 10 })[Symbol.asyncIterator]()
    const first = batches.next()
    await started.promise
    await nextTurn()
    await log.append([recordOf('after')])
    assert.deepEqual(textsOf((await first).value?.records ?? []), ['after'])
    await batches.return?.()
  })

  promise('a batch has at most recordsMax records', async (scene) => {
    const log = await scene.open()
    await log.append(Array.from({ length: 25 }, (_, index) => recordOf(`${index}`)))
    const sizes: number[] = []
    const options = { from: async () => undefined, recordsMax: 10, untilEnd: true }
    for await (const { records } of log.read(options)) sizes.push(records.length)
    assert.ok(sizes.every((size) => size <= 10))
    assert.equal(
      sizes.reduce((sum, size) => sum + size, 0),
      25,
    )
  })

  promise('untilEnd ends at the end that there was at the start', async (scene) => {
    const log = await scene.open()
    await log.append(Array.from({ length: 5 }, (_, index) => recordOf(`${index}`)))
    const read: string[] = []
    const options = { from: async () => undefined, recordsMax: 2, untilEnd: true }
    for await (const { records } of log.read(options)) {
      read.push(...textsOf(records))
      await log.append([recordOf('later')])
    }
    assert.deepEqual(read, ['0', '1', '2', '3', '4'])
  })

  promise('a reader that has read all is woken by an append', async (scene) => {
    const log = await scene.open()
    await log.append([recordOf('0')])
    const read: string[] = []
    for await (const { records } of log.read({ from: async () => undefined, recordsMax: 10 })) {
      read.push(...textsOf(records))
      if (read.length === 20) break
      setTimeout(() => void log.append([recordOf(`${read.length}`)]), read.length % 3)
    }
    assert.deepEqual(
      read,
      Array.from({ length: 20 }, (_, index) => `${index}`),
    )
  })

  promise('aborting ends the reading without an error', async (scene) => {
    const log = await scene.open()
    await log.append([recordOf('a'), recordOf('b')])
    const abort = new AbortController()
    let batches = 0
    const options = { from: async () => undefined, recordsMax: 1, signal: abort.signal }
    for await (const _ of log.read(options)) {
      if (++batches === 2) setTimeout(() => abort.abort(), 20)
    }
    assert.equal(batches, 2)
    for await (const _ of log.read(options)) assert.fail('it was aborted before')
  })

  promise('two readers do not take records from each other', async (scene) => {
    const log = await scene.open()
    const texts = Array.from({ length: 100 }, (_, index) => `${index}`)
    await log.append(texts.map((text) => recordOf(text)))
    const [one, other] = await Promise.all([readAll(log, { recordsMax: 7 }), readAll(log)])
    assert.deepEqual(textsOf(one), texts)
    assert.deepEqual(textsOf(other), texts)
  })

  promise('a reader that waits long between batches misses nothing', async (scene) => {
    const log = await scene.open()
    await log.append([recordOf('0')])
    const read: string[] = []
    for await (const { records } of log.read({ from: async () => undefined, recordsMax: 3 })) {
      read.push(...textsOf(records))
      if (read.length >= 40) break
      for (let index = 0; index < 5; index++) {
        await log.append([recordOf('x'.repeat(500))])
      }
    }
    assert.equal(read[0], '0')
    assert.ok(read.length >= 40)
  })

  promise('partitions tell what they hold', async (scene) => {
    const log = await scene.open()
    await log.append(Array.from({ length: 30 }, (_, index) => recordOf('x', `party ${index}`)))
    const ranges = await log.partitions()
    const held = ranges.reduce((sum, { first, next }) => sum + next - first, 0)
    assert.equal(held, 30)
    const numbers = new Set(ranges.map(({ partition }) => partition))
    assert.equal(numbers.size, ranges.length)
  })
}

function groupPromises(promise: Promise_): void {
  promise('lag is what a group has not committed', async (scene) => {
    const log = await scene.open()
    const lagOf = async (group: string) =>
      (await log.lag(group)).reduce((sum, { lag }) => sum + lag, 0)
    await log.append(Array.from({ length: 10 }, (_, index) => recordOf(`${index}`)))
    assert.equal(await lagOf('store'), 10)
    for await (const batch of log.read({ from: async () => undefined, recordsMax: 4 })) {
      await log.commit('store', batch.partition, batch.nextOffset)
      break
    }
    assert.equal(await lagOf('store'), 6)
    assert.equal(await lagOf('another'), 10)
  })

  promise('a commit never goes back, and survives', async (scene) => {
    const log = await scene.open()
    await log.append(Array.from({ length: 10 }, (_, index) => recordOf(`${index}`)))
    const range = (await log.partitions()).find(({ first, next }) => next > first)
    assert.ok(range)
    const { partition, next } = range
    await log.commit('store', partition, next)
    await log.commit('store', partition, (next - 5) as Offset)
    await log.close()
    const again = await scene.open()
    const lag = (await again.lag('store')).find((line) => line.partition === partition)
    assert.deepEqual(lag, { partition, committed: next, next, lag: 0 })
  })
}

function lifePromises(promise: Promise_): void {
  promise('schemas are kept by fingerprint', async (scene) => {
    const log = await scene.open()
    await log.addSchema(schemaText)
    await log.close()
    const again = await scene.open()
    assert.equal(await again.schema(schema), schemaText)
    assert.equal(await again.schema('0123456789abcdef'), undefined)
    assert.equal(await again.schema('../../log'), undefined)
  })

  promise('opened again it is the same log and goes on where it ended', async (scene) => {
    const log = await scene.open()
    await log.append([recordOf('a')])
    await log.close()
    const again = await scene.open()
    assert.equal(again.identity, log.identity)
    assert.ok(again.identity.length > 0)
    assert.equal(again.topic, scene.topic)
    await again.append([recordOf('b')])
    assert.deepEqual(textsOf(await readAll(again)), ['a', 'b'])
  })

  promise('close waits for appends under way, the first one too', async (scene) => {
    const log = await scene.open()
    const appends = ['a', 'b', 'c'].map((text) => log.append([recordOf(text)]))
    const closed = log.close()
    await Promise.all(appends)
    await closed
    assert.deepEqual(textsOf(await readAll(await scene.open())), ['a', 'b', 'c'])
  })

  promise('close ends the readers and refuses what comes after', async (scene) => {
    const log = await scene.open()
    await log.append([recordOf('a')])
    const waiting = (async () => {
      for await (const _ of log.read({ from: async () => undefined, recordsMax: 10 }));
    })()
    await nextTurn()
    await log.close()
    await waiting
    await assert.rejects(log.append([recordOf('b')]))
    await assert.rejects(log.check())
    await log.close()
  })
}
