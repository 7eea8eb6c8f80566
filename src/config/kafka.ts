import { z } from 'zod'
import { positive } from './units.ts'

const topicName = z.string().regex(/^[A-Za-z0-9._-]{1,200}$/)

/** Apache Kafka; in use when `log.backend` is `kafka`. */
export const kafkaSchema = z.strictObject({
  /** `HOST:PORT` of some brokers; they name the others. */
  brokers: z.array(z.string().min(1)).min(1).default(['127.0.0.1:9092']),
  /** The topic of events. Refused requests go to its name with `.rejected`, schemas to `.schemas`. */
  topic: topicName.default('click_stream'),
  /** The consumer group of the store. */
  group: topicName.default('millrace'),
  /** `confluent` puts the schema's id of a registry before each record. */
  framing: z.enum(['naked', 'confluent']).default('naked'),
  /** Of the schema registry, with a user and a password in it if need be. */
  schemaRegistryUrl: z.url({ protocol: /^https?$/ }).optional(),
  /** Of a topic that is made: as many consumers can share the work. 12 divides by 2, 3, 4 and 6. */
  partitions: positive.max(10_000).default(12),
  /** Of a topic that is made; fewer when there are fewer brokers. */
  replicas: positive.max(9).default(3),
  /** A trial: acknowledged events may be on one broker only, and lost with it. */
  allowSingleReplica: z.boolean().default(false),
  /** How long Kafka may take before an event is refused with 503. */
  timeoutMs: positive.default(10_000),
  /** How long a consumer that is silent keeps its partitions. */
  sessionTimeoutMs: positive.min(1_000).default(10_000),
  /** Encrypt; the brokers' certificate is checked. */
  tls: z.boolean().default(false),
  /** PEM file of the authority that the brokers' certificate is from; unset, those of the system. */
  caFile: z.string().min(1).optional(),
  /** PEM files of a certificate of our own, for brokers that ask for one. */
  certificateFile: z.string().min(1).optional(),
  keyFile: z.string().min(1).optional(),
  /** Log in; the password crosses the network readably with PLAIN unless `tls` is on. */
  saslMechanism: z.enum(['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512']).optional(),
  saslUsername: z.string().min(1).optional(),
  saslPassword: z.string().min(1).optional(),
})

/** What does not go together. */
export function kafkaFaults(kafka: z.output<typeof kafkaSchema>): string[] {
  const faults: string[] = []
  const { caFile, certificateFile, keyFile, saslMechanism, saslUsername, saslPassword } = kafka
  if (kafka.framing === 'confluent' && kafka.schemaRegistryUrl === undefined) {
    faults.push('kafka.framing confluent needs kafka.schemaRegistryUrl')
  }
  if (!kafka.tls && (caFile ?? certificateFile ?? keyFile) !== undefined) {
    faults.push('kafka.caFile, certificateFile and keyFile need kafka.tls')
  }
  if ((certificateFile === undefined) !== (keyFile === undefined)) {
    faults.push('kafka.certificateFile and kafka.keyFile go together')
  }
  const isLogin = saslUsername !== undefined && saslPassword !== undefined
  if (saslMechanism !== undefined && !isLogin) {
    faults.push('kafka.saslMechanism needs kafka.saslUsername and kafka.saslPassword')
  }
  if (saslMechanism === undefined && (saslUsername ?? saslPassword) !== undefined) {
    faults.push('kafka.saslUsername and kafka.saslPassword need kafka.saslMechanism')
  }
  return faults
}
