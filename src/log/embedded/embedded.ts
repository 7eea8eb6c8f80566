import { join } from 'node:path'
import { MillraceError } from '../../event/error.ts'
import { type Clock, systemClock } from '../../lib/clock.ts'
import type {
  AppendRecord,
  Log,
  LogBatch,
  Offset,
  PartitionLag,
  PartitionRange,
  ReadOptions,
} from '../log.ts'
import { unwritable } from './failure.ts'
import { Groups } from './groups.ts'
import { describeOwner, renewMs, takeNumbered, takePartition } from './ownership.ts'
import { Partition } from './partition.ts'
import { readLog } from './reader.ts'
import { freeSegments, segmentAgeMs } from './retention.ts'
import { Signal } from './signal.ts'
import { Space } from './space.ts'
import { listPartitions, openTopic, Schemas } from './topic.ts'
import { PartitionWriter, type WriterSettings } from './writer.ts'

/** How to open an embedded log. */
export interface EmbeddedLogOptions {
  /** The folder of all topics; it is made if need be. */
  readonly folder: string
  readonly topic: string
  readonly retentionDays: number
  readonly maxBytes: number
  readonly segmentBytes: number
  /** ms; default 4. */
  readonly syncIntervalMs?: number
  /** Default 0: the disk may be filled. */
  readonly diskReserveBytes?: number
  /** Take a partition at once, not at the first append, so that what is wrong shows at start. */
  readonly write?: boolean
  /** Change nothing in the folder, not even consumer offsets. The log must exist. */
  readonly readOnly?: boolean
  readonly clock?: Clock
  /**
   * False breaks the promise of `append`: nothing is synced. It exists so that a test can show
   * that the check for syncs would notice.
   */
  readonly sync?: boolean
}

type Settings = Required<EmbeddedLogOptions>

/**
 * Opens a topic's log in a folder of this machine, on LMDB:
 *
 *     FOLDER/TOPIC/log.json                          format, identity
 *     FOLDER/TOPIC/schemas/FINGERPRINT.avsc
 *     FOLDER/TOPIC/groups.mdb                        what consumer groups have committed
 *     FOLDER/TOPIC/PARTITION/lock                    who writes this partition
 *     FOLDER/TOPIC/PARTITION/FIRST-OFFSET.mdb        a segment; see block.ts for what is in it
 *
 * Any number of processes may read; each that writes has a partition of its own.
 * @throws MillraceError `log_version`, `log_corrupt`, `log_unwritable`, `log_locked`
 */
export async function openEmbeddedLog(options: EmbeddedLogOptions): Promise<Log> {
  const settings: Settings = {
    syncIntervalMs: 4,
    diskReserveBytes: 0,
    write: false,
    readOnly: false,
    clock: systemClock,
    sync: true,
    ...options,
  }
  const folder = join(settings.folder, settings.topic)
  const { identity } = await openTopic(folder, settings.topic, !settings.readOnly)
  const groups = await Groups.open(folder, !settings.readOnly, settings.sync)
  const log = new EmbeddedLog(folder, identity, groups, settings)
  try {
    if (settings.write) await log.takePartition()
    return log
  } catch (thrown) {
    await log.close()
    throw thrown
  }
}

class EmbeddedLog implements Log {
  readonly topic: string
  readonly identity: string
  readonly #folder: string
  readonly #settings: Settings
  readonly #groups: Groups
  readonly #schemas: Schemas
  readonly #space: Space
  readonly #owner = describeOwner()
  readonly #appended = new Signal()
  readonly #partitions = new Map<number, Partition>()
  readonly #readers = new Set<() => Promise<void>>()
  /** Appends that wait for a partition to be taken. */
  readonly #early = new Set<Promise<void>>()
  #generation = 0
  #writer: PartitionWriter | undefined
  #taking: Promise<PartitionWriter> | undefined
  #renewing: NodeJS.Timeout | undefined
  #retaining: Promise<unknown> = Promise.resolve()
  #closing: Promise<void> | undefined

