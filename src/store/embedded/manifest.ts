import type { DuckDBConnection } from '@duckdb/node-api'
import { dayMs, dayOf } from '../../lib/clock.ts'
import { literal, rowsOf } from './sql.ts'

/**
 * The manifest says which days are closed and which bytes of which file hold them. Questions trust
 * nothing else: a file without an entry is not there, an entry without its file is an error.
 */
export interface ClosedDay {
  /** Whole days since 1970, UTC. */
  readonly day: number
  /** Rises with every writing of the day, from 1. */
  readonly version: number
  readonly rows: number
  readonly bytes: number
  /** CRC-32 of the file. */
  readonly checksum: number
  /** ms since 1970: the newest receipt among its rows. */
  readonly lastReceivedAt: number
  /** Rows were stored beside it while it could not be read: some of them may be in it already. */
  readonly isUnchecked: boolean
}

const columns = 'day, version, "rows", bytes, checksum, last_received_at, is_unchecked'

/** The closed days from `first` to `last`, in their order. */
export async function readManifest(
  connection: DuckDBConnection,
  first = Number.MIN_SAFE_INTEGER,
  last = Number.MAX_SAFE_INTEGER,
): Promise<ClosedDay[]> {
  const sql = `SELECT ${columns} FROM closed_days
    WHERE day BETWEEN ${literal(first)} AND ${literal(last)} ORDER BY day`
  const rows = await rowsOf(connection, sql)
  return rows.map(([day, version, count, bytes, checksum, lastReceivedAt, isUnchecked]) => ({
    day: day as number,
    version: version as number,
    rows: count as number,
    bytes: bytes as number,
    checksum: checksum as number,
    lastReceivedAt: lastReceivedAt as number,
    isUnchecked: isUnchecked as boolean,
  }))
}

/** Puts an entry in the place of the day's old one, or of none; undefined takes the day out. */
export async function replaceEntry(
  connection: DuckDBConnection,
  day: number,
  entry: ClosedDay | undefined,
): Promise<void> {
  await connection.run(`DELETE FROM closed_days WHERE day = ${day}`)
  if (entry === undefined) return
  const { version, rows, bytes, checksum, lastReceivedAt, isUnchecked } = entry
  const values = [day, version, rows, bytes, checksum, lastReceivedAt].map(literal)
  await connection.run(`INSERT INTO closed_days VALUES (${values.join()}, ${isUnchecked})`)
}

/** Remembers that rows of these days were stored unseen by their files. */
export async function markUnchecked(
  connection: DuckDBConnection,
  days: Iterable<number>,
): Promise<void> {
  const listed = [...days].map(literal).join()
  if (listed === '') return
  await connection.run(`UPDATE closed_days SET is_unchecked = true WHERE day IN (${listed})`)
}

/** The name of a day's file: the day and the version. */
export function fileNameOf({ day, version }: Pick<ClosedDay, 'day' | 'version'>): string {
  return `${dayName(day)}.${version}.parquet`
}

/** `YYYY-MM-DD` of a day since 1970. */
export function dayName(day: number): string {
  return dayOf(day * dayMs)
}

/** The day since 1970 of `YYYY-MM-DD`. */
export function dayNumber(name: string): number {
  return Date.parse(`${name}T00:00:00Z`) / dayMs
}
