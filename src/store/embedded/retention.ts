import type { DuckDBConnection } from '@duckdb/node-api'
import { dayMs } from '../../lib/clock.ts'
import { literal } from './sql.ts'

/** The first moment of the oldest day that is kept: today and the `days` - 1 before it, in UTC. */
export function oldestKept(days: number, now: number): number {
  return (Math.floor(now / dayMs) - (days - 1)) * dayMs
}

/** What a deletion took. */
export interface Deleted {
  readonly events: number
  /** Of all tables. */
  readonly rows: number
}

/**
 * Deletes what is before `oldest`; the next checkpoint gives the space back to the file. Claims go
 * with the events that they place. The caller rolls back when this throws.
 */
export async function deleteBefore(connection: DuckDBConnection, oldest: number): Promise<Deleted> {
  const remove = async (table: string, time: string): Promise<number> =>
    (await connection.run(`DELETE FROM ${table} WHERE ${time} < ${literal(oldest)}`)).rowsChanged
  await connection.run('BEGIN TRANSACTION')
  const events = await remove('events', 'event_time')
  let rows = events
  rows += await remove('repeats', 'event_time')
  rows += await remove('claims', 'event_time')
  rows += await remove('dead_letters', 'received_at')
  if (events > 0) {
    await connection.run(
      'DELETE FROM agents WHERE id NOT IN (SELECT DISTINCT agent_id FROM events WHERE agent_id IS NOT NULL)',
    )
  }
  await connection.run('COMMIT')
  return { events, rows }
}
