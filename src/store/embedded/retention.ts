import type { DuckDBConnection } from '@duckdb/node-api'
import { isMillraceError } from '../../event/error.ts'
import { dayMs } from '../../lib/clock.ts'
import { isNotKept } from './kept-days.ts'
import { type ClosedDay, readManifest, replaceEntry } from './manifest.ts'
import { relationOf } from './relation.ts'
import { literal, rowsOf } from './sql.ts'

/** The first moment of the oldest day that is kept: today and the `days` - 1 before it, in UTC. */
export function oldestKept(days: number, now: number): number {
  return (Math.floor(now / dayMs) - (days - 1)) * dayMs
}

/** What a deletion took. */
export interface Deleted {
  readonly events: number
  /** Of all tables. */
  readonly rows: number
  /** Days whose file nobody needs any more, but for questions under way. */
  readonly closedDays: readonly ClosedDay[]
}

/**
 * Deletes what is before `oldest`, but for the days that an import keeps; the next checkpoint gives
 * the space back to the file. Claims go with the events that they place. The caller rolls back when
 * this throws.
 */
export async function deleteBefore(connection: DuckDBConnection, oldest: number): Promise<Deleted> {
  const remove = async (table: string, time: string): Promise<number> =>
    (
      await connection.run(
        `DELETE FROM ${table} WHERE ${time} < ${literal(oldest)} AND ${isNotKept(time)}`,
      )
    ).rowsChanged
  await connection.run('BEGIN TRANSACTION')
  const events = await remove('events', 'event_time')
  const closedDays = await takeOutDays(connection, oldest)
  const closedRows = closedDays.reduce((sum, entry) => sum + entry.rows, 0)
  let rows = events + closedRows
  rows += await remove('repeats', 'event_time')
  rows += await remove('claims', 'event_time')
  rows += await remove('dead_letters', 'received_at')
  if (events + closedRows > 0) await deleteUnusedAgents(connection)
  await connection.run('COMMIT')
  return { events: events + closedRows, rows, closedDays }
}

/** Takes the closed days before `oldest` out of the manifest. */
async function takeOutDays(connection: DuckDBConnection, oldest: number): Promise<ClosedDay[]> {
  const kept = await rowsOf(connection, 'SELECT DISTINCT day FROM kept_days')
  const keptDays = new Set(kept.map(([day]) => day as number))
  const old = await readManifest(connection, undefined, oldest / dayMs - 1)
  const taken = old.filter(({ day }) => !keptDays.has(day))
  for (const { day } of taken) await replaceEntry(connection, day, undefined)
  return taken
}

/** Where a closed day cannot be read, nobody knows which agents it has: they stay until the next time. */
export async function deleteUnusedAgents(connection: DuckDBConnection): Promise<void> {
  try {
    const relation = await relationOf(connection, always)
    await connection.run(
      `DELETE FROM agents WHERE id NOT IN (SELECT DISTINCT agent_id FROM ${relation} WHERE agent_id IS NOT NULL)`,
    )
  } catch (thrown) {
    if (!isMillraceError(thrown, 'store_corrupt')) throw thrown
  }
}

const always = { from: Number.MIN_SAFE_INTEGER, to: Number.MAX_SAFE_INTEGER }
