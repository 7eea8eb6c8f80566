import { type DuckDBConnection, INTEGER, VARCHAR } from '@duckdb/node-api'
import { dayMs } from '../../lib/clock.ts'
import { appendRows, type Column } from '../../lib/duckdb-chunk.ts'
import { dayOfTime } from './relation.ts'
import { rowsOf } from './sql.ts'

/** Days that an import keeps from retention, each with the log of the import that does. */

interface KeptDay {
  /** Whole days since 1970. */
  readonly day: number
  readonly log: string
}

const columns: readonly Column<KeptDay>[] = [
  { name: 'day', type: INTEGER, form: 'int32', value: ({ day }) => day },
  { name: 'log', type: VARCHAR, form: 'text', value: ({ log }) => log },
]

/** Adds the days that the log does not keep yet; true when there were some. The caller rolls back when this throws. */
export async function addKeptDays(
  connection: DuckDBConnection,
  log: string,
  days: readonly string[],
): Promise<boolean> {
  await connection.run('BEGIN TRANSACTION')
  const kept = await rowsOf(connection, 'SELECT day FROM kept_days WHERE log = $1', [log])
  const known = new Set(kept.map(([day]) => day as number))
  const fresh = days
    .map((day) => ({ day: Math.floor(Date.parse(day) / dayMs), log }))
    .filter(({ day }) => !known.has(day))
  await appendRows(connection, 'kept_days', columns, fresh)
  await connection.run('COMMIT')
  return fresh.length > 0
}

export async function removeKeptDays(connection: DuckDBConnection, log: string): Promise<void> {
  await connection.run('DELETE FROM kept_days WHERE log = $1', [log])
}

/** A condition that holds for the times of no kept day. */
export function isNotKept(time: string): string {
  return `${dayOfTime(time)} NOT IN (SELECT day FROM kept_days)`
}
