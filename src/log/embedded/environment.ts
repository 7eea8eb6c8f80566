import { randomUUID } from 'node:crypto'
import { linkSync, realpathSync, rmSync, truncateSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { open, type RootDatabase } from 'lmdb'
import { MillraceError } from '../../event/error.ts'
import { syncPath } from '../../lib/sync.ts'
import { isPresent, openingFailure, unwritable } from './failure.ts'
import {
  checkDescriptors,
  createdBytes,
  lengthen,
  lockSuffix,
  pageBytes,
  prepareLockFile,
  stateOfFile,
} from './header.ts'

/** One LMDB file with binary keys and values. */
export type Database = RootDatabase<Buffer, Buffer>

/** How to open one. */
export interface EnvironmentOptions {
  readonly writable: boolean
  /** Address space for the file; nothing of it is memory until it is read. It grows if need be. */
  readonly mapBytes: number
  /** How far the file is lengthened beyond what a commit needs; written twice, so more gains little. */
  readonly aheadBytes: number
  /** False only where a test wants to see what a missing sync does. */
  readonly sync: boolean
}

/** A user's hold on an LMDB file. */
export interface Environment {
  readonly path: string
  /** Runs `action` on the open database, in one turn: the database must not be kept. */
  use<T>(action: (database: Database) => T): Promise<Awaited<T>>
  /**
   * Makes sure that a commit of so many bytes finds room in the file, before LMDB tries.
   * @throws MillraceError `log_unwritable` when the disk is full
   */
  reserve(bytes: number): Promise<void>
  /** Counts bytes read, whose mapped pages are this process's memory until the file is closed. */
  touched(bytes: number): void
  /** Closes and opens the file anew, for all its users: after a failed write LMDB's own state is not trusted. */
  reopen(): Promise<void>
  close(): Promise<void>
}

/** A commit writes anew the pages from the root to its leaf, and those of the list of free pages. */
const treePages = 16

/** Reading a long segment must not make the process as large as the segment. */
const touchedBytesMax = 32 * 1024 * 1024

/**
 * The open files of this process, by real path. It is state of the module because the rule behind
 * it is one of the process: LMDB's locks are POSIX record locks, and closing any descriptor of a
 * file drops all locks that the process has on it (fcntl(2)); a second opening of the same file
 * would, when closed, make other processes believe that nobody uses it.
 */
const openFiles = new Map<string, SharedFile>()

/**
 * Opens an LMDB file, or joins those in this process that have it open; who needs to write makes
 * it writable for all.
 * @throws MillraceError `log_corrupt`, `log_version`, `log_unwritable` naming the file
 */
export async function openEnvironment(
  path: string,
  options: EnvironmentOptions,
): Promise<Environment> {
  const name = realName(path)
  let file = openFiles.get(name)
  if (file === undefined) {
    file = new SharedFile(name)
    openFiles.set(name, file)
  }
  return file.join(options)
}

class SharedFile {
  readonly #path: string
  #users = 0
  #touched = 0
  /** Bytes that the file is known to have. */
  #length = 0
  #database: Database | undefined
  #options: EnvironmentOptions = { writable: false, mapBytes: 0, aheadBytes: 0, sync: true }
  /** Openings and closings, one after the other; never rejects. */
  #change: Promise<unknown> = Promise.resolve()

  constructor(path: string) {
    this.#path = path
  }

  async join(options: EnvironmentOptions): Promise<Environment> {
    this.#users++
    let joined = true
    const leave = async () => {
      if (!joined) return
      joined = false
      this.#users--
      await this.#serially(() => this.#closeIfUnused())
    }
    try {
      await this.#serially(() => this.#ensure(options))
    } catch (thrown) {
      await leave()
      throw thrown
    }
    return {
      path: this.#path,
      use: (action) => this.#use(action),
      reserve: (bytes) => this.#use((database) => this.#reserve(database, bytes)),
      touched: (bytes) => this.#touch(bytes),
      reopen: () => this.#serially(() => this.#reopen()),
      close: leave,
    }
  }

  async #use<T>(action: (database: Database) => T): Promise<Awaited<T>> {
    await this.#change
    if (this.#users === 0) throw new Error(`${this.#path} is closed`)
    if (this.#database === undefined) await this.#serially(() => this.#ensure(this.#options))
    return await action(this.#database as unknown as Database)
  }

  #reserve(database: Database, bytes: number): void {
    const needed = (lastPageOf(database) + 1 + treePages) * pageBytes + bytes
    if (needed <= this.#length) return
    this.#length = lengthen(this.#path, needed + this.#options.aheadBytes)
  }

  #touch(bytes: number): void {
    this.#touched += bytes
    if (this.#touched < touchedBytesMax) return
    this.#touched = 0
    // Whoever uses the file next waits for it, and meets the error if there is one.
    void this.#serially(() => this.#reopen()).catch(() => undefined)
  }

  #serially<T>(change: () => Promise<T>): Promise<T> {
    const changed = this.#change.then(change)
    this.#change = changed.catch(() => undefined)
    return changed
  }

  async #ensure(options: EnvironmentOptions): Promise<void> {
    const enough = this.#options.writable || !options.writable
    if (this.#database !== undefined && enough) return
    await this.#closeDatabase()
    const writable = options.writable || this.#options.writable
    this.#database = await openOrMake(this.#path, { ...options, writable })
    this.#length = 0
    this.#options = { ...options, writable }
  }

  async #reopen(): Promise<void> {
    await this.#closeDatabase()
    await this.#ensure(this.#options)
  }

  async #closeIfUnused(): Promise<void> {
    if (this.#users > 0) return
    await this.#closeDatabase()
    this.#options = { ...this.#options, writable: false }
    if (this.#users === 0) openFiles.delete(this.#path)
  }

  async #closeDatabase(): Promise<void> {
    const database = this.#database
    this.#database = undefined
    await database?.close()
  }
}

/** @throws MillraceError as `openEnvironment` */
async function openOrMake(path: string, options: EnvironmentOptions): Promise<Database> {
  let state = stateOfFile(path)
  if (state === 'absent' && options.writable) {
    await makeFile(path, options)
    state = stateOfFile(path)
  }
  if (state === 'absent') throw new MillraceError('log_unwritable', `${path} is not there`)
  if (state === 'unborn') throw new MillraceError('log_corrupt', `${path} is empty`)
  return openDatabase(path, options)
}

/** Makes a file that appears whole; of several processes that do it at once one wins. */
async function makeFile(path: string, options: EnvironmentOptions): Promise<void> {
  const temporary = `${path}.${randomUUID()}`
  try {
    lengthen(temporary, createdBytes)
    truncateSync(temporary, 0)
    await openDatabase(temporary, options).close()
    await syncPath(temporary)
    linkSync(temporary, path)
  } catch (thrown) {
    if (!isPresent(thrown)) throw unwritable(path, thrown)
  } finally {
    rmSync(temporary, { force: true })
    rmSync(temporary + lockSuffix, { force: true })
  }
}

function openDatabase(path: string, options: EnvironmentOptions): Database {
  prepareLockFile(path, options.writable)
  checkDescriptors(path)
  try {
    return open<Buffer, Buffer>({
      path,
      noSubdir: true,
      encoding: 'binary',
      keyEncoding: 'binary',
      pageSize: pageBytes,
      mapSize: options.mapBytes,
      maxDbs: 1,
      readOnly: !options.writable,
      // A commit resolves after its fdatasync, and readers see it no sooner.
      overlappingSync: false,
      // With it lmdb makes a promise of its own for each batch, whose rejection nobody would see.
      eventTurnBatching: false,
      noSync: !options.sync,
    })
  } catch (thrown) {
    throw openingFailure(path, thrown)
  }
}

function lastPageOf(database: Database): number {
  const { env } = database as unknown as { env: { info(): { lastPageNumber: number } } }
  return env.info().lastPageNumber
}

function realName(path: string): string {
  try {
    return join(realpathSync(dirname(path)), basename(path))
  } catch (thrown) {
    throw openingFailure(path, thrown)
  }
}
