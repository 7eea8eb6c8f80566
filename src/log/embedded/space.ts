import { readdirSync, statfsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { MillraceError } from '../../event/error.ts'
import { isAbsent } from './failure.ts'

/** How often the disk is asked; between two looks the bytes appended are added up. */
const lookMs = 250

export interface SpaceSettings {
  readonly maxBytes: number
  readonly diskReserveBytes: number
}

/** Decides whether a topic may grow. */
export class Space {
  readonly #folder: string
  readonly #settings: SpaceSettings
  /** Frees what may go until the topic has less than this many bytes. */
  readonly #free: (bytesMax: number) => Promise<number>
  #lookedAt = Number.NEGATIVE_INFINITY
  #topicBytes = 0
  #diskBytes = Number.POSITIVE_INFINITY
  #wasFull = false
  #look: Promise<void> | undefined

  constructor(
    folder: string,
    settings: SpaceSettings,
    free: (bytesMax: number) => Promise<number>,
  ) {
    this.#folder = folder
    this.#settings = settings
    this.#free = free
  }

  /**
   * Resolves when there is room for so many bytes more.
   * @throws MillraceError `log_full`
   */
  async admit(bytes: number): Promise<void> {
    const { maxBytes, diskReserveBytes } = this.#settings
    // What has filled up since the last look by counting alone is looked at before it is refused.
    const filled = !this.#wasFull && this.#isFull()
    if (filled || performance.now() - this.#lookedAt >= lookMs) {
      this.#look ??= this.#lookAgain().finally(() => {
        this.#look = undefined
      })
      await this.#look
    }
    if (this.#topicBytes >= maxBytes) {
      const detail = `${this.#folder} has ${this.#topicBytes} bytes of at most ${maxBytes}`
      throw new MillraceError('log_full', detail)
    }
    if (this.#diskBytes < diskReserveBytes) {
      const detail = `the disk of ${this.#folder} has ${this.#diskBytes} bytes free, below the reserve of ${diskReserveBytes}`
      throw new MillraceError('log_full', detail)
    }
    this.#topicBytes += bytes
    this.#diskBytes -= bytes
  }

  async #lookAgain(): Promise<void> {
    this.#measure()
    if (this.#isFull()) {
      const { maxBytes, diskReserveBytes } = this.#settings
      // What was read already must not keep out what is new, whichever of the two limits is met.
      const missing = Math.max(0, diskReserveBytes - this.#diskBytes)
      const bytesMax = missing === 0 ? maxBytes : Math.min(maxBytes, this.#topicBytes - missing)
      if ((await this.#free(bytesMax)) > 0) this.#measure()
    }
    this.#wasFull = this.#isFull()
    this.#lookedAt = performance.now()
  }

  #isFull(): boolean {
    const { maxBytes, diskReserveBytes } = this.#settings
    return this.#topicBytes >= maxBytes || this.#diskBytes < diskReserveBytes
  }

  /** Synchronous: a few dozen stat calls of 2 µs each, four times a second at most. */
  #measure(): void {
    this.#topicBytes = topicBytes(this.#folder)
    const { bavail, bsize } = statfsSync(this.#folder)
    this.#diskBytes = bavail * bsize
  }
}

/** The bytes of all segments of a topic. */
export function topicBytes(topicFolder: string): number {
  let bytes = 0
  for (const entry of readdirSync(topicFolder, { withFileTypes: true })) {
    if (!entry.isDirectory() || !/^\d+$/.test(entry.name)) continue
    const folder = join(topicFolder, entry.name)
    for (const name of readdirSync(folder)) {
      if (name.endsWith('.mdb')) bytes += fileBytes(join(folder, name))
    }
  }
  return bytes
}

/** The size of a file, 0 when it is gone. */
export function fileBytes(path: string): number {
  try {
    return statSync(path).size
  } catch (thrown) {
    if (isAbsent(thrown)) return 0
    throw thrown
  }
}
