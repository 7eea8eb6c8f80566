import type { Clock } from '../lib/clock.ts'
import type { Log, Offset } from '../log/log.ts'
import type { Store } from '../store/store.ts'
import { rejectionBatch, rowBatch } from './consume.ts'
import type { ForeignRecords } from './foreign.ts'
import { createRecordReader } from './row.ts'
import { type WriteOptions, writeUntilStored } from './write.ts'

export interface ReplayOptions extends WriteOptions {
  /** The offset to begin at in each partition, or the oldest record kept. */
  readonly from: 'earliest' | number
  /** Records in one write. */
  readonly batchRecords: number
  readonly signal: AbortSignal
  /** How records are read whose schema is not ours. */
  readonly foreign?: ForeignRecords | undefined
}

export interface ReplayProgress {
  readonly topic: string
  /** Records read so far and records that the topic held at the start. */
  readonly read: number
  readonly total: number
}

export interface ReplayResult {
  readonly read: number
  readonly total: number
  /** False when it was stopped before the end. */
  readonly complete: boolean
}

/**
 * Reads a log again and writes what it says, without moving the store's position: what is stored
 * already stays as it is, what is missing comes back.
 */
export async function replayLog(
  log: Log,
  store: Store,
  clock: Clock,
  options: ReplayOptions,
  onProgress: (progress: ReplayProgress) => void = () => {},
): Promise<ReplayResult> {
  const reader = createRecordReader(log, options.foreign)
  const toBatch = log.topic === 'rejected' ? rejectionBatch : rowBatch
  const begin = (first: number): number =>
    options.from === 'earliest' ? first : Math.max(first, options.from)
  const ranges = await log.partitions()
  const total = ranges.reduce((sum, range) => sum + Math.max(0, range.next - begin(range.first)), 0)
  const starts = new Map(
    ranges.map((range) => [range.partition, Math.min(begin(range.first), range.next)]),
  )
  const { signal, batchRecords } = options
  let read = 0
  const from = async (partition: number): Promise<Offset | undefined> =>
    starts.get(partition) as Offset | undefined
  for await (const batch of log.read({ from, recordsMax: batchRecords, untilEnd: true, signal })) {
    await reader.prepare(batch.records)
    const written = { ...toBatch(reader, batch, clock()), positions: [] }
    if (!(await writeUntilStored(store, written, { ...options, onRetry: () => {} }))) break
    read += batch.records.length
    onProgress({ topic: log.topic, read, total })
  }
  return { read, total, complete: read >= total }
}
