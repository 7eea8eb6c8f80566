import type { DuckDBConnection } from '@duckdb/node-api'
import { dayMs } from '../../lib/clock.ts'
import type { TimeRange } from '../store.ts'
import { literal } from './sql.ts'

/** Shifts times so that division by a day rounds down before 1970 too. */
const shiftDays = 1_000_000

/** The day of a time: whole days since 1970, UTC. */
export function dayOfTime(time: string): string {
  return `(${time} + ${shiftDays * dayMs}) // ${dayMs} - ${shiftDays}`
}

/**
 * What stands after FROM in a question: every stored row of the range and of no other time, with the
 * columns of `events` and `day` (whole days since 1970, UTC).
 */
export async function relationOf(
  _connection: DuckDBConnection,
  { from, to }: TimeRange,
): Promise<string> {
  return `(SELECT *, ${dayOfTime('event_time')} AS day FROM events
    WHERE event_time >= ${literal(from)} AND event_time < ${literal(to)})`
}
