import { isMillraceError, MillraceError } from '../event/error.ts'
import { toError } from '../lib/assert.ts'
import type { Clock } from '../lib/clock.ts'
import { backoffMs, waitMs } from '../lib/retry.ts'
import type { Log, LogBatch, Offset } from '../log/log.ts'
import { storeGroup } from '../log/log.ts'
import type { DeadLetter, Row, Store, WriteBatch } from '../store/store.ts'
import { lostRange, rejectedRequest, unreadableRecord } from './dead-letter.ts'
import type { ForeignRecords } from './foreign.ts'
import { createRecordReader, type RecordReader, rowOf } from './row.ts'
import { createWriter, type WriterOptions, type Written } from './writer.ts'

/**
 * Reads the log from where the store stands, decodes, writes rows and position together, then
 * commits. The store's position is the truth; the commit serves lag and retention.
 */

export interface ConsumeOptions extends WriterOptions {
  readonly drainTimeoutMs: number
  /** Go on with a log that the store does not know, although it holds rows of another. */
  readonly acceptLog?: boolean
  /** Go on after records that the log lost, and keep the loss as a dead letter. */
  readonly acceptGap?: boolean
}

export interface ConsumeParts {
  readonly events: Log
  readonly rejected: Log
  readonly store: Store
  readonly clock: Clock
  /** How records of the topic `events` are read whose schema is not ours. */
  readonly foreign?: ForeignRecords | undefined
  /** Told of every failed write and read, which is tried again. */
  readonly onRetry?: (error: Error, attempt: number) => void
  /** Told of every write. */
  readonly onWritten?: (written: Written) => void
}

/** A running consumer. */
export interface Consumer {
  /** What holds it up now, or null while it stores. */
  readonly trouble: () => Error | null
  /** Resolves after `stop`; rejects when it cannot go on (`log_gap`, `log_unknown`, a damaged log). */
  readonly done: Promise<void>
  /** Stores what is on the log, for at most `drainTimeoutMs`, then ends. */
  stop(): Promise<void>
}

/**
 * Starts to consume both topics.
 * @throws MillraceError `log_unknown` when the store was filled from another log
 */
export async function openConsumer(
  options: ConsumeOptions,
  parts: ConsumeParts,
): Promise<Consumer> {
  const { events, rejected } = parts
  for (const log of [events, rejected]) await checkLogIsKnown(log, parts.store, options)
  const ending = new AbortController()
  const troubles = new Map<Log, Error>()
  const run = (log: Log, toBatch: ToBatch): Promise<void> =>
    consumeTopic({ log, toBatch, options, parts, signal: ending.signal, troubles })
  const done = Promise.all([run(events, rowBatch), run(rejected, rejectionBatch)]).then(() => {})
  // Whoever awaits `done` gets the error; nobody awaiting it yet must not end the process.
  done.catch(() => ending.abort())
  return {
    trouble: () => [...troubles.values()][0] ?? null,
    done,
    async stop() {
      await Promise.race([
        Promise.all([drained(events, ending.signal), drained(rejected, ending.signal)]),
        waitMs(options.drainTimeoutMs, ending.signal),
        // Where nobody knows how much is left, it waits on the log.
      ]).catch(() => {})
      ending.abort()
      await done.catch(() => {})
    },
  }
}

async function drained(log: Log, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const lags = await log.lag(storeGroup)
    if (lags.every(({ lag }) => lag === 0)) return
    await waitMs(20, signal)
  }
}

async function checkLogIsKnown(log: Log, store: Store, options: ConsumeOptions): Promise<void> {
  const known = await store.logs(log.topic)
  if (known.length === 0 || known.includes(log.identity) || options.acceptLog === true) return
  throw new MillraceError('log_unknown', `${log.identity} instead of ${known.join(', ')}`)
}

/** What one topic's records become. */
type ToBatch = (reader: RecordReader, batch: LogBatch, now: number) => Omit<WriteBatch, 'positions'>

/** Rows of the topic `events`; one that cannot be read becomes a dead letter, its neighbours rows. */
export const rowBatch: ToBatch = (reader, { partition, records }, now) => {
  const rows: Row[] = []
  const deadLetters: DeadLetter[] = []
  for (const record of records) {
    try {
      rows.push(rowOf(reader, partition, record))
    } catch (thrown) {
      deadLetters.push(unreadableRecord(reader.position(partition, record), record, thrown, now))
    }
  }
  return { rows, deadLetters }
}

/** Dead letters of the topic `rejected`. */
export const rejectionBatch: ToBatch = (reader, { partition, records }, now) => ({
  rows: [],
  deadLetters: records.map((record) => rejectedRequest(reader, partition, record, now)),
})

