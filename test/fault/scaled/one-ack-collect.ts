import { ProduceAcks, Producer } from '@platformatic/kafka'
import { Registry } from 'prom-client'
import { runUntilSignal } from '../../../src/cli/lifecycle.ts'
import { configOf } from '../../../src/cli/options.ts'
import { openCollectLogStage } from '../../../src/cli/spool.ts'
import * as stages from '../../../src/cli/stages.ts'
import type { Log } from '../../../src/log/log.ts'
import { appendingBy } from '../hasty-log.ts'

/** The negative control of a killed leader: `millrace collect`, content with the leader’s own ack. */
const config = await configOf({})
const { brokers, topic } = config.kafka

const append: Log['append'] = async (records) => {
  const messages = records.map(({ key, value, schema }) => {
    const headers = new Map([[Buffer.from('millrace-schema'), Buffer.from(schema)]])
    return { topic, key: Buffer.from(key), value: Buffer.from(value), headers }
  })
  await producer.send({ messages, acks: ProduceAcks.LEADER })
}

const producer = new Producer({
  clientId: 'one-ack',
  bootstrapBrokers: [...brokers],
  retries: 3,
  retryDelay: 100,
  connectTimeout: 2_000,
  timeout: 2_000,
})
producer.on('error', () => {})
await runUntilSignal(async (lifecycle) => {
  const logs = await openCollectLogStage(config, lifecycle, false)
  lifecycle.onStop('producer', () => producer.close(true))
  const promising = { ...logs, events: appendingBy(logs.events, append) }
  await stages.openCollectStage(config, promising, new Registry(), lifecycle, null)
})
