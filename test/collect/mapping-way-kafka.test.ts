import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import avro from 'avsc'
import type { EventsAnswer } from '../../src/api/answer.ts'
import type { LogRecord } from '../../src/log/log.ts'
import { optionsBelow, startMillrace, temporaryFolder, untilStored } from '../fault/process.ts'
import { openTestLog } from '../log/kafka-scene.ts'
import { startRegistryServer } from '../log/registry-server.ts'
import { sharedKafka } from '../services.ts'
import { type Order, orderSchema, writeMappedConfig } from './mapping-scene.ts'

/** Mapped events over a real Kafka: the records that others read there, and the rows of the store. */

const broker = await sharedKafka()
const type = avro.Type.forSchema(orderSchema as never)

/** All records of a topic, as any reader of it gets them. */
async function recordsOf(topic: string): Promise<LogRecord[]> {
  const log = await openTestLog(broker, topic)
  try {
    const records: LogRecord[] = []
    const from = async () => undefined
    for await (const batch of log.read({ from, recordsMax: 100, untilEnd: true })) {
      records.push(...batch.records.map((one) => ({ ...one, value: Buffer.from(one.value) })))
    }
    return records
  } finally {
    await log.close()
  }
}

function ordersOf(records: readonly LogRecord[]): Order[] {
  return records.map(({ value }) => ({ ...(type.fromBuffer(value as Buffer) as Order) }))
}

interface Scene {
  readonly running: Awaited<ReturnType<typeof startMillrace>>
  readonly topic: string
  readonly copies: string
  /** Sends `buy` of item 0, `look` of item 1, and a `buy` of nothing, which cannot be mapped. */
  send(clientTime: number): Promise<void>
}

/** A running Millrace with the mapping `orders`, and copies of all but `look`. */
async function inScene(
  env: Readonly<Record<string, string>>,
  body: (scene: Scene) => Promise<void>,
): Promise<void> {
  const folder = temporaryFolder()
  const topic = `mapped-${randomUUID()}`
  const copies = `${topic}.copies`
  const copy = `copies: {
      schema: ${JSON.stringify(`${folder.path}/order.avsc`)},
      sources: ['json'],
      topic: ${JSON.stringify(copies)},
      map: (event) => event.eventType === 'look' ? null : { kind: 'copy', item: event.eventId },
    },`
  const config = writeMappedConfig(folder.path, 'event.itemId', copy)
  const options = await optionsBelow(folder.path, 'data')
  const running = await startMillrace({
    ...options,
    env: {
      MILLRACE_CONFIG: config,
      MILLRACE_LOG: 'kafka',
      MILLRACE_KAFKA_BROKERS: broker,
      MILLRACE_KAFKA_TOPIC: topic,
      MILLRACE_KAFKA_GROUP: topic,
      MILLRACE_KAFKA_PARTITIONS: '1',
      MILLRACE_KAFKA_ALLOW_SINGLE_REPLICA: 'true',
      // A start waits five seconds for a log with a spool; a busy machine makes topics more slowly.
      MILLRACE_SPOOL_ENABLED: 'false',
      ...env,
    },
  })
  const send = async (clientTime: number): Promise<void> => {
    const events = ['buy', 'look', 'buy'].map((eventType, index) => ({
      eventType,
      eventId: `${topic}-${index}`,
      clientTime,
      ...(index < 2 && { parameters: { item_id: `i${index}` } }),
    }))
    const response = await fetch(`${running.collectorUrl}/events`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(events),
    })
    assert.equal(response.status, 200)
    await untilStored(running)
  }
  try {
    await body({ running, topic, copies, send })
  } finally {
    await running.stop()
    folder.remove()
  }
}

async function storedItems({ running }: Scene): Promise<readonly (readonly unknown[])[]> {
  const answer = await fetch(`${running.apiUrl}/api/events?last=1d&order=asc`)
  const { events } = (await answer.json()) as EventsAnswer
  return events.map(({ eventId, eventType, itemId }) => [eventId, eventType, itemId]).toSorted()
}

test('a mapped event is exactly its record in Kafka, a row in the store, and a copy on its other topic', () =>
  inScene({}, async (scene) => {
    const { running, topic, copies } = scene
    const clientTime = Date.now() - 1_000
    await scene.send(clientTime)
    assert.deepEqual(await storedItems(scene), [
      [`${topic}-0`, 'buy', 'i0'],
      [`${topic}-1`, 'look', 'i1'],
    ])
    const records = await recordsOf(topic)
    assert.deepEqual(
      ordersOf(records).map(({ kind, item }) => [kind, item]),
      [
        ['buy', 'i0'],
        ['look', 'i1'],
      ],
    )
    assert.deepEqual(
      records.map(({ headers }) => [
        headers?.['millrace-event-id'],
        headers?.['millrace-event-time'],
      ]),
      [0, 1].map((index) => [`${topic}-${index}`, String(clientTime)]),
    )
    // The third event fails in the first mapping, and is then on none of its topics.
    assert.deepEqual(
      ordersOf(await recordsOf(copies)).map(({ kind, item }) => [kind, item]),
      [['copy', `${topic}-0`]],
    )
    const rejected = await recordsOf(`${topic}.rejected`)
    assert.equal(rejected.length, 1)
    const letters = await fetch(`${running.apiUrl}/api/dead-letters`)
    assert.match(await letters.text(), /event_unmapped/)
  }))

test('with Confluent’s framing each record of a mapping names its schema by the id of the registry', async () => {
  const registry = await startRegistryServer()
  const env = {
    MILLRACE_KAFKA_FRAMING: 'confluent',
    MILLRACE_KAFKA_SCHEMA_REGISTRY_URL: registry.url,
  }
  try {
    await inScene(env, async (scene) => {
      const { topic, copies } = scene
      await scene.send(Date.now() - 1_000)
      assert.deepEqual(await storedItems(scene), [
        [`${topic}-0`, 'buy', 'i0'],
        [`${topic}-1`, 'look', 'i1'],
      ])
      for (const subject of [topic, copies]) {
        assert.ok(registry.asked.includes(`POST /subjects/${subject}-value/versions`), subject)
      }
      const orders = [...(await recordsOf(topic)), ...(await recordsOf(copies))].map(
        ({ value }) => {
          const framed = value as Buffer
          assert.equal(framed[0], 0)
          const text = registry.schemas.get(framed.readUInt32BE(1))
          const written = avro.Type.forSchema(JSON.parse(text ?? '') as never)
          const { kind, item } = written.fromBuffer(framed.subarray(5)) as Order
          return [kind, item]
        },
      )
      assert.deepEqual(orders, [
        ['buy', 'i0'],
        ['look', 'i1'],
        ['copy', `${topic}-0`],
      ])
    })
  } finally {
    await registry.close()
  }
})
