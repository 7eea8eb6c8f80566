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
  /** Shortest time between two writes that are not full. */
  readonly writeIntervalMs: number
}

export interface WriterParts {
  readonly log: Log
  readonly store: Store
  readonly signal: AbortSignal
  readonly onRetry: (error: Error, attempt: number) => void
  /** Told after every write. */
  readonly onStored: () => void
  /** Told when a write cannot go on at all. */
  readonly onFailure: () => void
}

/** What is gathered for the next write. */
interface Gathered {
  rows: Row[]
  deadLetters: DeadLetter[]
  readonly nextOffsets: Map<number, Offset>
  records: number
}

export function createWriter(options: WriterOptions, parts: WriterParts): Writer {
  const { log, store, signal, onRetry } = parts
  let next = nothing()
  let writing: Promise<boolean> | undefined
  /** After a write that failed for good nothing may follow: its position would skip the failed one. */
  let failure: Error | undefined
  /** Ends the rest between two writes early. */
  let full = new AbortController()

  function isFull(): boolean {
    return next.records >= options.batchRecords
  }

  async function writeAll(): Promise<boolean> {
    while (next.records > 0) {
      const startedAt = performance.now()
      const { rows, deadLetters, nextOffsets } = next
      next = nothing()
      full = new AbortController()
      const positions = [...nextOffsets].map(([partition, offset]) => {
        return { log: log.identity, topic: log.topic, partition, offset }
      })
      const batch = { rows, deadLetters, positions }
      if (!(await writeUntilStored(store, batch, { ...options, signal, onRetry }))) return false
      parts.onStored()
      for (const { partition, offset } of positions) {
        await log.commit(storeGroup, partition, offset as Offset)
      }
      const restMs = startedAt + options.writeIntervalMs - performance.now()
      if (restMs > 0 && !isFull()) await waitMs(restMs, AbortSignal.any([signal, full.signal]))
    }
    return true
  }

  function startWriting(): void {
    if (writing !== undefined || failure !== undefined) return
    const run = writeAll().finally(() => {
      writing = undefined
    })
    writing = run
    run.then(
      // What was gathered between its last look and its end.
      (goesOn) => goesOn && next.records > 0 && startWriting(),
      // The reader may wait long for a next batch: a write that cannot go on must not wait with it.
      (thrown) => {
        failure = toError(thrown)
        parts.onFailure()
      },
    )
  }

  async function wait(until: () => boolean): Promise<boolean> {
    while (writing !== undefined && !until()) if (!(await writing)) return false
    if (failure !== undefined) throw failure
    return !signal.aborted
  }

  return {
    async add({ partition, nextOffset, records }, { rows, deadLetters }) {
      next.rows = next.rows.length === 0 ? [...rows] : next.rows.concat(rows)
      next.deadLetters = next.deadLetters.concat(deadLetters)
      next.nextOffsets.set(partition, nextOffset)
      // A piece without records moves the position all the same.
      next.records += Math.max(1, records.length)
      if (isFull()) full.abort()
      startWriting()
      return wait(() => !isFull())
    },
    async end() {
      await wait(() => false)
    },
  }
}

function nothing(): Gathered {
  return { rows: [], deadLetters: [], nextOffsets: new Map(), records: 0 }
}
