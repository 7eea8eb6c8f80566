import { rm } from 'node:fs/promises'
import {
  BIGINT,
  BOOLEAN,
  DATE,
  DOUBLE,
  DuckDBInstance,
  type DuckDBType,
  TIMESTAMPTZ,
  VARCHAR,
} from '@duckdb/node-api'
import { dayMs } from '../lib/clock.ts'
import { appendRows, type Column, type ColumnForm } from '../lib/duckdb-chunk.ts'
import type { Row } from '../store/store.ts'
import { calendarMsMax, type ExportColumn, type ExportKind, exportColumns } from './columns.ts'

/**
 * Parquet, by a DuckDB of its own that has no file: so every store can be exported. Rows beyond its
 * memory wait in a folder beside the file.
 */

const MiB = 1024 * 1024

/** A group of rows stands in memory until it is written, so it is bounded in bytes, not in rows. */
const groupBytes = 16 * MiB

/**
 * Times are instants (TIMESTAMP with isAdjustedToUTC): Spark, pandas and DuckDB read the same moment
 * whatever zone they are set to. Parquet has them in µs, as DuckDB writes none in ms with that flag.
 */
const kinds: Readonly<Record<ExportKind, readonly [type: DuckDBType, sql: string, ColumnForm]>> = {
  text: [VARCHAR, 'VARCHAR', 'text'],
  time: [TIMESTAMPTZ, 'TIMESTAMP WITH TIME ZONE', 'int64'],
  day: [DATE, 'DATE', 'int32'],
  integer: [BIGINT, 'BIGINT', 'int64'],
  number: [DOUBLE, 'DOUBLE', 'double'],
  flag: [BOOLEAN, 'BOOLEAN', 'uint8'],
}

const columns: readonly Column<Row>[] = exportColumns.map((column) => {
  const [type, , form] = kinds[column.kind]
  return { name: column.name, type, form, value: cellOf(column) }
})

const createTable = `CREATE TABLE events (${exportColumns
  .map(({ name, kind }) => `"${name}" ${kinds[kind][1]}`)
  .join(', ')})`

/**
 * Writes the rows of `pages` into `file`, zstd, in their order; returns how many. A file that could
 * not be written whole is removed.
 */
export async function writeParquet(
  file: string,
  pages: AsyncIterable<readonly Row[]>,
  memoryBytes: number = 256 * MiB,
): Promise<number> {
  const instance = await DuckDBInstance.create(':memory:', {
    memory_limit: `${memoryBytes}B`,
    temp_directory: `${file}.temp`,
    // One thread keeps the rows' order by itself; groups can be bounded in bytes only without the other.
    threads: '1',
    preserve_insertion_order: 'false',
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
  })
  const connection = await instance.connect()
  try {
    await connection.run(createTable)
    let written = 0
    for await (const rows of pages) {
      await appendRows(connection, 'events', columns, rows)
      written += rows.length
    }
    const target = `'${file.replaceAll("'", "''")}'`
    await connection.run(
      `COPY events TO ${target} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE_BYTES ${groupBytes})`,
    )
    return written
  } catch (thrown) {
    await rm(file, { force: true })
    throw thrown
  } finally {
    connection.closeSync()
    instance.closeSync()
    await rm(`${file}.temp`, { recursive: true, force: true })
  }
}

/** The folder of one day in a data set that Spark, DuckDB and others read as a table (Hive's layout). */
export function partOfDay(day: string): string {
  return `day=${day}/part-0.parquet`
}

function cellOf({ kind, value }: ExportColumn): Column<Row>['value'] {
  switch (kind) {
    case 'time':
      return (row) => {
        const ms = value(row) as number | null
        return ms === null || Math.abs(ms) > calendarMsMax ? null : ms * 1_000
      }
    case 'day':
      return (row) => Math.floor(row.eventTime / dayMs)
    case 'flag':
      return (row) => Number(value(row))
    case 'text':
    case 'integer':
    case 'number':
      return value as Column<Row>['value']
  }
}
