import { join } from 'node:path'
import { MillraceError } from '../../event/error.ts'
import type { Offset, PartitionRange } from '../log.ts'
import { type Block, checkBlock, decodeBlock, decodeBlockHead } from './block.ts'
import type { Environment } from './environment.ts'
import {
  blockAt,
  blockBefore,
  listSegments,
  newestBlock,
  openSegment,
  type SegmentSettings,
} from './segment.ts'
import type { PartitionWriter } from './writer.ts'

/** One partition as this log sees it, whoever writes it. */
export class Partition {
  readonly number: number
  readonly folder: string
  readonly #settings: SegmentSettings
  /** Set while this log owns the partition. */
  writer: PartitionWriter | undefined
  /** The newest segment of a partition that others write, kept open to ask for its end. */
  #newest: { readonly first: Offset; readonly segment: Environment } | undefined

  constructor(topicFolder: string, number: number, settings: SegmentSettings) {
    this.number = number
    this.folder = join(topicFolder, String(number))
    this.#settings = settings
  }

  /** What the partition holds now. */
  async range(): Promise<PartitionRange> {
    const segments = await listSegments(this.folder)
    const first = segments[0] ?? (0 as Offset)
    const next = this.writer?.next ?? (await this.#end(segments.at(-1)))
    return { partition: this.number, first, next }
  }

  /** Reads from `next`; the reader must close what it gets. */
  blocksFrom(next: Offset): BlockReader {
    return new BlockReader(this, this.#settings, next)
  }

  async close(): Promise<void> {
    const newest = this.#newest
    this.#newest = undefined
    await newest?.segment.close()
  }

  async #end(newest: Offset | undefined): Promise<Offset> {
    if (newest === undefined) return 0 as Offset
    if (this.#newest?.first !== newest) {
      const segment = await openSegment(this.folder, newest, this.#settings)
      if (segment === undefined) return newest
      await this.close()
      this.#newest = { first: newest, segment }
    }
    return (await newestBlock(this.#newest.segment))?.end ?? newest
  }
}

/** Walks through a partition, block by block. */
export class BlockReader {
  readonly #partition: Partition
  readonly #settings: SegmentSettings
  #next: Offset
  /** The segment that `#next` lies in, once it is open. */
  #segment: Environment | undefined
  /** True until a block has been found: `#next` may lie within one. */
  #unaligned = true
  /** The first offsets of the segment that is open, and of the last one read to its seal. */
  #opened: Offset | undefined
  #finished: Offset | undefined
  #leaveTail: (() => void) | undefined
  #closed = false

  constructor(partition: Partition, settings: SegmentSettings, next: Offset) {
    this.#partition = partition
    this.#settings = settings
    this.#next = next
  }

  /**
   * The block that holds the next record, and moves on to the one after it; undefined at the end.
   * @throws MillraceError `log_gap`, `log_corrupt`, `log_version`
   */
  async take(): Promise<Block | undefined> {
    const { writer } = this.#partition
    if (writer !== undefined) {
      this.#leaveTail ??= writer.tail.join()
      if (this.#next >= writer.next) return undefined
      const kept = writer.tail.blockAt(this.#next)
      if (kept !== undefined) {
        // The file is looked for anew when the tail no longer reaches back far enough.
        await this.#leaveSegment()
        return this.#moveTo(decodeBlock(kept, writer.folder))
      }
    }
    return this.#takeFromFile()
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#leaveTail?.()
    this.#leaveTail = undefined
    await this.#leaveSegment()
  }

  async #takeFromFile(): Promise<Block | undefined> {
    // A segment may end with a block that only seals it; then the next one is asked.
    for (;;) {
      this.#segment ??= await this.#openSegment()
      const segment = this.#segment
      if (segment === undefined) return undefined
      if (this.#closed) {
        await this.#leaveSegment()
        return undefined
      }
      const bytes = await this.#find(segment)
      if (bytes === undefined) return undefined
      const head = decodeBlockHead(bytes, segment.path)
      if (head.sealed) {
        this.#finished = this.#opened
        await this.#leaveSegment()
      }
      if (head.end > this.#next) return this.#moveTo(decodeBlock(bytes, segment.path))
      this.#unaligned = head.end < this.#next
      if (!head.sealed) return undefined
    }
  }

  async #find(segment: Environment): Promise<Buffer | undefined> {
    const next = this.#next
    const bytes = await segment.use(
      (database) =>
        blockAt(database, next) ?? (this.#unaligned ? blockBefore(database, next) : undefined),
    )
    if (bytes === undefined) return undefined
    segment.touched(bytes.byteLength)
    const { first } = decodeBlockHead(bytes, segment.path)
    checkBlock(bytes, this.#unaligned ? first : next, segment.path)
    return bytes
  }

  #moveTo(block: Block): Block {
    this.#next = block.end
    this.#unaligned = false
    return block
  }

  async #openSegment(): Promise<Environment | undefined> {
    const { folder, number } = this.#partition
    const segments = await listSegments(folder)
    const first = segments.findLast((candidate) => candidate <= this.#next)
    // After a seal the next segment may not be there yet.
    if (first !== undefined && first === this.#finished) return undefined
    if (first !== undefined) {
      this.#opened = first
      const segment = await openSegment(folder, first, this.#settings)
      const isNewest = first === segments.at(-1)
      if (segment !== undefined || isNewest) return segment
    }
    if (segments.length === 0) return undefined
    const [oldest = 0] = await listSegments(folder)
    if (oldest > this.#next) throw gap(number, this.#next, oldest)
    throw new MillraceError('log_corrupt', `${folder} has nothing at offset ${this.#next}`)
  }

  async #leaveSegment(): Promise<void> {
    const segment = this.#segment
    this.#segment = undefined
    await segment?.close()
  }
}

/** The error for a reader that asks for what is no longer kept. */
export function gap(partition: number, from: number, first: number): MillraceError {
  return new MillraceError(
    'log_gap',
    `partition ${partition} begins at offset ${first}; ${from} to ${first - 1} are lost`,
  )
}
