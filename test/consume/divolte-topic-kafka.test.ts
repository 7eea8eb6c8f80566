import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import avro from 'avsc'
import { openEmbeddedStore } from '../../src/store/embedded/embedded.ts'
import type { Row } from '../../src/store/store.ts'
import { runCommand, temporaryFolder } from '../fault/process.ts'
import { startRegistryServer } from '../log/registry-server.ts'
import { sharedKafka } from '../services.ts'
import {
  type DivolteMessage,
  madeMessages,
  recordedMessages,
  storedOfMessage,
} from './divolte-records.ts'
import { always, type Message, produce, runConsume } from './divolte-topic-scene.ts'

/** A topic that Divolte writes, read by `millrace consume` as its users start it. */

const broker = await sharedKafka()

interface Consumed {
  readonly rows: readonly Row[]
  readonly letters: readonly { readonly code: string; readonly offset: number }[]
}

/** Runs `millrace consume` over the topic and returns what is in its DuckDB then. */
function consume(
  topic: string,
  env: Readonly<Record<string, string>>,
  work: (env: Readonly<Record<string, string>>) => Promise<void> = async () => {},
): Promise<Consumed> {
  return runConsume({ broker, topic, env }, work, (folder) => readStore(join(folder, 'store')))
}

async function readStore(folder: string): Promise<Consumed> {
  const store = await openEmbeddedStore({ folder, memoryBytes: 256 * 1024 * 1024, threads: 1 })
  try {
    const rows = await store.events(always, { bots: 'include' }, { order: 'asc', limit: 10_000 })
    const letters = await store.deadLetters({ limit: 100 })
    return {
      rows: rows.toSorted((a, b) => a.position.offset - b.position.offset),
      letters: letters.map(({ code, position }) => ({ code, offset: position.offset })),
    }
  } finally {
    await store.close()
  }
}

function withoutPosition({ position: _, ...row }: Row): object {
  return row
}

async function checkMessages(messages: readonly DivolteMessage[]): Promise<void> {
  const topic = `divolte-${randomUUID()}`
  await produce(broker, topic, messages)
  const { rows, letters } = await consume(topic, { MILLRACE_RECORD_SCHEMA: 'divolte' })
  assert.deepEqual(letters, [])
  assert.deepEqual(
    rows.map(withoutPosition),
    messages.map((message, offset) => storedOfMessage(message, `${topic}/0/${offset}`)),
  )
}

test('a topic of Divolte becomes the rows that its records say, its duplicate flag kept', async () => {
  await checkMessages(madeMessages())
})

const recorded = recordedMessages()
const skip = recorded === undefined && 'the recorded topic is not here: set DIVOLTE_TOPIC to it'
test('600 records of a real Divolte become 600 rows, field by field', { skip }, async () => {
  const messages = recorded ?? []
  assert.equal(messages.length, 600)
  assert.equal(messages.filter(({ record }) => record['detectedDuplicate'] === true).length, 19)
  await checkMessages(messages)
})

const shopSchema = {
  type: 'record',
  name: 'ShopEvent',
  namespace: 'example',
  fields: [
    { name: 'timestamp', type: 'long' },
    { name: 'partyId', type: 'string' },
    { name: 'eventType', type: ['null', 'string'], default: null },
    { name: 'item_id', type: ['null', 'long'], default: null },
    { name: 'basket', type: { type: 'array', items: 'string' }, default: [] },
  ],
}
const shopType = avro.Type.forSchema(shopSchema as never)

function shopRecord(index: number, over: object = {}): Message {
  const record = {
    timestamp: 0,
    partyId: `party-${index}`,
    eventType: 'buy',
    item_id: index,
    basket: ['a'],
  }
  return { value: shopType.toBuffer({ ...record, timestamp: Date.now(), ...over }) }
}

test("with the user's schema: names of ours are taken, the others are parameters; poison is a dead letter", async () => {
  const topic = `shop-${randomUUID()}`
  const folder = temporaryFolder()
  try {
    const file = join(folder.path, 'shop.avsc')
    writeFileSync(file, JSON.stringify(shopSchema))
    const cut = shopRecord(2)
    await produce(broker, topic, [
      shopRecord(0),
      { value: Buffer.from('no record at all') },
      { value: cut.value.subarray(0, 3) },
      shopRecord(3, { item_id: null }),
    ])
    const { rows, letters } = await consume(topic, { MILLRACE_RECORD_SCHEMA: file })
    assert.deepEqual(
      rows.map(({ eventId, partyId, eventType, itemId, parameters }) => [
        eventId,
        partyId,
        eventType,
        itemId,
        parameters,
      ]),
      [
        [`${topic}/0/0`, 'party-0', 'buy', '0', '{"item_id":0,"basket":["a"]}'],
        [`${topic}/0/3`, 'party-3', 'buy', null, '{"basket":["a"]}'],
      ],
    )
    assert.deepEqual(
      letters.toSorted((a, b) => a.offset - b.offset),
      [1, 2].map((offset) => ({ code: 'record_undecodable', offset })),
    )
  } finally {
    folder.remove()
  }
})

