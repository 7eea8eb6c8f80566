import type { Offset } from '../log.ts'

interface TailBlock {
  readonly first: Offset
  readonly end: Offset
  readonly block: Buffer
}

/** Memory for blocks that readers in the same process have not asked for yet. */
const tailBytesMax = 4 * 1024 * 1024

/**
 * The newest durable blocks of a partition, so that a reader in the writer's process that keeps up
 * reads nothing from the file: mapped pages count as the process's memory once they are touched.
 */
export class Tail {
  #blocks: TailBlock[] = []
  #bytes = 0
  #readers = 0

  /** Keeps a block, if there is a reader at all. */
  add(first: Offset, end: Offset, block: Buffer): void {
    if (this.#readers === 0) return
    this.#blocks.push({ first, end, block })
    this.#bytes += block.byteLength
    while (this.#bytes > tailBytesMax) this.#bytes -= this.#blocks.shift()?.block.byteLength ?? 0
  }

  /** The block that begins at `first`, if it is kept. */
  blockAt(first: Offset): Buffer | undefined {
    const oldest = this.#blocks[0]
    if (oldest === undefined || first < oldest.first) return undefined
    // A reader that keeps up wants the last block or one of the few before it.
    for (let index = this.#blocks.length - 1; index >= 0; index--) {
      const block = this.#blocks[index] as TailBlock
      if (block.first === first) return block.block
      if (block.end <= first) return undefined
    }
    return undefined
  }

  /** Says that a reader has come, or gone; without any nothing is kept. */
  join(): () => void {
    this.#readers++
    return () => {
      this.#readers--
      if (this.#readers > 0) return
      this.#blocks = []
      this.#bytes = 0
    }
  }
}
