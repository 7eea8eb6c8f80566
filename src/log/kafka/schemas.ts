import { fingerprintOf } from '../../event/schema.ts'
import type { Appender } from './appender.ts'
import { type ReaderSource, readTopic } from './reader.ts'

/**
 * Schemas by fingerprint, in a compacted topic of one partition:
 *
 *     key FINGERPRINT   value TEXT
 *
 * They are as durable as the records that need them and travel with a copy of the cluster. A writer
 * may add a schema at any time, so one that is unknown is looked for again in what came since.
 */
export class SchemaTopic {
  readonly #topic: string
  readonly #source: ReaderSource
  readonly #appender: Appender
  readonly #texts = new Map<string, string>()
  #next = 0
  #reading: Promise<void> | undefined

  constructor(topic: string, source: ReaderSource, appender: Appender) {
    this.#topic = topic
    this.#source = source
    this.#appender = appender
  }

  /** Returns the fingerprint. */
  async add(text: string): Promise<string> {
    const fingerprint = fingerprintOf(text)
    if ((await this.get(fingerprint)) !== undefined) return fingerprint
    const message = { topic: this.#topic, key: Buffer.from(fingerprint), value: Buffer.from(text) }
    await this.#appender.append([message])
    this.#texts.set(fingerprint, text)
    return fingerprint
  }

  async get(fingerprint: string): Promise<string | undefined> {
    const known = this.#texts.get(fingerprint)
    if (known !== undefined) return known
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined
    })
    await this.#reading
    return this.#texts.get(fingerprint)
  }

  async #read(): Promise<void> {
    const [range] = await this.#source.ranges()
    if (range === undefined || range.next <= this.#next) return
    const from = async () => Math.max(range.first, this.#next) as typeof range.first
    for await (const batch of readTopic(this.#source, {
      from,
      recordsMax: 1_000,
      untilEnd: true,
    })) {
      for (const { key, value } of batch.records) {
        // What somebody else put there under a key of ours must not pass for a schema.
        const text = Buffer.from(value).toString()
        if (fingerprintOf(text) === key) this.#texts.set(key, text)
      }
      this.#next = batch.nextOffset
    }
    this.#next = range.next
  }
}
