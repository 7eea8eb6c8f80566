import { readdirSync, rmSync, type Stats, statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import type { DuckDBConnection } from '@duckdb/node-api'
import { MillraceError } from '../../event/error.ts'
import { type ClosedDay, dayNumber, fileNameOf } from './manifest.ts'

/** The folder with the files of closed days, one Parquet file for each. */
export interface DaysFolder {
  readonly path: string
  /**
   * The path of an entry's file, once it is known to hold the bytes that were written. They are
   * read when the file is first met, and again when it is another file than the last time.
   * @throws MillraceError `store_corrupt` with the file's name: it is missing, cut or another one
   */
  readonly check: (entry: ClosedDay) => Promise<string>
  /** Unlinks a file that no question needs once `until` is settled. */
  readonly retire: (file: string, until: Promise<unknown>) => void
  /** Whether a file waits for that: what is written under its name would be unlinked with it. */
  readonly isRetiring: (file: string) => boolean
  /** Runs one after the other what writes new files; waits for retired ones to go first. */
  readonly exclusively: <Answer>(work: () => Promise<Answer>) => Promise<Answer>
  /** The entries whose file is missing or has another size; reads no bytes. */
  readonly findMissing: (entries: readonly ClosedDay[]) => ClosedDay[]
}

const chunkBytes = 1024 * 1024

/** Our own names; others' files in the folder are left alone. */
const namePattern = /^(\d{4}-\d\d-\d\d)\.(\d+)\.parquet(\.new)?$/

/** What a file is called until it is whole. */
export const unfinishedSuffix = '.new'

/** The folder `path`, which exists. */
export function createDaysFolder(path: string): DaysFolder {
  /** What was there when the bytes of a file were last read. */
  const known = new Map<string, string>()
  const retired = new Set<string>()
  let retiring: Promise<unknown> = Promise.resolve()
  let queue: Promise<unknown> = Promise.resolve()

  async function check(entry: ClosedDay): Promise<string> {
    const file = join(path, fileNameOf(entry))
    const stats = statSync(file, { throwIfNoEntry: false })
    if (stats === undefined) throw damaged(`${file} is missing`)
    if (stats.size !== entry.bytes) {
      throw damaged(`${file} has ${stats.size} bytes instead of ${entry.bytes}`)
    }
    const state = `${stateOf(stats)}:${entry.checksum}`
    if (known.get(file) === state) return file
    const checksum = await checksumOf(file)
    if (checksum !== entry.checksum) throw damaged(`${file} is not the file that was written`)
    known.set(file, state)
    return file
  }

  return {
    path,
    check,
    retire(file, until) {
      retired.add(file)
      const unlinked = until
        .catch(() => undefined)
        .then(() => rmSync(file, { force: true }))
        .finally(() => retired.delete(file))
      retiring = Promise.all([retiring, unlinked])
      known.delete(file)
    },
    isRetiring: (file) => retired.has(file),
    exclusively(work) {
      const done = queue.then(() => retiring).then(work)
      queue = done.catch(() => undefined)
      return done
    },
    findMissing: (entries) =>
      entries.filter((entry) => {
        const stats = statSync(join(path, fileNameOf(entry)), { throwIfNoEntry: false })
        return stats?.size !== entry.bytes
      }),
  }
}

function stateOf({ dev, ino, size, mtimeMs, ctimeMs }: Stats): string {
  return [dev, ino, size, mtimeMs, ctimeMs].join(':')
}

function damaged(detail: string): MillraceError {
  return new MillraceError('store_corrupt', detail)
}

/** CRC-32 of a file's bytes. */
export async function checksumOf(file: string): Promise<number> {
  const handle = await open(file)
  try {
    const buffer = Buffer.allocUnsafe(chunkBytes)
    let checksum = 0
    for (;;) {
      const { bytesRead } = await handle.read(buffer, 0, chunkBytes)
      if (bytesRead === 0) return checksum
      checksum = crc32(buffer.subarray(0, bytesRead), checksum)
    }
  } finally {
    await handle.close()
  }
}

/**
 * Removes what a closing that was killed left behind: unfinished files, and whole ones that the
 * manifest does not name. Where the file that it names is missing, the others of that day stay: the
 * manifest may be an old one, and they may be all that there is.
 */
export function sweepDaysFolder(path: string, entries: readonly ClosedDay[]): void {
  const byDay = new Map(entries.map((entry) => [entry.day, entry]))
  const names = new Set(readdirSync(path))
  for (const name of names) {
    const [, day = '', , unfinished] = namePattern.exec(name) ?? []
    if (day === '') continue
    const entry = byDay.get(dayNumber(day))
    const current = entry && fileNameOf(entry)
    if (name === current) continue
    if (unfinished === undefined && current !== undefined && !names.has(current)) continue
    rmSync(join(path, name), { force: true })
  }
}

/** Which folder belongs to a connection, so that a question needs nothing but its connection. */
const folders = new WeakMap<DuckDBConnection, DaysFolder>()

export function attachDays(connection: DuckDBConnection, days: DaysFolder): DuckDBConnection {
  folders.set(connection, days)
  return connection
}

/** The folder of a connection of `openDatabase`. */
export function daysOf(connection: DuckDBConnection): DaysFolder {
  const days = folders.get(connection)
  if (days === undefined) throw new Error('the connection has no days folder')
  return days
}
