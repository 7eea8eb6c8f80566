import { readFile } from 'node:fs/promises'
import { MillraceError } from '../../event/error.ts'
import { fingerprintOf } from '../../event/schema.ts'
import type { Log } from '../log.ts'
import type { KafkaConnection, KafkaSasl, KafkaTls } from './client.ts'
import { createConfluentFraming, type Framing, type FramingName, nakedFraming } from './framing.ts'
import { openKafkaLog } from './kafka.ts'
import { createSchemaRegistry } from './registry.ts'

/** The section `kafka` of the configuration, see config/kafka.ts for what each means. */
export interface KafkaSettings {
  readonly brokers: readonly string[]
  readonly topic: string
  readonly group: string
  readonly framing: FramingName
  readonly schemaRegistryUrl?: string | undefined
  readonly partitions: number
  readonly replicas: number
  readonly allowSingleReplica: boolean
  readonly timeoutMs: number
  readonly sessionTimeoutMs: number
  readonly tls: boolean
  readonly caFile?: string | undefined
  readonly certificateFile?: string | undefined
  readonly keyFile?: string | undefined
  readonly saslMechanism?: KafkaSasl['mechanism'] | undefined
  readonly saslUsername?: string | undefined
  readonly saslPassword?: string | undefined
}

/** What the logs of both backends have in common. */
export interface SharedSettings {
  readonly retentionDays: number
  readonly syncIntervalMs: number
}

/** What records of one schema are copied to. */
export interface SchemaTopics {
  readonly schemaText: string
  /** Names in Kafka; undefined is the log's own topic. */
  readonly topics: readonly (string | undefined)[]
}

/**
 * Opens one of our two logs as the configuration says.
 * @param copies the schemas of users' mappings and where their records go
 * @param plainSchema of the records of the topic, when these are somebody else's
 * @throws MillraceError as `openKafkaLog`, and `config_invalid` when a PEM file cannot be read
 */
export async function openConfiguredLog(
  settings: KafkaSettings,
  { retentionDays, syncIntervalMs }: SharedSettings,
  topic: 'events' | 'rejected',
  plainSchema?: string,
  copies: readonly SchemaTopics[] = [],
): Promise<Log> {
  const { partitions, replicas, allowSingleReplica, sessionTimeoutMs } = settings
  // A group of its own for each topic: whoever joins must read all that the group reads.
  const suffix = topic === 'events' ? '' : `.${topic}`
  return openKafkaLog({
    connection: await kafkaConnection(settings),
    topic,
    kafkaTopic: `${settings.topic}${suffix}`,
    schemasTopic: `${settings.topic}.schemas`,
    group: `${settings.group}${suffix}`,
    framing: topic === 'events' ? framingOf(settings, copies) : nakedFraming,
    copyTopics: topic === 'events' ? copyTopicsOf(copies) : [],
    // Refused requests are few, by a limit of their own.
    partitions: topic === 'events' ? partitions : 1,
    replicas,
    allowSingleReplica,
    retentionDays,
    intervalMs: syncIntervalMs,
    sessionTimeoutMs,
    ...(plainSchema !== undefined && { plainSchema, isForeign: true }),
  })
}

/** @throws MillraceError `config_invalid` when a PEM file cannot be read */
export async function kafkaConnection(settings: KafkaSettings): Promise<KafkaConnection> {
  const { brokers, timeoutMs, saslMechanism, saslUsername, saslPassword } = settings
  const connection: Writable<KafkaConnection> = { brokers, timeoutMs }
  if (settings.tls) {
    const tls: Writable<KafkaTls> = {}
    if (settings.caFile !== undefined) tls.ca = await readPem(settings.caFile)
    if (settings.certificateFile !== undefined) {
      tls.certificate = await readPem(settings.certificateFile)
    }
    if (settings.keyFile !== undefined) tls.key = await readPem(settings.keyFile)
    connection.tls = tls
  }
  if (saslMechanism !== undefined && saslUsername !== undefined && saslPassword !== undefined) {
    connection.sasl = { mechanism: saslMechanism, username: saslUsername, password: saslPassword }
  }
  return connection
}

type Writable<Type> = { -readonly [Key in keyof Type]: Type[Key] }

function framingOf(settings: KafkaSettings, copies: readonly SchemaTopics[]): Framing {
  const { framing, schemaRegistryUrl, topic, timeoutMs } = settings
  if (framing === 'naked' || schemaRegistryUrl === undefined) return nakedFraming
  const subjects = new Map(
    copies.map(({ schemaText, topics }) => [
      fingerprintOf(schemaText),
      topics.map((copyTo = topic) => `${copyTo}-value`),
    ]),
  )
  return createConfluentFraming(
    createSchemaRegistry({ url: schemaRegistryUrl, timeoutMs }),
    `${topic}-value`,
    (fingerprint) => subjects.get(fingerprint),
  )
}

function copyTopicsOf(copies: readonly SchemaTopics[]): string[] {
  const names = copies.flatMap(({ topics }) => topics).filter((name) => name !== undefined)
  return [...new Set(names)]
}

async function readPem(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (thrown) {
    throw new MillraceError('config_invalid', `${file}: ${(thrown as Error).message}`, {
      cause: thrown,
    })
  }
}
