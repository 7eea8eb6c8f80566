import { toError } from '../lib/assert.ts'
import { waitMs } from '../lib/retry.ts'
import type { Log, LogBatch, Offset } from '../log/log.ts'
import { storeGroup } from '../log/log.ts'
import type { DeadLetter, Row, Store, WriteBatch } from '../store/store.ts'
import { type WriteOptions, writeUntilStored } from './write.ts'

/**
 * Writes what the reader of one topic hands on, one write after the other. While one is under way,
 * what is read meanwhile is gathered for the next: a log that gives its records in small pieces, as
 * Kafka does for each partition, is written in batches all the same.
 */
export interface Writer {
  /**
   * Takes a decoded batch; resolves when the next one may be read. False: nothing more is written,
   * as `signal` has aborted.
   */
  add(batch: LogBatch, decoded: Omit<WriteBatch, 'positions'>): Promise<boolean>
  /**
   * Resolves when all that was taken is written, or nothing more is.
   * @throws whatever a write failed with that cannot be tried again
   */
  end(): Promise<void>
}

export interface WriterOptions extends WriteOptions {
  /** As many records are written at once, and some more where the last piece was large. */
  readonly batchRecords: number
  /** As many bytes of records likewise: what bounds the memory where they are large. */
  readonly batchBytes: number
  /** Shortest time between two writes that are not full. */
  readonly writeIntervalMs: number
}

/** One write that is durable. */
export interface Written {
  readonly rows: number
  readonly deadLetters: number
  /** From its first try to its end. */
  readonly seconds: number
}

export interface WriterParts {
  readonly log: Log
  readonly store: Store
  readonly signal: AbortSignal
  readonly onRetry: (error: Error, attempt: number) => void
  /** Told after every write. */
  readonly onWritten: (written: Written) => void
  /** Told when a write cannot go on at all. */
  readonly onFailure: () => void
}

/** What is gathered for the next write. */
interface Gathered {
  rows: Row[]
  deadLetters: DeadLetter[]
  readonly nextOffsets: Map<number, Offset>
  records: number
  /** Of the records' values. */
  bytes: number
}

export function createWriter(options: WriterOptions, parts: WriterParts): Writer {
  return new GatheringWriter(options, parts)
}

class GatheringWriter implements Writer {
  readonly #options: WriterOptions
  readonly #parts: WriterParts
  #next = nothing()
  #writing: Promise<boolean> | undefined
  /** After a write that failed for good nothing may follow: its position would skip the failed one. */
  #failure: Error | undefined
  /** Ends the rest between two writes early. */
  #full = new AbortController()
  /** Resolves when what is gathered is taken for a write. */
  #taken = Promise.withResolvers<boolean>()

  constructor(options: WriterOptions, parts: WriterParts) {
    this.#options = options
    this.#parts = parts
  }

  add: Writer['add'] = async ({ partition, nextOffset, records }, { rows, deadLetters }) => {
    const next = this.#next
    next.rows = next.rows.concat(rows)
    next.deadLetters = next.deadLetters.concat(deadLetters)
    next.nextOffsets.set(partition, nextOffset)
    // A piece without records moves the position all the same.
    next.records += Math.max(1, records.length)
    for (const { value } of records) next.bytes += value.byteLength
    if (this.#isFull()) this.#full.abort()
    this.#startWriting()
    return this.#waitUntil(() => !this.#isFull())
  }

  end: Writer['end'] = async () => {
    await this.#waitUntil(() => false)
  }

  #isFull(): boolean {
    const { records, bytes } = this.#next
    return records >= this.#options.batchRecords || bytes >= this.#options.batchBytes
  }

  #startWriting(): void {
    if (this.#writing !== undefined || this.#failure !== undefined) return
    const run = this.#writeAll().finally(() => {
      this.#writing = undefined
    })
    this.#writing = run
    run.then(
      // What was gathered between its last look and its end.
      (goesOn) => goesOn && this.#next.records > 0 && this.#startWriting(),
      // The reader may wait long for a next batch: a write that cannot go on must not wait with it.
      (thrown) => {
        this.#failure = toError(thrown)
        this.#parts.onFailure()
      },
    )
  }

  /** Writes and commits until nothing is gathered; false when `signal` came first. */
  async #writeAll(): Promise<boolean> {
    const { log, signal, onWritten } = this.#parts
    while (this.#next.records > 0) {
      const startedAt = performance.now()
      const gathered = this.#next
      this.#next = nothing()
      this.#full = new AbortController()
      this.#taken.resolve(true)
      this.#taken = Promise.withResolvers()
      if (!(await this.#write(gathered))) return false
      onWritten({
        rows: gathered.rows.length,
        deadLetters: gathered.deadLetters.length,
        seconds: (performance.now() - startedAt) / 1_000,
      })
      for (const [partition, offset] of gathered.nextOffsets) {
        await log.commit(storeGroup, partition, offset)
      }
      const restMs = startedAt + this.#options.writeIntervalMs - performance.now()
      if (restMs > 0 && !this.#isFull()) {
        await waitMs(restMs, AbortSignal.any([signal, this.#full.signal]))
      }
    }
    return true
  }

  #write({ rows, deadLetters, nextOffsets }: Gathered): Promise<boolean> {
    const { log, store, signal, onRetry } = this.#parts
    const positions = [...nextOffsets].map(([partition, offset]) => {
      return { log: log.identity, topic: log.topic, partition, offset }
    })
    const batch = { rows, deadLetters, positions }
    return writeUntilStored(store, batch, { ...this.#options, signal, onRetry })
  }

  async #waitUntil(isReady: () => boolean): Promise<boolean> {
    while (this.#writing !== undefined && !isReady()) {
      if (!(await Promise.race([this.#writing, this.#taken.promise]))) return false
    }
    if (this.#failure !== undefined) throw this.#failure
    return !this.#parts.signal.aborted
  }
}

function nothing(): Gathered {
  return { rows: [], deadLetters: [], nextOffsets: new Map(), records: 0, bytes: 0 }
}
