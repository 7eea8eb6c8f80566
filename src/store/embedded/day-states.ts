import type { DuckDBConnection } from '@duckdb/node-api'
import type { DayState } from '../store.ts'
import { dayName, readManifest } from './manifest.ts'
import { dayOfTime } from './relation.ts'
import { rowsOf } from './sql.ts'

/** Every day that has rows, oldest first. */
export async function readDays(connection: DuckDBConnection): Promise<DayState[]> {
  const sql = `SELECT ${dayOfTime('event_time')} AS day, count(*) FROM events GROUP BY day`
  const open = await rowsOf(connection, sql)
  const states = new Map<number, DayState>()
  for (const { day, rows, bytes, version } of await readManifest(connection)) {
    states.set(day, { day: dayName(day), openRows: 0, closedRows: rows, bytes, version })
  }
  for (const [number, openRows] of open as [number, number][]) {
    const fresh = { day: dayName(number), closedRows: 0, bytes: 0, version: 0 }
    states.set(number, { ...fresh, ...states.get(number), openRows })
  }
  return [...states].sort(([a], [b]) => a - b).map(([, state]) => state)
}
