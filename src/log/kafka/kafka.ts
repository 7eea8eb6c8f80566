import type { Admin, KafkaRecord } from '@platformatic/kafka'
import { MillraceError } from '../../event/error.ts'
import { fingerprintOf } from '../../event/schema.ts'
import {
  type AppendRecord,
  type Log,
  type LogBatch,
  type LogRecord,
  type Offset,
  type PartitionLag,
  type PartitionRange,
  type ReadOptions,
  type RecordHeaders,
  storeGroup,
} from '../log.ts'
import { Appender } from './appender.ts'
import { createAdmin, type KafkaConnection, persist, toLogError } from './client.ts'
import { type Framing, nakedFraming } from './framing.ts'
import { Offsets } from './offsets.ts'
import { type ReaderSource, readTopic } from './reader.ts'
import { SchemaTopic } from './schemas.ts'
import { prepareTopic, type Topic, type TopicPlan } from './topics.ts'

/** How to open a log that is a topic of Kafka. */
export interface KafkaLogOptions {
  readonly connection: KafkaConnection
  /** What the log is called with us: `events`. */
  readonly topic: string
  /** What the topic is called in Kafka: `click_stream`. It is made if there is none. */
  readonly kafkaTopic: string
  /** The topic of the schemas; several logs may share it. */
  readonly schemasTopic: string
  /** The consumer group of the store; other groups get its name and theirs. */
  readonly group: string
  readonly framing?: Framing
  /** The text of the schema of records that name none: somebody else's naked ones. */
  readonly plainSchema?: string
  /** The topic is somebody else's: it must exist, and its settings are not ours to check. */
  readonly isForeign?: boolean
  /** Names of topics that records may be copied to; made and checked like this one. */
  readonly copyTopics?: readonly string[]
  readonly partitions: number
  readonly replicas: number
  readonly allowSingleReplica: boolean
  readonly retentionDays: number
  /** Shortest time between two sends, ms. */
  readonly intervalMs: number
  readonly sessionTimeoutMs: number
}

const schemaHeader = Buffer.from('millrace-schema')
const headerPrefix = Buffer.from('millrace-')
/** How long the answer to `check` holds. */
const checkMs = 1_000

/**
 * Opens a topic of Kafka as a log; makes and checks the topic and that of the schemas.
 * @throws MillraceError `log_unavailable`, `log_refused`, `log_replicas`, `log_topic`
 */
export async function openKafkaLog(options: KafkaLogOptions): Promise<Log> {
  const { kafkaTopic, schemasTopic, partitions, retentionDays: days } = options
  const { replicas, allowSingleReplica, isForeign } = options
  const plan = { replicas, allowSingleReplica }
  const plans: readonly TopicPlan[] = [
    { ...plan, name: kafkaTopic, partitions, keep: { days }, isForeign: isForeign === true },
    { ...plan, name: schemasTopic, partitions: 1, keep: 'compact', isForeign: false },
  ]
  const admin = createAdmin(options.connection)
  try {
    const copies = (options.copyTopics ?? []).map((name) => {
      return { ...plan, name, partitions, keep: { days }, isForeign: false }
    })
    const all = [...plans, ...copies]
    const [records, schemas] = await Promise.all(all.map((one) => prepareTopic(admin, one)))
    return new KafkaLog(options, admin, records as Topic, schemas as Topic)
  } catch (thrown) {
    await admin.close().catch(() => {})
    throw toLogError(thrown)
  }
}

class KafkaLog implements Log {
  readonly topic: string
  readonly identity: string
  readonly #options: KafkaLogOptions
  readonly #admin: Admin
  readonly #kafkaTopic: Topic
  readonly #framing: Framing
  /** Fingerprint of `plainSchema`, or what no schema has. */
  readonly #plain: string
  readonly #appender: Appender
  readonly #offsets: Offsets
  readonly #schemas: SchemaTopic
  readonly #source: ReaderSource
  readonly #headers = new Map<string, Map<Buffer, Buffer>>()
  readonly #readers = new Set<() => Promise<void>>()
  readonly #ending = new AbortController()
  #checked: { readonly at: number; readonly result: Promise<void> } | undefined
  #closing: Promise<void> | undefined

  constructor(options: KafkaLogOptions, admin: Admin, topic: Topic, schemas: Topic) {
    this.topic = options.topic
    this.identity = `kafka/${topic.clusterId}/${topic.id}`
    this.#options = options
    this.#admin = admin
    this.#kafkaTopic = topic
    this.#framing = options.framing ?? nakedFraming
    this.#plain = options.plainSchema === undefined ? '' : fingerprintOf(options.plainSchema)
    this.#appender = new Appender({ ...options.connection, intervalMs: options.intervalMs })
    this.#offsets = new Offsets(admin, topic)
    this.#source = this.#sourceOf(topic, this.#offsets, (...record) => this.#decode(...record))
    const schemaOffsets = new Offsets(admin, schemas)
    const schemaSource = this.#sourceOf(schemas, schemaOffsets, decodeSchema)
    this.#schemas = new SchemaTopic(schemas.name, schemaSource, this.#appender)
  }

  async append(records: readonly AppendRecord[]): Promise<void> {
    this.#refuseWhenClosed()
    const { name: topic } = this.#kafkaTopic
    const messages = records.map(({ key, value, schema, headers, copyTo }) => ({
      topic: copyTo ?? topic,
      key: Buffer.from(key),
      value: this.#framing.wrap(value, schema),
      headers: this.#headersOf(schema, headers),
    }))
    await this.#appender.append(messages)
  }

