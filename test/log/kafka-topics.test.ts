import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, test } from 'node:test'
import { ConfigResourceTypes } from '@platformatic/kafka'
import { freePorts } from '../../script/services/server.ts'
import { createAdmin } from '../../src/log/kafka/client.ts'
import { openKafkaLog } from '../../src/log/kafka/kafka.ts'
import { topicExpiresAt } from '../../src/log/kafka/topics.ts'
import { sharedKafka } from '../services.ts'
import { kafkaOptions, openTestLog } from './kafka-scene.ts'

const broker = await sharedKafka()
const admin = createAdmin({ brokers: [broker], timeoutMs: 10_000 })
after(() => admin.close())

function newTopic(): string {
  return `topic-${randomUUID()}`
}

async function make(topic: string, configs: Record<string, string>): Promise<void> {
  await admin.createTopics({
    topics: [topic],
    partitions: 2,
    replicas: 1,
    configs: Object.entries(configs).map(([name, value]) => ({ name, value })),
  })
}

test('one replica is refused before the topic is made, with the setting for a trial in the hint', async () => {
  const topic = newTopic()
  await assert.rejects(openKafkaLog(kafkaOptions(broker, topic, { allowSingleReplica: false })), {
    code: 'log_replicas',
    message: /has 1 replica, min\.insync\.replicas 1/,
    hint: /MILLRACE_KAFKA_ALLOW_SINGLE_REPLICA=true/,
  })
  assert.equal((await admin.listTopics()).includes(topic), false)
})

test('a topic that exists with one replica is refused too', async () => {
  const topic = newTopic()
  await make(topic, {})
  const options = kafkaOptions(broker, topic, { allowSingleReplica: false })
  await assert.rejects(openKafkaLog(options), { code: 'log_replicas' })
})

test('a topic that is made says all that the promises need', async (t) => {
  const topic = newTopic()
  const log = await openTestLog(broker, topic, { partitions: 4, retentionDays: 3 })
  t.after(() => log.close())
  assert.equal((await log.partitions()).length, 4)
  const settings = async (name: string) => {
    const resource = { resourceType: ConfigResourceTypes.TOPIC, resourceName: name }
    const [described] = await admin.describeConfigs({ resources: [resource] })
    return new Map(described?.configs.map(({ name, value }) => [name, value]))
  }
  const events = await settings(topic)
  assert.equal(events.get('retention.ms'), `${3 * 86_400_000}`)
  assert.equal(events.get('message.timestamp.type'), 'LogAppendTime')
  assert.equal(events.get('cleanup.policy'), 'delete')
  assert.equal((await settings(`${topic}.schemas`)).get('cleanup.policy'), 'compact')
})

test('what is appended is gone before a tombstone of the store may be (8 days)', () => {
  assert.ok(topicExpiresAt(7, 0) < 8 * 86_400_000)
  assert.ok(topicExpiresAt(7, 0) > 7 * 86_400_000)
})

test('a topic with other settings is refused, each fault named', async () => {
  const topic = newTopic()
  await make(topic, {
    'cleanup.policy': 'compact',
    'retention.ms': '3600000',
    'max.message.bytes': '1000',
  })
  await assert.rejects(openTestLog(broker, topic), (error: Error & { code: string }) => {
    assert.equal(error.code, 'log_topic')
    assert.match(error.message, /cleanup\.policy is compact instead of delete/)
    assert.match(error.message, /retention\.ms is 3600000 instead of 604800000/)
    assert.match(error.message, /message\.timestamp\.type is CreateTime instead of LogAppendTime/)
    assert.match(error.message, /max\.message\.bytes is 1000/)
    return true
  })
})

test('a topic of somebody else is taken as it is, but not made', async (t) => {
  const topic = newTopic()
  await assert.rejects(openTestLog(broker, topic, { isForeign: true }), { code: 'log_topic' })
  await make(topic, { 'cleanup.policy': 'compact' })
  const log = await openTestLog(broker, topic, { isForeign: true })
  t.after(() => log.close())
  assert.equal((await log.partitions()).length, 2)
})

test('processes that begin at once share one topic', async (t) => {
  const topic = newTopic()
  const logs = await Promise.all([1, 2, 3].map(() => openTestLog(broker, topic)))
  t.after(() => Promise.all(logs.map((log) => log.close())))
  assert.equal(new Set(logs.map(({ identity }) => identity)).size, 1)
})

test('a topic that was deleted and made anew is another log, and is not read as the old one', async (t) => {
  const topic = newTopic()
  const log = await openTestLog(broker, topic)
  t.after(() => log.close())
  await admin.deleteTopics({ topics: [topic] })
  const reading = (async () => {
    for await (const _ of log.read({ from: async () => undefined, recordsMax: 1 }));
  })()
  await assert.rejects(reading)
  while ((await admin.listTopics()).includes(topic));
  const again = await openTestLog(broker, topic)
  t.after(() => again.close())
  assert.notEqual(again.identity, log.identity)
})

test('where nobody listens, opening fails with the address in the message', async () => {
  const [port] = await freePorts(1)
  const connection = { brokers: [`127.0.0.1:${port}`], timeoutMs: 1_000 }
  await assert.rejects(openKafkaLog(kafkaOptions(broker, newTopic(), { connection })), {
    code: 'log_unavailable',
    message: new RegExp(`127\\.0\\.0\\.1:${port}`),
  })
})
