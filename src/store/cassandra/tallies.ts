import type { Day } from './days.ts'
import { hasSeen, readDayMarks, rowsOfDays, wholeDaySlot } from './marks.ts'
import { type Recounting, recountDay } from './recount.ts'
import type { CqlRow, Session } from './session.ts'

/** What a question wants of a day's tally; bytes that nobody asks for stay where they are. */
export type TallyColumn =
  | 'events'
  | 'repeats'
  | 'counts'
  | 'items'
  | 'parties'
  | 'bucket'
  | 'bucket_rows'

/** How a question has days recounted. */
export interface QuestionRecounting extends Recounting {
  /** A day that has to be counted in the background, and until when (ms since 1970) it is counted. */
  readonly onBehind: (day: Day, asOf: number) => void
}

/**
 * `columns` of the tallies of these days, in their order; days whose rows have changed are recounted
 * first, but for large slots, which are counted in the background. undefined for a day of which
 * nothing is counted.
 */
export async function readTallies(
  session: Session,
  days: readonly Day[],
  columns: readonly TallyColumn[],
  recounting: QuestionRecounting,
): Promise<(CqlRow | undefined)[]> {
  const query = `SELECT day, seen, ${columns.join(', ')} FROM tallies WHERE day IN ? AND slot = ?`
  const readAll = async (names: readonly string[]): Promise<Map<string, CqlRow>> => {
    const found = await rowsOfDays(session, query, names, wholeDaySlot)
    return new Map(found.map((row) => [row['day'] as string, row]))
  }
  const read = async ({ name }: Day): Promise<CqlRow | undefined> =>
    (await readAll([name])).get(name)
  const names = days.map(({ name }) => name)
  const [marks, stored] = await Promise.all([readDayMarks(session, names), readAll(names)])
  // One after the other: a recount keeps Cassandra busy by itself.
  const rows: (CqlRow | undefined)[] = []
  for (const day of days) {
    const row = stored.get(day.name)
    const current = marks.get(day.name)
    const isStale =
      row === undefined ? current !== undefined : !hasSeen(row['seen'] ?? {}, current ?? {})
    if (isStale) {
      const { asOf } = await recountDay(session, day, recounting, 'question')
      if (asOf !== null) recounting.onBehind(day, asOf)
    }
    rows.push(isStale ? await read(day) : row)
  }
  return rows
}

/** Deletes what was counted of a day. */
export async function deleteTallies(session: Session, day: Day): Promise<void> {
  await session.rows('DELETE FROM tallies WHERE day = ?', [day.name])
  await session.rows('DELETE FROM marks WHERE day = ?', [day.name])
}
