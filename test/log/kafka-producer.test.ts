import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { Consumer, compatibilityPartitioner, murmur2, Producer } from '@platformatic/kafka'
import { openKafkaLog } from '../../src/log/kafka/kafka.ts'
import { sharedKafka } from '../services.ts'
import { kafkaOptions, openTestLog } from './kafka-scene.ts'
import { readAll, recordOf, schema, schemaText, textsOf } from './log.suite.ts'

const broker = await sharedKafka()

test('version 1.35 of the client lost what was acknowledged: 2,000 records in 20 sends at once are there', async (t) => {
  const topic = `loss-${randomUUID()}`
  const log = await openTestLog(broker, topic)
  t.after(() => log.close())
  const producer = new Producer({
    clientId: 'loss',
    bootstrapBrokers: [broker],
    idempotent: true,
    partitioner: compatibilityPartitioner,
  })
  t.after(() => producer.close())
  const acknowledged = new Set<string>()
  const sends = Array.from({ length: 20 }, async (_, lane) => {
    for (let index = 0; index < 100; index++) {
      const text = `${lane}/${index}`
      const key = Buffer.from(text)
      await producer.send({ messages: [{ topic, key, value: key, headers: new Map() }] })
      acknowledged.add(text)
    }
  })
  await Promise.all(sends)
  assert.equal(acknowledged.size, 2_000)
  const read = textsOf(await readAll(log))
  assert.deepEqual(new Set(read), acknowledged)
  assert.equal(read.length, 2_000)
})

test('20 lanes of appends at once: every acknowledged record is there, once and in its lane’s order', async (t) => {
  const log = await openTestLog(broker, `lanes-${randomUUID()}`)
  t.after(() => log.close())
  await log.addSchema(schemaText)
  const lanes = Array.from({ length: 20 }, async (_, lane) => {
    for (let index = 0; index < 100; index++) {
      await log.append([recordOf(`${lane}/${index}`, `party ${lane}`)])
    }
  })
  await Promise.all(lanes)
  const records = await readAll(log)
  assert.equal(records.length, 2_000)
  for (let lane = 0; lane < 20; lane++) {
    const texts = textsOf(records.filter(({ key }) => key === `party ${lane}`))
    assert.deepEqual(
      texts,
      Array.from({ length: 100 }, (_, index) => `${lane}/${index}`),
    )
  }
})

// The figures of UtilsTest.testMurmur2 in Apache Kafka.
const murmurs: Readonly<Record<string, number>> = {
  '21': -973_932_308,
  foobar: -790_332_482,
  'a-little-bit-long-string': -985_981_536,
  'a-little-bit-longer-string': -1_486_304_829,
  lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8: -58_897_971,
  abc: 479_470_107,
}

test('a key has the partition that the Java client gives it', async (t) => {
  const partitions = 7
  const log = await openTestLog(broker, `partitioner-${randomUUID()}`, { partitions })
  t.after(() => log.close())
  await log.append(Object.keys(murmurs).map((key) => recordOf('x', key)))
  const found = new Map<string, number>()
  const options = { from: async () => undefined, recordsMax: 10, untilEnd: true }
  for await (const { partition, records } of log.read(options)) {
    for (const { key } of records) found.set(key, partition)
  }
  for (const [key, murmur] of Object.entries(murmurs)) {
    assert.equal(murmur2(Buffer.from(key)), murmur)
    // Utils.toPositive(murmur2(key)) % partitions
    assert.equal(found.get(key), (murmur & 0x7fffffff) % partitions, key)
  }
})

test('a record has the broker’s time, the lz4 of its batch and its schema in a header', async (t) => {
  const topic = `wire-${randomUUID()}`
  const log = await openTestLog(broker, topic, { partitions: 1 })
  t.after(() => log.close())
  const before = Date.now()
  await log.append(Array.from({ length: 50 }, () => recordOf('x'.repeat(100))))
  const client = new Consumer({ clientId: 'wire', groupId: 'wire', bootstrapBrokers: [broker] })
  t.after(() => client.close(true))
  client.topics.track(topic)
  const metadata = await client.metadata({ topics: [topic] })
  const partition = {
    partition: 0,
    fetchOffset: 0n,
    currentLeaderEpoch: -1,
    lastFetchedEpoch: -1,
    partitionMaxBytes: 1_000_000,
  }
  const { responses } = await client.fetch({
    node: metadata.topics.get(topic)?.partitions[0]?.leader as number,
    topics: [{ topicId: metadata.topics.get(topic)?.id as string, partitions: [partition] }],
  })
  const batch = responses[0]?.partitions[0]?.records?.[0]
  assert.ok(batch)
  assert.equal(batch.attributes & 0b111, 3, 'lz4')
  assert.equal(batch.attributes & 0b1000, 0b1000, 'LogAppendTime')
  assert.ok(
    Number(batch.maxTimestamp) >= before && Number(batch.maxTimestamp) <= Date.now() + 1_000,
  )
  assert.ok(batch.producerId >= 0n, 'idempotent')
  assert.ok(batch.length < 1_500, 'compressed')
  const headers = batch.records[0]?.headers.map(([name, value]) => `${name}=${value}`)
  assert.deepEqual(headers, [`millrace-schema=${schema}`])
})

test('a record that no batch can hold is refused alone, its neighbours are kept', async (t) => {
  const log = await openTestLog(broker, `large-${randomUUID()}`)
  t.after(() => log.close())
  const large = { key: 'k', value: Buffer.alloc(1_000_000), schema }
  const [refused] = await Promise.allSettled([log.append([large]), log.append([recordOf('small')])])
  assert.equal(refused.status === 'rejected' && refused.reason.code, 'record_too_large')
  assert.deepEqual(textsOf(await readAll(log)), ['small'])
})

test('an append larger than a batch goes in several, in order', async (t) => {
  const log = await openTestLog(broker, `cut-${randomUUID()}`)
  t.after(() => log.close())
  const noise = Array.from({ length: 12 }, (_, index) => Buffer.alloc(250_000, index))
  await log.append(noise.map((value) => ({ key: 'k', value, schema })))
  const read = await readAll(log)
  assert.deepEqual(
    read.map(({ value }) => value[0]),
    noise.map((value) => value[0]),
  )
})

test('records of a writer without our header are read by the schema that was configured', async (t) => {
  const topic = `plain-${randomUUID()}`
  const own = await openTestLog(broker, topic)
  t.after(() => own.close())
  const producer = new Producer({ clientId: 'plain', bootstrapBrokers: [broker] })
  t.after(() => producer.close())
  await producer.send({ acks: -1, messages: [{ topic, value: Buffer.from('naked') }] })
  const plainSchema = '{"type":"string"}'
  const log = await openKafkaLog(kafkaOptions(broker, topic, { plainSchema, isForeign: true }))
  t.after(() => log.close())
  const [record] = await readAll(log)
  assert.equal(record?.key, '')
  assert.equal(await log.schema(record?.schema ?? ''), plainSchema)
  const [without] = await readAll(own)
  assert.equal(await own.schema(without?.schema ?? 'x'), undefined)
})
