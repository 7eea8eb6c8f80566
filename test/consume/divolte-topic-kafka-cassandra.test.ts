import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, test } from 'node:test'
import { encodeEvent } from '../../src/event/encode.ts'
import { eventRecordSchema } from '../../src/event/record.ts'
import { openCassandraStore } from '../../src/store/cassandra/cassandra.ts'
import type { Row } from '../../src/store/store.ts'
import { runCommand } from '../fault/process.ts'
import { openTestLog } from '../log/kafka-scene.ts'
import { sharedKafka } from '../services.ts'
import { makeKeyspace } from '../store/cassandra-scene.ts'
import {
  type DivolteMessage,
  madeMessages,
  recordedMessages,
  storedOfMessage,
} from './divolte-records.ts'
import { always, produce, runConsume } from './divolte-topic-scene.ts'
import { eventLike } from './events.ts'

/** Topics of Divolte and of ours, side by side into one keyspace. */

const broker = await sharedKafka()
const keyspace = await makeKeyspace({ expectedEventsPerDay: 1_000 })
after(() => keyspace.drop())

const cassandra = {
  MILLRACE_STORE: 'cassandra',
  MILLRACE_CASSANDRA_CONTACT_POINTS: keyspace.options.contactPoints.join(','),
  MILLRACE_CASSANDRA_KEYSPACE: keyspace.options.keyspace,
}

async function readRows(): Promise<readonly Row[]> {
  const store = await openCassandraStore(keyspace.options)
  try {
    return await store.events(always, { bots: 'include' }, { order: 'asc', limit: 10_000 })
  } finally {
    await store.close()
  }
}

function rowsOf(rows: readonly Row[], start: string): object[] {
  return rows
    .filter(({ eventId }) => eventId.startsWith(start))
    .toSorted((a, b) => a.position.offset - b.position.offset)
    .map(({ position: _, ...row }) => row)
}

function expected(topic: string, messages: readonly DivolteMessage[]): object[] {
  return messages.map((message, offset) => storedOfMessage(message, `${topic}/0/${offset}`))
}

test('a topic of Divolte and one of ours fill one keyspace; --accept-log says that both belong there', async () => {
  // Where the recorded topic is, its 600 records; else the dozen that are made.
  const messages = recordedMessages() ?? madeMessages()
  const topic = `divolte-${randomUUID()}`
  await produce(broker, topic, messages)
  const divolte = { broker, topic, env: { ...cassandra, MILLRACE_RECORD_SCHEMA: 'divolte' } }
  const rows = await runConsume(divolte, async () => {}, readRows)
  assert.equal(rows.length, messages.length)
  assert.deepEqual(rowsOf(rows, topic), expected(topic, messages))
  const { rows: flags } = await keyspace.client.execute('SELECT duplicate FROM click_stream')
  const marked = messages.filter(({ record }) => record['detectedDuplicate'] === true)
  assert.equal(flags.filter((row) => row['duplicate'] === true).length, marked.length)

  const own = `own-${randomUUID()}`
  const log = await openTestLog(broker, 'events', {
    kafkaTopic: own,
    schemasTopic: `${own}.schemas`,
  })
  await log.addSchema(eventRecordSchema.text)
  const events = [1, 2, 3].map(eventLike)
  const { fingerprint: schema } = eventRecordSchema
  await log.append(events.map((event) => ({ key: '', value: encodeEvent(event), schema })))
  await log.close()
  const refused = await runCommand(['consume'], {
    ...{ MILLRACE_LOG: 'kafka', MILLRACE_KAFKA_BROKERS: broker, MILLRACE_KAFKA_TOPIC: own },
    ...{ MILLRACE_KAFKA_ALLOW_SINGLE_REPLICA: 'true', MILLRACE_API_PORT: '0', ...cassandra },
  })
  assert.match(refused.stderr, /\[log_unknown\]/)
  const ours = { broker, topic: own, env: cassandra, flags: ['--accept-log'] }
  const both = await runConsume(
    ours,
    async (env) => {
      const reconciled = await runCommand(['reconcile'], env)
      assert.equal(reconciled.code, 0, reconciled.stderr)
      assert.match(reconciled.stdout, /^3 records: 3 rows/m)
    },
    readRows,
  )
  assert.equal(both.length, messages.length + 3)
  // Each of them starts again where it stands, without a flag.
  await runConsume(
    divolte,
    async () => {},
    async () => {},
  )
})