test("the user's function has the last word; where it throws, the record waits as a dead letter", async () => {
  const topic = `mapped-${randomUUID()}`
  const folder = temporaryFolder()
  try {
    writeFileSync(join(folder.path, 'shop.avsc'), JSON.stringify(shopSchema))
    const configure = (guard: string): string => `
      export default {
        consume: {
          recordSchema: ${JSON.stringify(join(folder.path, 'shop.avsc'))},
          rowOf: (record, { topic, partition, offset, timestamp }) => {
            ${guard}
            return { eventId: 'e' + offset, itemId: record.basket[0], receivedAt: timestamp }
          },
        },
      }`
    const file = join(folder.path, 'millrace.config.ts')
    writeFileSync(file, configure("if (offset === 1) throw new Error('not this one')"))
    const times = [0, 1, 2].map((index) => Date.now() - 1_000 + index)
    await produce(
      broker,
      topic,
      times.map((timestamp, index) => ({ ...shopRecord(index), timestamp })),
    )
    const { rows, letters } = await consume(topic, { MILLRACE_CONFIG: file })
    assert.deepEqual(
      rows.map(({ eventId, itemId, receivedAt }) => [eventId, itemId, receivedAt]),
      [
        ['e0', 'a', times[0]],
        ['e2', 'a', times[2]],
      ],
    )
    assert.deepEqual(letters, [{ code: 'mapping_failed', offset: 1 }])
  } finally {
    folder.remove()
  }
})

test('framed records are read by the schema that the registry has, and nothing is registered', async (t) => {
  const topic = `framed-${randomUUID()}`
  const registry = await startRegistryServer()
  t.after(() => registry.close())
  const older = { ...shopSchema, fields: shopSchema.fields.slice(0, -1) }
  const ids = [1, 2]
  registry.schemas.set(1, JSON.stringify(shopSchema)).set(2, JSON.stringify(older))
  const frame = (id: number, value: Buffer): Message => {
    const head = Buffer.alloc(5)
    head.writeUInt32BE(id, 1)
    return { value: Buffer.concat([head, value]) }
  }
  const record = { timestamp: Date.now(), partyId: 'p', eventType: null, item_id: 7 }
  await produce(broker, topic, [
    frame(ids[0] ?? 0, shopRecord(0).value),
    frame(ids[1] ?? 0, avro.Type.forSchema(older as never).toBuffer(record)),
    frame(99, shopRecord(0).value),
    shopRecord(0),
  ])
  const folder = temporaryFolder()
  t.after(() => folder.remove())
  writeFileSync(join(folder.path, 'shop.avsc'), JSON.stringify(shopSchema))
  const before = registry.asked.length
  const { rows, letters } = await consume(topic, {
    MILLRACE_RECORD_SCHEMA: join(folder.path, 'shop.avsc'),
    MILLRACE_KAFKA_FRAMING: 'confluent',
    MILLRACE_KAFKA_SCHEMA_REGISTRY_URL: registry.url,
  })
  assert.deepEqual(
    rows.map(({ eventType, parameters }) => [eventType, parameters]),
    [
      ['buy', '{"item_id":0,"basket":["a"]}'],
      ['unknown', '{"item_id":7,"basket":[]}'],
    ],
  )
  assert.deepEqual(
    letters.toSorted((a, b) => a.offset - b.offset),
    [2, 3].map((offset) => ({ code: 'schema_unknown', offset })),
  )
  assert.ok(registry.asked.slice(before).every((line) => line.startsWith('GET ')))
})

test('a replay, and dead letters tried again, store what the first reading did', async () => {
  const topic = `again-${randomUUID()}`
  const messages = madeMessages()
  await produce(broker, topic, messages)
  const { rows } = await consume(topic, { MILLRACE_RECORD_SCHEMA: 'divolte' }, async (env) => {
    const replay = await runCommand(['replay', '--from', 'earliest'], env)
    assert.match(replay.stdout, /12 of 12 records/)
  })
  assert.equal(rows.length, messages.length)
})

test('a collector refuses a topic of others, and a consumer one that does not exist', async () => {
  const topic = `refused-${randomUUID()}`
  const folder = temporaryFolder()
  try {
    const env = {
      MILLRACE_DATA: folder.path,
      MILLRACE_LOG: 'kafka',
      MILLRACE_KAFKA_BROKERS: broker,
      MILLRACE_KAFKA_TOPIC: topic,
      MILLRACE_KAFKA_ALLOW_SINGLE_REPLICA: 'true',
      MILLRACE_RECORD_SCHEMA: 'divolte',
      MILLRACE_COLLECT_PORT: '0',
      MILLRACE_API_PORT: '0',
    }
    const absent = await runCommand(['consume'], env)
    assert.match(absent.stderr, new RegExp(`there is no topic ${topic}`))
    await produce(broker, topic, [shopRecord(0)])
    const collecting = await runCommand(['collect'], env)
    assert.match(collecting.stderr, /the collector needs a topic of its own.*\[config_invalid\]/s)
    const unreadable = await runCommand(['consume'], { ...env, MILLRACE_RECORD_SCHEMA: 'no.avsc' })
    assert.match(unreadable.stderr, /no\.avsc.*\[config_invalid\]/s)
  } finally {
    folder.remove()
  }
})