  /**
   * What an append failed with just now, as brokers without a controller still say that all is
   * well; otherwise Kafka is asked, at most once a second.
   */
  async check(): Promise<void> {
    this.#refuseWhenClosed()
    if (this.#appender.trouble !== undefined) throw this.#appender.trouble
    const now = performance.now()
    if (this.#checked === undefined || now - this.#checked.at > checkMs) {
      const result = this.#checkLeaders()
      result.catch(() => {})
      this.#checked = { at: now, result }
    }
    await this.#checked.result
  }

  read(options: ReadOptions): AsyncIterable<LogBatch> {
    return readTopic(this.#source, options)
  }

  async partitions(): Promise<readonly PartitionRange[]> {
    this.#refuseWhenClosed()
    return this.#offsets.ranges()
  }

  async commit(group: string, partition: number, nextOffset: Offset): Promise<void> {
    this.#refuseWhenClosed()
    await this.#offsets.commit(this.#groupName(group), partition, nextOffset)
  }

  async lag(group: string): Promise<readonly PartitionLag[]> {
    this.#refuseWhenClosed()
    return this.#offsets.lag(this.#groupName(group))
  }

  async addSchema(text: string): Promise<void> {
    this.#refuseWhenClosed()
    await this.#framing.addSchema(await this.#schemas.add(text), text)
  }

  async schema(fingerprint: string): Promise<string | undefined> {
    if (fingerprint === '') return
    if (fingerprint === this.#plain) return this.#options.plainSchema
    return (await this.#framing.schema(fingerprint)) ?? (await this.#schemas.get(fingerprint))
  }

  /** Kafka frees by the topic's own `retention.ms`, read or not; the store then finds a gap. */
  async retain(): Promise<number> {
    return 0
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await this.#appender.close()
    this.#ending.abort()
    await Promise.all([...this.#readers].map((closeReader) => closeReader()))
    await this.#admin.close().catch(() => {})
  }

  #sourceOf(topic: Topic, offsets: Offsets, decode: ReaderSource['decode']): ReaderSource {
    const { timeoutMs } = this.#options.connection
    return {
      connection: this.#options.connection,
      sessionTimeoutMs: this.#options.sessionTimeoutMs,
      topic: topic.name,
      topicId: topic.id,
      decode,
      ranges: () => persist(timeoutMs, () => offsets.ranges(), this.#ending.signal),
      groupName: (group) => this.#groupName(group),
      closing: this.#ending.signal,
      joined: (group, membership) => offsets.joined(this.#groupName(group), membership),
      track: (close) => {
        this.#readers.add(close)
        return () => void this.#readers.delete(close)
      },
    }
  }

  #groupName(group: string): string {
    return group === storeGroup ? this.#options.group : `${this.#options.group}.${group}`
  }

  /** One map for all the records of a schema: the client makes none of its own then. */
  #headersOf(schema: string, own: RecordHeaders | undefined): Map<Buffer, Buffer> {
    let headers = this.#headers.get(schema)
    if (headers === undefined) {
      headers = new Map([[schemaHeader, Buffer.from(schema)]])
      this.#headers.set(schema, headers)
    }
    if (own === undefined) return headers
    const entries = Object.entries(own)
    return new Map([
      ...headers,
      ...entries.map(([name, text]) => [Buffer.from(name), Buffer.from(text)] as const),
    ])
  }

  #decode(record: KafkaRecord, offset: Offset, timestamp: number): LogRecord {
    const framed = this.#framing.unwrap(record.value ?? emptyValue)
    const header = record.headers.find(([name]) => name?.equals(schemaHeader))?.[1]
    const schema = header?.toString('latin1') ?? framed.schema ?? this.#plain
    const decoded = { key: keyOf(record), value: framed.value, schema, offset, timestamp }
    const headers = ownHeaders(record)
    return headers === undefined ? decoded : { ...decoded, headers }
  }

  async #checkLeaders(): Promise<void> {
    const { name, inSyncMin } = this.#kafkaTopic
    try {
      const metadata = await this.#admin.metadata({ topics: [name], forceUpdate: true, retries: 0 })
      const partitions = metadata.topics.get(name)?.partitions ?? []
      for (const [partition, { leader, isr }] of partitions.entries()) {
        if (leader >= 0 && isr.length >= inSyncMin) continue
        const has = `partition ${partition} of ${name} has ${isr.length} of ${inSyncMin} replicas in sync`
        throw new MillraceError('log_unavailable', leader < 0 ? `${has} and no leader` : has)
      }
    } catch (thrown) {
      throw toLogError(thrown)
    }
  }

  #refuseWhenClosed(): void {
    if (this.#closing !== undefined) throw new MillraceError('log_unavailable', 'it is closed')
  }
}

const emptyValue = Buffer.alloc(0)

function keyOf({ key }: KafkaRecord): string {
  return key === null ? '' : key.toString()
}

/** Those of ours beside the schema's; undefined when there are none. */
function ownHeaders({ headers }: KafkaRecord): RecordHeaders | undefined {
  let own: Record<string, string> | undefined
  for (const [name, value] of headers) {
    if (!name?.subarray(0, headerPrefix.length).equals(headerPrefix)) continue
    if (value === null || value === undefined || name.equals(schemaHeader)) continue
    own ??= {}
    own[name.toString()] = value.toString()
  }
  return own
}

function decodeSchema(record: KafkaRecord, offset: Offset): LogRecord {
  return { key: keyOf(record), value: record.value ?? emptyValue, schema: '', offset }
}
