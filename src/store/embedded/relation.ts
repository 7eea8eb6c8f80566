import type { DuckDBConnection } from '@duckdb/node-api'
import { MillraceError } from '../../event/error.ts'
import { dayMs } from '../../lib/clock.ts'
import type { TimeRange } from '../store.ts'
import { eventNames, selectFromFiles } from './closed-file.ts'
import { daysOf } from './days.ts'
import { type ClosedDay, dayName, readManifest } from './manifest.ts'
import { literal } from './sql.ts'

/** Shifts times so that division by a day rounds down before 1970 too. */
const shiftDays = 1_000_000

/** The day of a time: whole days since 1970, UTC. */
export function dayOfTime(time: string): string {
  return `(${time} + ${shiftDays * dayMs}) // ${dayMs} - ${shiftDays}`
}

/** A condition on a time: within a range. */
export function isWithin(time: string, { from, to }: TimeRange): string {
  return `${time} >= ${literal(from)} AND ${time} < ${literal(to)}`
}

/**
 * What stands after FROM in a question: every stored row of the range and of no other time, with the
 * columns of `events` and `day` (whole days since 1970, UTC): the open table and the files of the
 * closed days that the range touches.
 * @throws MillraceError `store_corrupt` when a file that is needed is missing, cut or another one
 */
export async function relationOf(connection: DuckDBConnection, range: TimeRange): Promise<string> {
  const parts = [
    `SELECT ${eventNames.join(', ')}, ${dayOfTime('event_time')} AS day
     FROM events WHERE ${isWithin('event_time', range)}`,
  ]
  const whole: string[] = []
  const cut: string[] = []
  for (const entry of await readManifest(connection, ...daysWithin(range))) {
    const start = entry.day * dayMs
    const isWhole = range.from <= start && start + dayMs <= range.to
    const files = isWhole ? whole : cut
    files.push(await checkedFile(connection, entry))
  }
  if (whole.length > 0) parts.push(selectFromFiles(whole))
  if (cut.length > 0) parts.push(selectFromFiles(cut, isWithin('event_time', range)))
  return `(${parts.join('\n UNION ALL ')})`
}

/** The first and the last day that a range touches. */
export function daysWithin({ from, to }: TimeRange): [number, number] {
  return [Math.floor(from / dayMs), Math.ceil(to / dayMs) - 1]
}

async function checkedFile(connection: DuckDBConnection, entry: ClosedDay): Promise<string> {
  const file = await daysOf(connection).check(entry)
  if (!entry.isUnchecked) return file
  const detail = `rows of ${dayName(entry.day)} were stored while ${file} could not be read; closing the day again puts them together`
  throw new MillraceError('store_corrupt', detail)
}
