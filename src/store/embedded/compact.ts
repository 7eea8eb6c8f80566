import { existsSync, rmSync } from 'node:fs'
import { rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import { syncPath } from '../../lib/sync.ts'

/**
 * Copies of a database file that hold what is in its tables and nothing else. DuckDB leaves the
 * bytes of deleted rows in the free blocks of its file, so deleting is not enough to erase.
 *
 * The file must be closed. While it is copied, the copying instance has it attached, and so locked.
 */

/** What a compaction under way writes; of no use to anybody after a crash. */
const freshSuffix = '.fresh'

/**
 * Copies the tables of `file` into a new file, durable when this resolves.
 * @throws Error of DuckDB or of the file system; the half copy is removed
 */
export async function copyDatabase(file: string, copy: string, memoryBytes: number): Promise<void> {
  await withAttached(file, memoryBytes, (connection) => copyTables(connection, copy))
}

/**
 * Puts a compact copy in the place of `file`. At every moment one whole database has the name: the
 * old one until the rename, the new one after it.
 * @throws Error of DuckDB or of the file system; the old file stays as it was
 */
export async function compactDatabase(file: string, memoryBytes: number): Promise<void> {
  removeHalfCopy(file)
  const fresh = `${file}${freshSuffix}`
  await withAttached(file, memoryBytes, async (connection) => {
    await copyTables(connection, fresh)
    // A write-ahead log beside the file would be replayed on top of the copy, which has it all.
    if (existsSync(`${file}.wal`)) throw new Error(`${file}.wal is still in use`)
    await rename(fresh, file)
    await syncPath(dirname(file))
  })
}

/** Removes what a compaction that was killed left behind. */
export function removeHalfCopy(file: string): void {
  for (const path of [`${file}${freshSuffix}`, `${file}${freshSuffix}.wal`]) {
    rmSync(path, { force: true })
  }
}

async function withAttached(
  file: string,
  memoryBytes: number,
  work: (connection: DuckDBConnection) => Promise<void>,
): Promise<void> {
  const instance = await DuckDBInstance.create(':memory:', {
    memory_limit: `${memoryBytes}B`,
    temp_directory: `${dirname(file)}/temp`,
    // Questions leave out the row groups of other times: rows must keep their order.
    preserve_insertion_order: 'true',
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
  })
  const connection = await instance.connect()
  try {
    await connection.run(`ATTACH ${quoted(file)} AS source`)
    await connection.run('CHECKPOINT source')
    await work(connection)
    await connection.run('DETACH source')
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

async function copyTables(connection: DuckDBConnection, copy: string): Promise<void> {
  try {
    await connection.run(`ATTACH ${quoted(copy)} AS copy`)
    await connection.run('COPY FROM DATABASE source TO copy')
    await connection.run('CHECKPOINT copy')
    await connection.run('DETACH copy')
    await syncPath(copy)
  } catch (thrown) {
    rmSync(copy, { force: true })
    rmSync(`${copy}.wal`, { force: true })
    throw thrown
  }
}

function quoted(path: string): string {
  return `'${path.replaceAll("'", "''")}'`
}
