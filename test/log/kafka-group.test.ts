import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Producer } from '@platformatic/kafka'
import { createAdmin } from '../../src/log/kafka/client.ts'
import type { Log, Offset } from '../../src/log/log.ts'
import { sharedKafka } from '../services.ts'
import { openTestLog } from './kafka-scene.ts'
import { recordOf } from './log.suite.ts'

const broker = await sharedKafka()
const partitions = 6

/** What all consumers together have stored: the position of each partition, and every record. */
interface Stored {
  readonly positions: Map<number, number>
  readonly counts: Map<string, number>
}

interface TestConsumer {
  /** The partitions that it got a record of. */
  readonly seen: Set<number>
  stop(): Promise<void>
}

/** A consumer as `consume` is one: begins where the store stands, stores, then commits. */
async function startConsumer(t: TestContext, topic: string, stored: Stored): Promise<TestConsumer> {
  const log = await openTestLog(broker, topic, { partitions })
  const ending = new AbortController()
  const seen = new Set<number>()
  const options = {
    group: 'store',
    recordsMax: 50,
    signal: ending.signal,
    from: async (partition: number) => stored.positions.get(partition) as Offset | undefined,
  }
  const reading = (async () => {
    for await (const { partition, records, nextOffset } of log.read(options)) {
      seen.add(partition)
      for (const { value } of records) {
        const text = Buffer.from(value).toString()
        stored.counts.set(text, (stored.counts.get(text) ?? 0) + 1)
      }
      stored.positions.set(partition, nextOffset)
      await log.commit('store', partition, nextOffset)
    }
  })()
  const stop = async (): Promise<void> => {
    ending.abort()
    await reading
    await log.close()
  }
  t.after(stop)
  return { seen, stop }
}

async function until(isSo: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + 60_000
  while (!(await isSo())) {
    assert.ok(Date.now() < deadline, `waited for: ${what}`)
    await sleep(50)
  }
}

async function appendEverywhere(log: Log, name: string): Promise<string[]> {
  const texts = Array.from({ length: 60 }, (_, index) => `${name}/${index}`)
  await log.append(texts.map((text) => recordOf(text, text)))
  return texts
}

function newStored(): Stored {
  return { positions: new Map(), counts: new Map() }
}

test('consumers of a group share the partitions, and take over those of one that leaves', async (t) => {
  const topic = `group-${randomUUID()}`
  const log = await openTestLog(broker, topic, { partitions })
  t.after(() => log.close())
  const stored = newStored()
  const one = await startConsumer(t, topic, stored)
  const sent = await appendEverywhere(log, 'alone')
  await until(() => stored.counts.size === sent.length, 'the first consumer reads all')
  assert.equal(one.seen.size, partitions)

  const other = await startConsumer(t, topic, stored)
  one.seen.clear()
  await until(async () => {
    sent.push(...(await appendEverywhere(log, `shared ${sent.length}`)))
    return other.seen.size > 0
  }, 'the second consumer gets a partition')
  one.seen.clear()
  other.seen.clear()
  sent.push(...(await appendEverywhere(log, 'both')))
  await until(() => stored.counts.size === sent.length, 'both read all')
  assert.equal(one.seen.size + other.seen.size, partitions)
  assert.deepEqual(
    [...one.seen].filter((partition) => other.seen.has(partition)),
    [],
  )

  await one.stop()
  sent.push(...(await appendEverywhere(log, 'left')))
  await until(() => stored.counts.size === sent.length, 'the one that stays reads all')
  const lags = await log.lag('store')
  assert.deepEqual(
    lags.map(({ lag }) => lag),
    Array(partitions).fill(0),
  )
})

test('a storm of consumers that come and go loses nothing', async (t) => {
  const topic = `storm-${randomUUID()}`
  const log = await openTestLog(broker, topic, { partitions })
  t.after(() => log.close())
  const stored = newStored()
  const steady = await startConsumer(t, topic, stored)
  const sent: string[] = []
  for (let round = 0; round < 5; round++) {
    const guest = await startConsumer(t, topic, stored)
    sent.push(...(await appendEverywhere(log, `in ${round}`)))
    await sleep(150 * round)
    sent.push(...(await appendEverywhere(log, `out ${round}`)))
    await guest.stop()
  }
  await until(() => stored.counts.size === sent.length, 'all that was sent is read')
  assert.deepEqual(new Set(stored.counts.keys()), new Set(sent))
  await steady.stop()
})

test('a reader begins a partition anew where the store stands, not where it was committed', async (t) => {
  const topic = `position-${randomUUID()}`
  const log = await openTestLog(broker, topic, { partitions: 1 })
  t.after(() => log.close())
  await log.append(['a', 'b', 'c'].map((text) => recordOf(text)))
  await log.commit('store', 0, 3 as Offset)
  const options = { group: 'store', recordsMax: 10, from: async () => 1 as Offset }
  for await (const { records } of log.read(options)) {
    assert.deepEqual(
      records.map(({ value }) => Buffer.from(value).toString()),
      ['b', 'c'],
    )
    break
  }
})

test('a position before what the topic still has is a gap', async (t) => {
  const topic = `gap-${randomUUID()}`
  const log = await openTestLog(broker, topic, { partitions: 1 })
  t.after(() => log.close())
  await log.append(['a', 'b', 'c'].map((text) => recordOf(text)))
  const admin = createAdmin({ brokers: [broker], timeoutMs: 5_000 })
  t.after(() => admin.close())
  await admin.deleteRecords({
    topics: [{ name: topic, partitions: [{ partition: 0, offset: 2n }] }],
  })
  const read = async (from: number) => {
    const options = { recordsMax: 10, from: async () => from as Offset }
    for await (const { records } of log.read(options)) return records.length
    return 0
  }
  await assert.rejects(read(0), { code: 'log_gap', message: /offsets 0 to 1 of partition 0/ })
  await assert.rejects(read(7), { code: 'log_gap' })
  assert.equal(await read(2), 1)
  const [range] = await log.partitions()
  assert.deepEqual(range, { partition: 0, first: 2, next: 3 })
})

test('markers of transactions are no records: the offsets have gaps, a batch has none', async (t) => {
  const topic = `transaction-${randomUUID()}`
  const log = await openTestLog(broker, topic, { partitions: 1 })
  t.after(() => log.close())
  const producer = new Producer({
    clientId: 'transaction',
    bootstrapBrokers: [broker],
    idempotent: true,
  })
  t.after(() => producer.close())
  for (const text of ['a', 'b', 'undone', 'c']) {
    const transaction = await producer.beginTransaction()
    await transaction.send({ messages: [{ topic, value: Buffer.from(text) }] })
    if (text === 'undone') await transaction.abort()
    else await transaction.commit()
  }
  // A commit is answered before its marker is written: 4 records and 4 markers there will be.
  await until(async () => (await log.partitions())[0]?.next === 8, 'the last marker is written')
  const texts: string[] = []
  const options = { recordsMax: 10, untilEnd: true, from: async () => undefined }
  for await (const { records, nextOffset } of log.read(options)) {
    assert.equal(nextOffset, (records.at(-1)?.offset ?? 0) + 1)
    assert.equal(records.length, 1)
    texts.push(...records.map(({ value }) => Buffer.from(value).toString()))
  }
  assert.deepEqual(texts, ['a', 'b', 'c'])
})
