import type { Clock } from '../../lib/clock.ts'
import type { Day } from './days.ts'
import { hasSeen, readMarks, wholeDaySlot } from './marks.ts'
import { mapParallel } from './parallel.ts'
import { recountDay } from './recount.ts'
import type { CqlRow, Session } from './session.ts'

/** Days that are looked at, and recounted, at once. */
const inFlightMax = 32

/** What a question wants of a day's tally; bytes that nobody asks for stay where they are. */
export type TallyColumn = 'events' | 'repeats' | 'counts' | 'items' | 'parties'

/**
 * `columns` of the tallies of these days, in their order; days whose rows have changed are recounted
 * first. undefined for a day of which nothing is counted.
 */
export async function readTallies(
  session: Session,
  days: readonly Day[],
  columns: readonly TallyColumn[],
  clock: Clock,
): Promise<(CqlRow | undefined)[]> {
  const query = `SELECT seen, ${columns.join(', ')} FROM tallies WHERE day = ? AND slot = ?`
  const read = async (day: Day): Promise<CqlRow | undefined> => {
    const [row] = await session.rows(query, [day.name, wholeDaySlot])
    return row
  }
  const found = await mapParallel(days, inFlightMax, async (day) => {
    const [marks, row] = await Promise.all([readMarks(session, day.name, wholeDaySlot), read(day)])
    const current = marks.get(wholeDaySlot) ?? {}
    return {
      day,
      row,
      isStale: row === undefined ? marks.size > 0 : !hasSeen(row['seen'] ?? {}, current),
    }
  })
  // One after the other: a recount keeps Cassandra busy by itself.
  const rows: (CqlRow | undefined)[] = []
  for (const { day, row, isStale } of found) {
    if (isStale) await recountDay(session, day, clock)
    rows.push(isStale ? await read(day) : row)
  }
  return rows
}

/** Deletes what was counted of a day. */
export async function deleteTallies(session: Session, day: Day): Promise<void> {
  await session.rows('DELETE FROM tallies WHERE day = ?', [day.name])
  await session.rows('DELETE FROM marks WHERE day = ?', [day.name])
}