  constructor(folder: string, identity: string, groups: Groups, settings: Settings) {
    this.topic = settings.topic
    this.identity = identity
    this.#folder = folder
    this.#settings = settings
    this.#groups = groups
    this.#schemas = new Schemas(folder)
    this.#space = new Space(folder, settings, (bytesMax) => this.#free(bytesMax))
  }

  append(records: readonly AppendRecord[]): Promise<void> {
    if (records.length === 0) return Promise.resolve()
    const writer = this.#writer
    if (writer !== undefined && this.#closing === undefined && !writer.lost) {
      return writer.append(records)
    }
    const appending = this.takePartition().then((taken) => taken.append(records))
    const settled = appending.then(noop, noop).then(() => void this.#early.delete(settled))
    this.#early.add(settled)
    return appending
  }

  async check(): Promise<void> {
    const writer = await this.takePartition()
    await this.#space.admit(0)
    await writer.check()
  }

  read(options: ReadOptions): AsyncIterable<LogBatch> {
    const source = {
      isClosed: () => this.#closing !== undefined,
      partitions: () => this.#knownPartitions(),
      generation: () => this.#generation,
      appended: this.#appended,
      track: (close: () => Promise<void>) => {
        this.#readers.add(close)
        return () => void this.#readers.delete(close)
      },
    }
    return readLog(source, options)
  }

  async partitions(): Promise<readonly PartitionRange[]> {
    this.#refuseWhenClosed()
    const ranges: PartitionRange[] = []
    for (const partition of await this.#knownPartitions()) ranges.push(await partition.range())
    return ranges
  }

  async commit(group: string, partition: number, nextOffset: Offset): Promise<void> {
    this.#refuseWhenClosed()
    await this.#groups.commit(group, partition, nextOffset)
  }

  async lag(group: string): Promise<readonly PartitionLag[]> {
    const lags: PartitionLag[] = []
    for (const { partition, first, next } of await this.partitions()) {
      const committed = (await this.#groups.committed(group, partition)) ?? first
      lags.push({ partition, committed, next, lag: Math.max(0, next - committed) })
    }
    return lags
  }

  async addSchema(text: string): Promise<void> {
    this.#refuseWhenClosed()
    if (this.#settings.readOnly) throw this.#readOnlyError()
    await this.#schemas.add(text)
  }

  schema(fingerprint: string): Promise<string | undefined> {
    return this.#schemas.get(fingerprint)
  }

  retain(now: number): Promise<number> {
    this.#refuseWhenClosed()
    const retained = this.#retaining.then(() => this.#retain(now))
    this.#retaining = retained.catch(() => undefined)
    return retained
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** The writer of this log's partition, which is taken now if there is none yet. */
  async takePartition(): Promise<PartitionWriter> {
    this.#refuseWhenClosed()
    if (this.#settings.readOnly) throw this.#readOnlyError()
    if (this.#writer?.lost === true) await this.#letGo()
    if (this.#writer !== undefined) return this.#writer
    this.#taking ??= this.#take().finally(() => {
      this.#taking = undefined
    })
    return this.#taking
  }

  async #take(): Promise<PartitionWriter> {
    const exclusively = <T>(action: () => T) => this.#groups.exclusively(action)
    const ownership = await takePartition(this.#folder, this.#owner, exclusively)
    try {
      const writer = await PartitionWriter.open(this.#folder, ownership, this.#writerSettings())
      this.#partition(ownership.partition).writer = writer
      this.#writer = writer
      this.#generation++
      this.#renewing = setInterval(() => void ownership.renew().catch(() => undefined), renewMs)
      this.#renewing.unref()
      return writer
    } catch (thrown) {
      await ownership.release()
      throw unwritable(this.#folder, thrown)
    }
  }

  async #letGo(): Promise<void> {
    const writer = this.#writer
    if (writer === undefined) return
    this.#writer = undefined
    clearInterval(this.#renewing)
    await writer.close()
    this.#partition(writer.ownership.partition).writer = undefined
  }

  #writerSettings(): WriterSettings {
    const { segmentBytes, syncIntervalMs, clock, sync } = this.#settings
    return {
      segmentBytes,
      syncIntervalMs,
      clock,
      sync,
      admit: (bytes) => this.#space.admit(bytes),
      appended: () => this.#appended.set(),
    }
  }

  /** Ours, and for the time being those whose owner is dead: nobody else would look after them. */
  async #retain(now: number): Promise<number> {
    if (this.#settings.readOnly) throw this.#readOnlyError()
    const before = now - segmentAgeMs(this.#settings.retentionDays)
    const adopted: PartitionWriter[] = []
    const partitions: Partition[] = []
    const failures: unknown[] = []
    const note = (thrown: unknown) => void failures.push(thrown)
    for (const partition of await this.#knownPartitions()) {
      const writer = partition.writer ?? (await this.#adopt(partition.number).catch(note))
      if (writer === undefined) continue
      if (partition.writer === undefined) adopted.push(writer)
      partitions.push(partition)
      const isDone = (await this.#isDone(writer).catch(note)) === true
      await writer.rollIfOlder(isDone ? Number.POSITIVE_INFINITY : before).catch(note)
    }
    // A disk that is full lets nothing be sealed, but what is sealed already can still be freed.
    const freeing = freeSegments(this.#folder, partitions, this.#groups, this.#settings, now)
    const freed = await freeing.catch(note)
    for (const writer of adopted) await writer.close().catch(note)
    if (failures.length > 0) throw unwritable(this.#folder, failures[0])
    return freed ?? 0
  }

  async #adopt(partition: number): Promise<PartitionWriter | undefined> {
    const owner = describeOwner()
    const exclusively = <T>(action: () => T) => this.#groups.exclusively(action)
    const ownership = await takeNumbered(this.#folder, partition, owner, exclusively)
    if (ownership === undefined) return undefined
    try {
      return await PartitionWriter.open(this.#folder, ownership, this.#writerSettings())
    } catch (thrown) {
      await ownership.release()
      throw thrown
    }
  }

  /** What an append that finds the log full can do: free read segments of its own partition. */
  async #free(maxBytes: number): Promise<number> {
    const own = [...this.#partitions.values()].filter(({ writer }) => writer !== undefined)
    const settings = { ...this.#settings, maxBytes }
    return freeSegments(this.#folder, own, this.#groups, settings, settings.clock())
  }

  /** Whether nothing in it is wanted any more: without a retention, what has been read need not get old. */
  async #isDone({ next, ownership }: PartitionWriter): Promise<boolean> {
    if (this.#settings.retentionDays > 0) return false
    return (await this.#groups.leastCommitted(ownership.partition)) >= next
  }

  async #knownPartitions(): Promise<Partition[]> {
    const numbers = await listPartitions(this.#folder)
    return numbers.map((number) => this.#partition(number))
  }

  #partition(number: number): Partition {
    let partition = this.#partitions.get(number)
    if (partition === undefined) {
      partition = new Partition(this.#folder, number, this.#settings)
      this.#partitions.set(number, partition)
    }
    return partition
  }

  async #close(): Promise<void> {
    // Set in the same turn by `close`, so that nothing new begins.
    await Promise.resolve()
    this.#appended.set()
    await this.#taking?.catch(noop)
    await Promise.all(this.#early)
    await this.#retaining
    await this.#letGo()
    for (const closeReader of [...this.#readers]) await closeReader()
    for (const partition of this.#partitions.values()) await partition.close()
    await this.#groups.close()
  }

  #refuseWhenClosed(): void {
    if (this.#closing !== undefined) {
      throw new MillraceError('log_unwritable', `${this.#folder} is closed`)
    }
  }

  #readOnlyError(): MillraceError {
    return new MillraceError('log_unwritable', `${this.#folder} is open to read only`)
  }
}

function noop(): void {}
