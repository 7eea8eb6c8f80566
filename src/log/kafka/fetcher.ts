import { Consumer, type KafkaRecord, type RecordsBatch } from '@platformatic/kafka'
import { MillraceError } from '../../event/error.ts'
import { backoffMs, waitMs } from '../../lib/retry.ts'
import type { LogBatch, LogRecord, Offset } from '../log.ts'
import { clientOptions, hasError, type KafkaConnection, toLogError } from './client.ts'

/** What to fetch from. */
export interface FetcherOptions {
  readonly connection: KafkaConnection
  readonly topic: string
  /** Of the topic when the log was opened: one that was deleted and made anew has another. */
  readonly topicId: string
  /** @param timestamp ms since 1970, as Kafka keeps it */
  readonly decode: (record: KafkaRecord, offset: Offset, timestamp: number) => LogRecord
}

/** Fetched records of one partition that nobody has taken yet; offsets are contiguous. */
interface Piece {
  readonly partition: number
  records: LogRecord[]
}

type FetchResponse = Awaited<ReturnType<Consumer['fetch']>>

/** How long a broker may hold a fetch back while there is nothing. */
const waitTimeMs = 500
/**
 * Of one broker's answer, unpacked: with the number of brokers this bounds the memory. Kafka counts
 * packed bytes, so what is asked for follows how large they became in the last answer: five times as
 * large for the events of many people, a hundred times for those of a test that are all alike.
 */
const unpackedBytesMax = 2 * 1024 * 1024
const askedBytesMin = 64 * 1024
const askedBytesMax = 1024 * 1024
/** What a partition may have of an answer. */
const partitionShare = 0.25
/** Before there was an answer. */
const expansionAtFirst = 8
const retryBackoff = { initialMs: 50, maxMs: 1_000 }
/** Bit 5 of a batch's attributes: it holds markers of a transaction, not records. */
const controlBit = 0x20
/** Bit 3: the time is the broker's, for the whole batch. */
const appendTimeBit = 0x08

/**
 * Fetches the partitions that it was told to, from their leaders. It asks a broker again only when
 * what came from that broker was taken, so a slow reader holds back the brokers, not the memory. It
 * uses the client's request and not its stream: offsets, errors and partitions that come and go are
 * then ours to decide on, and there is no stream that dies with a broker.
 */
export class Fetcher {
  readonly #options: FetcherOptions
  readonly #client: Consumer
  /** Where the next fetch of a partition begins. */
  readonly #positions = new Map<number, number>()
  readonly #pieces: Piece[] = []
  readonly #underWay = new Map<number, Promise<void>>()
  /** How many times larger the last answer became by unpacking. */
  #expansion = expansionAtFirst
  #failure: unknown
  #failedSince: number | undefined
  #attempt = 0

