import { MillraceError } from '../../event/error.ts'
import { secondMs } from '../../lib/clock.ts'
import type { LogBatch, LogRecord, Offset, ReadOptions } from '../log.ts'
import { type BlockReader, gap, type Partition } from './partition.ts'
import type { Signal } from './signal.ts'

/** How often a reader that has nothing to do looks at what other processes write. */
const pollMs = 50
/** How often a reader looks for partitions that are new. */
const discoverMs = secondMs
/** A batch takes no further block once its blocks have this many bytes. */
const batchBytesMax = 8 * 1024 * 1024

/** What a reader needs of its log. */
export interface ReaderSource {
  readonly isClosed: () => boolean
  /** Every partition that exists now. */
  readonly partitions: () => Promise<readonly Partition[]>
  /** Changes when the log itself has made a partition, which need not wait to be discovered. */
  readonly generation: () => number
  /** Set off by each append of this log, and by its close. */
  readonly appended: Signal
  /** Called with what the reader holds, so that the log can close it; returns how to say that it is done. */
  readonly track: (close: () => Promise<void>) => () => void
}

/** See `Log.read`. */
export async function* readLog(
  source: ReaderSource,
  options: ReadOptions,
): AsyncGenerator<LogBatch> {
  const cursors: Cursor[] = []
  const closeCursors = async () => {
    for (const cursor of cursors) await cursor.close()
  }
  const untrack = source.track(closeCursors)
  const isOver = () => source.isClosed() || options.signal?.aborted === true
  try {
    let discoverAt = 0
    let generation = -1
    let turn = 0
    while (!isOver()) {
      const mark = source.appended.mark()
      const isFirst = generation === -1
      const isDue = generation !== source.generation() || performance.now() >= discoverAt
      if (isDue && (isFirst || options.untilEnd !== true)) {
        generation = source.generation()
        await discover(source, cursors, options, isFirst)
        discoverAt = performance.now() + discoverMs
      }
      const batch = await nextBatch(cursors, turn, options.recordsMax)
      if (isOver()) break
      if (batch !== undefined) {
        turn = cursors.findIndex(({ partition }) => partition.number === batch.partition) + 1
        yield batch
        continue
      }
      if (options.untilEnd === true) return
      const foreign = cursors.some(({ partition }) => partition.writer === undefined)
      await source.appended.wait(mark, foreign ? pollMs : discoverMs, options.signal)
    }
  } catch (thrown) {
    // Closing the log takes the files away from a reader in the middle of its look.
    if (!isOver()) throw thrown
  } finally {
    untrack()
    await closeCursors()
  }
}

/** Adds a cursor for each partition that has none. */
async function discover(
  source: ReaderSource,
  cursors: Cursor[],
  options: ReadOptions,
  isFirst: boolean,
): Promise<void> {
  for (const partition of await source.partitions()) {
    if (cursors.some((cursor) => cursor.partition === partition)) continue
    const from = await options.from(partition.number)
    const range = await partition.range()
    // A partition that came after the reading began had its end at its beginning then.
    const end = isFirst ? range.next : range.first
    const start = from === 'end' ? end : (from ?? range.first)
    if (start < range.first) throw gap(partition.number, start, range.first)
    if (start > range.next) {
      const detail = `partition ${partition.number} ends at offset ${range.next}, before ${start}, which was read from it once`
      throw new MillraceError('log_corrupt', detail)
    }
    const until = options.untilEnd === true ? range.next : Number.MAX_SAFE_INTEGER
    cursors.push(new Cursor(partition, start, until as Offset))
  }
}

/** One batch of the first cursor that has any, the one at `turn` being asked first. */
async function nextBatch(
  cursors: readonly Cursor[],
  turn: number,
  recordsMax: number,
): Promise<LogBatch | undefined> {
  for (let index = 0; index < cursors.length; index++) {
    const batch = await cursors[(turn + index) % cursors.length]?.take(recordsMax)
    if (batch !== undefined) return batch
  }
  return undefined
}

/** A place in one partition, with the records of a block that a batch had no room for. */
class Cursor {
  readonly partition: Partition
  readonly #blocks: BlockReader
  readonly #end: Offset
  #next: Offset
  #left: readonly LogRecord[] = []

  constructor(partition: Partition, start: Offset, end: Offset) {
    this.partition = partition
    this.#blocks = partition.blocksFrom(start)
    this.#next = start
    this.#end = end
  }

  async take(recordsMax: number): Promise<LogBatch | undefined> {
    let records: readonly LogRecord[] = []
    let bytes = 0
    while (records.length < recordsMax && this.#next < this.#end && bytes < batchBytesMax) {
      if (this.#left.length === 0) {
        const block = await this.#blocks.take()
        if (block === undefined) break
        this.#left = block.records.slice(this.#next - block.first)
      }
      const room = Math.min(recordsMax - records.length, this.#end - this.#next)
      const taken = this.#left.length <= room ? this.#left : this.#left.slice(0, room)
      this.#left = taken === this.#left ? [] : this.#left.slice(room)
      records = records.length === 0 ? taken : records.concat(taken)
      for (const { value } of taken) bytes += value.byteLength
      this.#next = (this.#next + taken.length) as Offset
    }
    if (records.length === 0) return undefined
    return { partition: this.partition.number, records, nextOffset: this.#next }
  }

  async close(): Promise<void> {
    this.#left = []
    await this.#blocks.close()
  }
}
