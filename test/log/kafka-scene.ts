import { type KafkaLogOptions, openKafkaLog } from '../../src/log/kafka/kafka.ts'
import type { Log } from '../../src/log/log.ts'

/** Options of a log in a cluster of one broker. */
export function kafkaOptions(
  address: string,
  topic: string,
  options: Partial<KafkaLogOptions> = {},
): KafkaLogOptions {
  return {
    connection: { brokers: address.split(','), timeoutMs: 10_000 },
    topic,
    kafkaTopic: topic,
    schemasTopic: `${topic}.schemas`,
    group: `group-${topic}`,
    partitions: 3,
    replicas: 3,
    allowSingleReplica: true,
    retentionDays: 7,
    intervalMs: 4,
    sessionTimeoutMs: 3_000,
    ...options,
  }
}

export function openTestLog(
  address: string,
  topic: string,
  options: Partial<KafkaLogOptions> = {},
): Promise<Log> {
  return openKafkaLog(kafkaOptions(address, topic, options))
}
