import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { MillraceError } from '../../event/error.ts'
import { type Offset, storeGroup } from '../log.ts'
import { type Environment, openEnvironment } from './environment.ts'
import { commitReason, unwritable } from './failure.ts'

const mapBytes = 1024 * 1024
const aheadBytes = 128 * 1024
const offsetBytes = 8
/** More than any write here takes. */
const writeBytes = 4096

/**
 * The offsets that consumer groups have committed, in an LMDB file of their own: key
 * `GROUP NUL PARTITION`, value a float64. `GROUP NUL` alone says that the group exists.
 */
export class Groups {
  readonly #environment: Environment | undefined
  readonly #path: string
  readonly #writable: boolean
  /** What is stored for certain, so that a commit that moves nothing costs nothing. */
  readonly #committed = new Map<string, number>()

  private constructor(path: string, environment: Environment | undefined, writable: boolean) {
    this.#path = path
    this.#writable = writable
    this.#environment = environment
  }

  /** @throws MillraceError `log_corrupt`, `log_version`, `log_unwritable` */
  static async open(topicFolder: string, writable: boolean, sync: boolean): Promise<Groups> {
    const path = join(topicFolder, 'groups.mdb')
    if (!writable && !existsSync(path)) return new Groups(path, undefined, false)
    const environment = await openEnvironment(path, {
      writable,
      mapBytes,
      aheadBytes,
      sync,
    })
    const groups = new Groups(path, environment, writable)
    if (writable) await groups.#introduce(storeGroup)
    return groups
  }

  /** Remembers `offset` unless a greater one is remembered. */
  async commit(group: string, partition: number, offset: Offset): Promise<void> {
    const key = keyOf(group, partition)
    if ((this.#committed.get(key) ?? -1) >= offset) return
    await this.#write((environment) =>
      environment.use((database) =>
        database.transaction(() => {
          const stored = database.getBinary(Buffer.from(key))
          if (stored !== undefined && stored.readDoubleLE(0) >= offset) return
          void database.put(Buffer.from(key), float64(offset))
          void database.put(Buffer.from(keyOf(group)), Buffer.alloc(offsetBytes))
        }),
      ),
    )
    this.#committed.set(key, Math.max(this.#committed.get(key) ?? 0, offset))
  }

  /** What `group` has committed in `partition`, or undefined. */
  async committed(group: string, partition: number): Promise<Offset | undefined> {
    const stored = await this.#environment?.use((database) =>
      database.getBinary(Buffer.from(keyOf(group, partition))),
    )
    return stored?.readDoubleLE(0) as Offset | undefined
  }

  /** The offset before which every known group is done with `partition`. */
  async leastCommitted(partition: number): Promise<Offset> {
    let least = Number.MAX_SAFE_INTEGER
    for (const group of await this.#names()) {
      least = Math.min(least, (await this.committed(group, partition)) ?? 0)
    }
    return least as Offset
  }

  /**
   * Runs `action` while no other process of this machine runs one: inside a write transaction, whose
   * mutex the system gives back when a process dies.
   */
  exclusively<T>(action: () => T): Promise<T> {
    return this.#write((environment) =>
      environment.use((database) => database.transaction(action)),
    ) as Promise<T>
  }

  async close(): Promise<void> {
    await this.#environment?.close()
  }

  async #introduce(group: string): Promise<void> {
    const key = Buffer.from(keyOf(group))
    const known = await this.#environment?.use((database) => database.doesExist(key))
    if (known === true) return
    await this.#write((environment) =>
      environment.use((database) => database.put(key, Buffer.alloc(offsetBytes))),
    )
  }

  async #names(): Promise<string[]> {
    const names = await this.#environment?.use((database) =>
      [...database.getKeys()]
        .map((key) => key.toString())
        .filter((key) => key.endsWith('\0'))
        .map((key) => key.slice(0, -1)),
    )
    return names ?? [storeGroup]
  }

  async #write<T>(write: (environment: Environment) => Promise<T>): Promise<T> {
    const environment = this.#environment
    if (environment === undefined || !this.#writable) {
      throw new MillraceError('log_unwritable', `${this.#path} is open to read only`)
    }
    try {
      await environment.reserve(writeBytes)
      return await write(environment)
    } catch (thrown) {
      await environment.reopen().catch(() => undefined)
      throw unwritable(this.#path, await commitReason(thrown))
    }
  }
}

function keyOf(group: string, partition: number | '' = ''): string {
  return `${group}\0${partition}`
}

function float64(value: number): Buffer {
  const bytes = Buffer.alloc(offsetBytes)
  bytes.writeDoubleLE(value)
  return bytes
}
