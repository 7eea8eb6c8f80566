import { statSync } from 'node:fs'
import { join } from 'node:path'
import { MillraceError } from '../../event/error.ts'
import type { Clock } from '../../lib/clock.ts'
import type { AppendRecord, Offset } from '../log.ts'
import { blockBytesOf, encodeBlock } from './block.ts'
import type { Environment } from './environment.ts'
import { commitReason, unwritable } from './failure.ts'
import { trim } from './header.ts'
import type { Ownership } from './ownership.ts'
import {
  listSegments,
  newestBlock,
  oldestBlock,
  openSegment,
  openSegmentForWriting,
  putBlock,
  putProbe,
  removeLeftovers,
  type SegmentSettings,
  segmentPath,
} from './segment.ts'
import { Tail } from './tail.ts'

export interface WriterSettings extends SegmentSettings {
  readonly syncIntervalMs: number
  readonly clock: Clock
  /** Called before each commit with about the bytes it takes; rejects when there is no room. */
  readonly admit: (bytes: number) => Promise<void>
  /** Called after each commit. */
  readonly appended: () => void
}

/** Records that share a commit. One promise is enough for all the callers of `append`. */
interface Group {
  readonly records: AppendRecord[]
  bytes: number
  readonly done: PromiseWithResolvers<void>
}

/** A larger group gains nothing and makes its readers copy more at once. */
const groupBytesMax = 4 * 1024 * 1024
const pageBytes = 4096

/** Appends to the one partition that this log owns: the only one who writes and rolls there. */
export class PartitionWriter {
  readonly ownership: Ownership
  readonly folder: string
  /** The newest blocks, for readers in this process. */
  readonly tail = new Tail()
  readonly #settings: WriterSettings
  readonly #waiting: Group[] = []
  #segment: Environment
  #segmentBytes: number
  #next: Offset
  /** The segment has had its last block: another is begun before the next commit. */
  #sealed: boolean
  /** A write failed, so what is on disk is not known until it has been read again. */
  #doubtful = false
  #failure: MillraceError | undefined
  #lost = false
  #committing = false
  #scheduled: NodeJS.Timeout | NodeJS.Immediate | undefined
  #commitStartedAt = 0
  #idle = Promise.withResolvers<void>()

  private constructor(
    folder: string,
    ownership: Ownership,
    settings: WriterSettings,
    state: SegmentState,
  ) {
    this.folder = folder
    this.ownership = ownership
    this.#settings = settings
    this.#segment = state.segment
    this.#next = state.next
    this.#sealed = state.sealed
    this.#segmentBytes = statSync(state.segment.path).size
  }

  /**
   * Finds the end of the partition, mending what a crash left: a segment that is sealed without a
   * next one, or a newest one that is half made.
   * @throws MillraceError `log_corrupt`, `log_version`, `log_unwritable`
   */
  static async open(
    topicFolder: string,
    ownership: Ownership,
    settings: WriterSettings,
  ): Promise<PartitionWriter> {
    const folder = join(topicFolder, String(ownership.partition))
    await removeLeftovers(folder)
    const segments = await listSegments(folder)
    const newest = segments.at(-1) ?? (0 as Offset)
    const segment = await openSegmentForWriting(folder, newest, settings)
    try {
      const state = await stateOf(segment, newest)
      if (state.next === newest) await checkSealed(folder, segments.at(-2), newest, settings)
      return new PartitionWriter(folder, ownership, settings, state)
    } catch (thrown) {
      await segment.close()
      throw thrown
    }
  }

  /** The offset after the newest durable record. */
  get next(): Offset {
    return this.#next
  }

  /** True once another process has taken the partition; then this writer is of no more use. */
  get lost(): boolean {
    return this.#lost
  }

  /** See `Log.append`. */
  append(records: readonly AppendRecord[]): Promise<void> {
    let group = this.#waiting.at(-1)
    if (group === undefined || group.bytes >= groupBytesMax) {
      group = { records: [], bytes: 0, done: Promise.withResolvers() }
      this.#waiting.push(group)
    }
    for (const record of records) {
      group.records.push(record)
      group.bytes += blockBytesOf(record)
    }
    if (this.#scheduled === undefined && !this.#committing) this.#schedule()
    return group.done.promise
  }

  /** Rejects with what the next append would, asking the disk if the last one failed. */
  async check(): Promise<void> {
    if (this.#failure === undefined) return
    await this.#alone(async () => {
      await this.#prepare()
      await putProbe(this.#segment, this.#settings.clock())
    })
    this.#failure = undefined
  }

  /** Seals the segment if its oldest record is older than `before`, so that retention can free it. */
  async rollIfOlder(before: number): Promise<void> {
    await this.#alone(async () => {
      await this.#prepare()
      const oldest = await oldestBlock(this.#segment)
      if (oldest === undefined || oldest.appendedAt >= before) return
      const seal = encodeBlock([], this.#next, this.#settings.clock(), true)
      await this.#put(seal, 0, true)
      await this.#prepare()
    })
  }

  /** Waits for what was appended, then lets go of the segment and of the partition. */
  async close(): Promise<void> {
    while (this.#waiting.length > 0 || this.#committing) await this.#idle.promise
    await this.#segment.close()
    await this.ownership.release()
  }

  /** Under load two commits start at least the interval apart; after a pause one starts at once. */
  #schedule(): void {
    const front = this.#waiting[0]
    if (front === undefined) return
    const passed = performance.now() - this.#commitStartedAt
    const wait = front.bytes >= groupBytesMax ? 0 : this.#settings.syncIntervalMs - passed
    const start = () => {
      this.#scheduled = undefined
      void this.#commitFront()
    }
    // Not in this very turn: requests that came together share the commit.
    this.#scheduled = wait > 0 ? setTimeout(start, wait) : setImmediate(start)
  }

  async #commitFront(): Promise<void> {
    const group = this.#waiting.shift()
    if (group === undefined || this.#committing) {
      if (group !== undefined) this.#waiting.unshift(group)
      return
    }
    this.#committing = true
    this.#commitStartedAt = performance.now()
    try {
      await this.#commit(group)
      group.done.resolve()
    } catch (thrown) {
      group.done.reject(thrown)
    }
    this.#finish()
  }