  constructor(options: FetcherOptions) {
    this.#options = options
    this.#client = new Consumer({
      ...clientOptions(options.connection),
      // It joins no group: a fetch that waits would hold up the heartbeats behind it.
      groupId: 'millrace-fetch',
      retries: 0,
      timeout: waitTimeMs + options.connection.timeoutMs,
    })
    this.#client.on('error', () => {})
    this.#client.topics.track(options.topic)
  }

  get partitions(): readonly number[] {
    return [...this.#positions.keys()]
  }

  /** Where a partition is read up to, as far as records were taken. */
  position(partition: number): number | undefined {
    const waiting = this.#pieces.find((piece) => piece.partition === partition)
    return waiting?.records[0]?.offset ?? this.#positions.get(partition)
  }

  start(partition: number, offset: number): void {
    this.stop(partition)
    this.#positions.set(partition, offset)
  }

  /** Forgets a partition and what was fetched of it. */
  stop(partition: number): void {
    this.#positions.delete(partition)
    for (let index = this.#pieces.length - 1; index >= 0; index--) {
      if (this.#pieces[index]?.partition === partition) this.#pieces.splice(index, 1)
    }
  }

  /**
   * The next batch, or undefined when there is none for the time being (at most half a second), so
   * that the caller can look at what else has changed. Short failures are tried again in here.
   * @throws MillraceError `log_gap`, `log_topic`, and `log_unavailable` after `timeoutMs` of failures
   */
  async next(recordsMax: number, interrupted: Promise<unknown>): Promise<LogBatch | undefined> {
    if (this.#pieces.length === 0) await this.#fetch(interrupted)
    if (this.#failure !== undefined) await this.#recover(interrupted)
    const piece = this.#pieces[0]
    if (piece === undefined) return
    const { partition } = piece
    const records = piece.records.splice(0, recordsMax)
    if (piece.records.length === 0) this.#pieces.shift()
    const last = records.at(-1) as LogRecord
    return { partition, records, nextOffset: (last.offset + 1) as Offset }
  }

  async close(): Promise<void> {
    this.#positions.clear()
    this.#pieces.length = 0
    await this.#client.close(true).catch(() => {})
  }

  /** Asks every broker that is not asked yet, and waits for the first answer. */
  async #fetch(interrupted: Promise<unknown>): Promise<void> {
    const { topic } = this.#options
    try {
      const metadata = await this.#client.metadata({ topics: [topic] })
      const byLeader = new Map<number, number[]>()
      for (const partition of this.#positions.keys()) {
        const leader = metadata.topics.get(topic)?.partitions[partition]?.leader ?? -1
        if (leader < 0) throw new MillraceError('log_unavailable', `${partition} has no leader`)
        byLeader.set(leader, [...(byLeader.get(leader) ?? []), partition])
      }
      for (const [leader, partitions] of byLeader) this.#ask(leader, partitions)
    } catch (thrown) {
      this.#failure = thrown
      return
    }
    const idle = this.#underWay.size === 0 ? waitMs(waitTimeMs) : undefined
    await Promise.race([...this.#underWay.values(), interrupted, ...(idle ? [idle] : [])])
  }

  #ask(leader: number, partitions: readonly number[]): void {
    if (this.#underWay.has(leader)) return
    const asked = new Map(partitions.map((one) => [one, this.#positions.get(one) as number]))
    const wanted = unpackedBytesMax / this.#expansion
    const maxBytes = Math.round(Math.min(askedBytesMax, Math.max(askedBytesMin, wanted)))
    const partitionBytesMax = Math.round(maxBytes * partitionShare)
    const fetching = this.#client
      .fetch({
        node: leader,
        minBytes: 1,
        maxBytes,
        maxWaitTime: waitTimeMs,
        topics: [
          { topicId: this.#options.topicId, partitions: requestOf(asked, partitionBytesMax) },
        ],
      })
      .then((response) => {
        this.#take(response, asked)
        this.#failedSince = undefined
        this.#attempt = 0
      })
      .catch((thrown: unknown) => {
        this.#failure = thrown
      })
      .finally(() => this.#underWay.delete(leader))
    this.#underWay.set(leader, fetching)
  }

  #take({ responses }: FetchResponse, asked: ReadonlyMap<number, number>): void {
    const sizes = { packed: 0, unpacked: 0 }
    for (const { partitionIndex: partition, records } of responses.flatMap(
      (one) => one.partitions,
    )) {
      const from = asked.get(partition)
      // In the meantime it may have been taken away, or begun anew elsewhere.
      if (from === undefined || this.#positions.get(partition) !== from) continue
      let position = from
      for (const batch of records ?? []) {
        position = this.#takeBatch(batch, partition, position)
        sizes.packed += batch.length
        sizes.unpacked += unpackedBytesOf(batch)
      }
      // Whose records came is asked for last: a broker fills its answer in the order of the request.
      if (position !== from) this.#positions.delete(partition)
      this.#positions.set(partition, position)
    }
    if (sizes.packed > 0) this.#expansion = Math.max(1, sizes.unpacked / sizes.packed)
  }

  /** Returns where to go on. A batch may begin before what was asked for. */
  #takeBatch(batch: RecordsBatch, partition: number, from: number): number {
    const first = Number(batch.firstOffset)
    const next = first + batch.lastOffsetDelta + 1
    if ((batch.attributes & controlBit) === 0) {
      for (const record of batch.records) {
        const offset = (first + record.offsetDelta) as Offset
        if (offset < from) continue
        this.#push(partition, this.#options.decode(record, offset, timestampOf(batch, record)))
      }
    }
    return Math.max(from, next)
  }

  /** Compaction and the markers of transactions leave gaps: a piece ends before one. */
  #push(partition: number, record: LogRecord): void {
    const last = this.#pieces.at(-1)
    const before = last?.records.at(-1)
    if (last?.partition === partition && before?.offset === record.offset - 1) {
      last.records.push(record)
    } else {
      this.#pieces.push({ partition, records: [record] })
    }
  }

  async #recover(interrupted: Promise<unknown>): Promise<void> {
    const failure = this.#failure
    this.#failure = undefined
    if (hasError(failure, 'apiId', 'OFFSET_OUT_OF_RANGE')) {
      const at = [...this.#positions].map(([partition, offset]) => `${offset} of ${partition}`)
      throw new MillraceError('log_gap', `the topic does not have offset ${at.join(', ')} any more`)
    }
    if (
      ['UNKNOWN_TOPIC_ID', 'INCONSISTENT_TOPIC_ID'].some((id) => hasError(failure, 'apiId', id))
    ) {
      throw new MillraceError('log_topic', `${this.#options.topic} was deleted or made anew`)
    }
    this.#client.clearMetadata()
    const error = toLogError(failure)
    this.#failedSince ??= performance.now()
    const isOver = performance.now() - this.#failedSince > this.#options.connection.timeoutMs
    if (isOver || error.code !== 'log_unavailable') throw error
    await Promise.race([waitMs(backoffMs(++this.#attempt, retryBackoff)), interrupted])
  }
}

/** With `LogAppendTime` all records of a batch have one time, which the broker set. */
function timestampOf(batch: RecordsBatch, { timestampDelta }: KafkaRecord): number {
  if ((batch.attributes & appendTimeBit) !== 0) return Number(batch.maxTimestamp)
  return Number(batch.firstTimestamp + timestampDelta)
}

function unpackedBytesOf({ records }: RecordsBatch): number {
  return records.reduce((sum, { length }) => sum + length, 0)
}

function requestOf(positions: ReadonlyMap<number, number>, partitionMaxBytes: number) {
  return [...positions].map(([partition, offset]) => ({
    partition,
    fetchOffset: BigInt(offset),
    currentLeaderEpoch: -1,
    lastFetchedEpoch: -1,
    partitionMaxBytes,
  }))
}