interface TopicRun {
  readonly log: Log
  readonly toBatch: ToBatch
  readonly options: ConsumeOptions
  readonly parts: ConsumeParts
  readonly signal: AbortSignal
  readonly troubles: Map<Log, Error>
}

/** What trying again can't mend. */
const finalCodes = ['log_gap', 'log_unknown', 'log_corrupt', 'log_version'] as const

/**
 * Consumes one topic. A log that can't be read now (no file descriptor is left, a disk has a bad
 * moment) is waited for like a store that is away, and read again from where the store stands.
 */
async function consumeTopic(run: TopicRun): Promise<void> {
  const { log, options, parts, signal, troubles } = run
  const backoff = { initialMs: options.retryInitialMs, maxMs: options.retryMaxMs }
  let attempt = 0
  for (;;) {
    const startedAt = performance.now()
    try {
      if (attempt > 0) {
        await log.lag(storeGroup)
        troubles.delete(log)
      }
      await readAndStore(run)
      return
    } catch (thrown) {
      if (isMillraceError(thrown, ...finalCodes)) throw thrown
      if (signal.aborted) return
      attempt = performance.now() - startedAt > options.retryMaxMs ? 1 : attempt + 1
      const error = toError(thrown)
      troubles.set(log, error)
      parts.onRetry?.(error, attempt)
      await waitMs(backoffMs(attempt, backoff), signal)
    }
  }
}

/** Decodes the next batch while the one before is being written: two cores, two batches in memory. */
async function readAndStore(run: TopicRun): Promise<void> {
  const { log, options, parts, troubles } = run
  const failed = new AbortController()
  const signal = AbortSignal.any([run.signal, failed.signal])
  const reader = createRecordReader(log, parts.foreign)
  const { batchRecords: recordsMax } = options
  const from = startOf(run)
  const writer = createWriter(options, {
    log,
    store: parts.store,
    signal: run.signal,
    onRetry(error, attempt) {
      troubles.set(log, error)
      parts.onRetry?.(error, attempt)
    },
    onWritten(written) {
      troubles.delete(log)
      parts.onWritten?.(written)
    },
    onFailure: () => failed.abort(),
  })
  try {
    for await (const batch of log.read({ group: storeGroup, recordsMax, from, signal })) {
      await reader.prepare(batch.records)
      if (!(await writer.add(batch, run.toBatch(reader, batch, parts.clock())))) return
    }
  } finally {
    // Also when reading failed: whoever goes on asks the store for its position.
    await writer.end()
  }
}

type From = (partition: number) => Promise<Offset | undefined>

/** Where the store stands in each partition, checked against what the log still holds. */
function startOf({ log, options, parts }: TopicRun): From {
  return async (partition) => {
    // Asked anew for each: another consumer may have had the partition until now.
    const offset = (await parts.store.positions(log.identity, log.topic)).get(partition)
    if (offset === undefined) return
    const range = (await log.partitions()).find((candidate) => candidate.partition === partition)
    if (range === undefined || (offset >= range.first && offset <= range.next)) {
      // Whoever stored this may have ended, or lost the partition, before it was committed; where
      // nothing comes any more, the log would seem unread for ever.
      await log.commit(storeGroup, partition, offset as Offset)
      return offset as Offset
    }
    const ahead = offset > range.next
    const lost = ahead
      ? `the store has read partition ${partition} up to ${offset}, the log ends at ${range.next}`
      : `offsets ${offset} to ${range.first - 1} of partition ${partition}`
    if (options.acceptGap !== true) throw new MillraceError('log_gap', lost)
    const from = { log: log.identity, topic: log.topic, partition, offset }
    // A log that is behind the store may have given the offsets between to other records: all that
    // it holds is read again, and what is stored already stays as it is.
    await parts.store.write({
      rows: [],
      deadLetters: ahead ? [] : [lostRange(from, range.first, parts.clock())],
      positions: [{ ...from, offset: range.first }],
      setsBack: ahead,
    })
    return range.first
  }
}

/** The rows of a log as they are appended from now on, for whoever follows along without a group. */
export async function* tailRows(
  log: Log,
  signal: AbortSignal,
  foreign?: ForeignRecords,
): AsyncIterable<Row> {
  const reader = createRecordReader(log, foreign)
  for await (const batch of log.read({ from: async () => 'end', recordsMax: 500, signal })) {
    await reader.prepare(batch.records)
    yield* rowBatch(reader, batch, 0).rows
  }
}