  /** Runs `action` while no commit is under way, as if it were one. */
  async #alone(action: () => Promise<void>): Promise<void> {
    while (this.#committing) await this.#idle.promise
    this.#committing = true
    try {
      await action()
    } catch (thrown) {
      throw await this.#failed(thrown)
    } finally {
      this.#finish()
    }
  }

  #finish(): void {
    this.#committing = false
    const idle = this.#idle
    this.#idle = Promise.withResolvers()
    idle.resolve()
    if (this.#waiting.length > 0 && this.#scheduled === undefined) this.#schedule()
  }

  async #commit(group: Group): Promise<void> {
    const { clock, segmentBytes, admit, appended } = this.#settings
    await admit(group.bytes)
    try {
      await this.#prepare()
      const bytes = pagesOf(group.bytes)
      const seal = this.#segmentBytes + bytes >= segmentBytes
      const block = encodeBlock(group.records, this.#next, clock(), seal)
      await this.#put(block, group.records.length, seal)
    } catch (thrown) {
      throw await this.#failed(thrown)
    }
    this.#failure = undefined
    appended()
  }

  async #put(block: Buffer, count: number, seal: boolean): Promise<void> {
    const first = this.#next
    if (!(await putBlock(this.#segment, first, block))) {
      const path = this.#segment.path
      throw new MillraceError(
        'log_locked',
        `another process has written offset ${first} of ${path}`,
      )
    }
    this.#next = (first + count) as Offset
    this.#sealed = seal
    this.#segmentBytes += pagesOf(block.byteLength)
    if (count > 0) this.tail.add(first, this.#next, block)
  }

  /** Makes the segment ready for a block. */
  async #prepare(): Promise<void> {
    if (this.#doubtful) await this.#recover()
    if (!this.#sealed) return
    const next = await openSegmentForWriting(this.folder, this.#next, this.#settings)
    const full = this.#segment
    this.#segment = next
    this.#segmentBytes = 0
    this.#sealed = false
    trim(full.path)
    await full.close()
  }

  /**
   * After a failure: the file, opened anew, says what is in it. A group whose commit failed may be
   * there nevertheless; then its offsets are taken. If it is not, no reader has seen it, and
   * its offsets and pages are written again by the next commit.
   */
  async #recover(): Promise<void> {
    if (!this.ownership.isHeld()) {
      this.#lost = true
      throw new MillraceError('log_locked', `${this.folder} was taken by another process`)
    }
    const last = await newestBlock(this.#segment)
    if (last !== undefined) {
      this.#next = last.end
      this.#sealed = last.sealed
    }
    this.#doubtful = false
  }

  async #failed(thrown: unknown): Promise<MillraceError> {
    this.#doubtful = true
    const reason = await commitReason(thrown)
    await this.#segment.reopen().catch(() => undefined)
    this.#failure = unwritable(this.#segment.path, reason)
    return this.#failure
  }
}

interface SegmentState {
  readonly segment: Environment
  readonly next: Offset
  readonly sealed: boolean
}

async function stateOf(segment: Environment, first: Offset): Promise<SegmentState> {
  const last = await newestBlock(segment)
  return { segment, next: last?.end ?? first, sealed: last?.sealed ?? false }
}

/** An empty segment continues the one before it, which then must end where this one begins. */
async function checkSealed(
  folder: string,
  previous: Offset | undefined,
  newest: Offset,
  settings: SegmentSettings,
): Promise<void> {
  if (previous === undefined) return
  const segment = await openSegment(folder, previous, settings)
  try {
    const last = segment && (await newestBlock(segment))
    if (last?.sealed === true && last.end === newest) return
    const path = segmentPath(folder, previous)
    throw new MillraceError('log_corrupt', `${path} does not lead to offset ${newest}`)
  } finally {
    await segment?.close()
  }
}

function pagesOf(bytes: number): number {
  return Math.ceil((bytes + 16) / pageBytes) * pageBytes
}
