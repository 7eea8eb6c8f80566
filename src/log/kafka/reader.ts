import { MillraceError } from '../../event/error.ts'
import type { LogBatch, Offset, PartitionRange, ReadOptions } from '../log.ts'
import { Fetcher, type FetcherOptions } from './fetcher.ts'
import { Membership, type MembershipOptions } from './membership.ts'

/** What a reader reads. */
export interface ReaderSource extends FetcherOptions {
  readonly sessionTimeoutMs: number
  readonly ranges: () => Promise<readonly PartitionRange[]>
  /** The group's name in Kafka. */
  readonly groupName: (group: string) => string
  /** Aborts when the log is closed. */
  readonly closing: AbortSignal
  /** Told of a reader's membership, which is the only right to commit while a group has members. */
  readonly joined: (group: string, membership: Membership) => () => void
  /** Told how to end a reader that nobody asks any more. */
  readonly track: (close: () => Promise<void>) => () => void
}

/**
 * See `Log.read`. With a group, the partitions are those that Kafka gives to this reader; `from` is
 * asked whenever one is met that this reader did not have just before.
 */
export async function* readTopic(
  source: ReaderSource,
  options: ReadOptions,
): AsyncGenerator<LogBatch, void, undefined> {
  const signal = AbortSignal.any([source.closing, ...(options.signal ? [options.signal] : [])])
  if (signal.aborted) return
  const reader = new Reader(source, options, signal)
  const untrack = source.track(() => reader.close())
  try {
    yield* reader.batches()
  } catch (thrown) {
    if (!signal.aborted) throw thrown
  } finally {
    untrack()
    await reader.close()
  }
}

class Reader {
  readonly #source: ReaderSource
  readonly #options: ReadOptions
  readonly #signal: AbortSignal
  readonly #fetcher: Fetcher
  readonly #membership: Membership | undefined
  #leave = (): void => {}
  #interruption = Promise.withResolvers<void>()
  #member: string | null = null
  #closing: Promise<void> | undefined

  constructor(source: ReaderSource, options: ReadOptions, signal: AbortSignal) {
    this.#source = source
    this.#options = options
    this.#signal = signal
    this.#fetcher = new Fetcher(source)
    signal.addEventListener('abort', this.#interrupt)
    if (options.group === undefined) return
    const { connection, topic, sessionTimeoutMs, groupName } = source
    const group: MembershipOptions = {
      connection,
      topic,
      sessionTimeoutMs,
      group: groupName(options.group),
    }
    this.#membership = new Membership(group, this.#interrupt)
    this.#leave = source.joined(options.group, this.#membership)
  }

  async *batches(): AsyncGenerator<LogBatch, void, undefined> {
    const { recordsMax, untilEnd } = this.#options
    // Before anything else: 'end' and `untilEnd` mean what there is now.
    const ranges = await this.#source.ranges()
    const ends = new Map(ranges.map(({ partition, next }) => [partition, next]))
    while (!this.#signal.aborted) {
      await this.#membership?.join(this.#signal)
      this.#interruption = Promise.withResolvers<void>()
      await this.#followAssignment(ends)
      if (untilEnd === true && this.#isRead(ends)) return
      const batch = await this.#fetcher.next(recordsMax, this.#interruption.promise)
      if (this.#signal.aborted) return
      const wanted = untilEnd === true ? upTo(batch, ends) : batch
      if (wanted !== undefined && this.#isOurs(wanted.partition)) yield wanted
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#signal.removeEventListener('abort', this.#interrupt)
    this.#interrupt()
    this.#leave()
    await Promise.all([this.#fetcher.close(), this.#membership?.close()])
  }

  readonly #interrupt = (): void => this.#interruption.resolve()

  #isOurs(partition: number): boolean {
    return this.#membership?.assigned.includes(partition) ?? true
  }

  /** Goes on with what we have, begins what is new, forgets what was taken away. */
  async #followAssignment(ends: Map<number, Offset>): Promise<void> {
    const member = this.#membership?.member ?? null
    const had = new Set(this.#member === member ? this.#fetcher.partitions : [])
    this.#member = member
    const have = new Set(this.#membership?.assigned ?? ends.keys())
    for (const partition of this.#fetcher.partitions) {
      if (!have.has(partition)) this.#fetcher.stop(partition)
    }
    for (const partition of have) {
      if (!had.has(partition)) this.#fetcher.start(partition, await this.#startOf(partition, ends))
    }
  }

  async #startOf(partition: number, ends: ReadonlyMap<number, Offset>): Promise<Offset> {
    const from = await this.#options.from(partition)
    if (from === 'end') return ends.get(partition) ?? (0 as Offset)
    const range = (await this.#source.ranges()).find((one) => one.partition === partition)
    const first = range?.first ?? (0 as Offset)
    if (from === undefined) return first
    if (from < first) {
      const lost = `offsets ${from} to ${first - 1} of partition ${partition}`
      throw new MillraceError('log_gap', lost)
    }
    return from
  }

  #isRead(ends: ReadonlyMap<number, Offset>): boolean {
    return this.#fetcher.partitions.every((partition) => {
      return (this.#fetcher.position(partition) ?? 0) >= (ends.get(partition) ?? 0)
    })
  }
}

/** The part of a batch that lies before the partition's end. */
function upTo(batch: LogBatch | undefined, ends: ReadonlyMap<number, Offset>) {
  if (batch === undefined) return
  const end = ends.get(batch.partition) ?? (0 as Offset)
  if (batch.nextOffset <= end) return batch
  const records = batch.records.filter(({ offset }) => offset < end)
  return records.length === 0 ? undefined : { ...batch, records, nextOffset: end }
}
