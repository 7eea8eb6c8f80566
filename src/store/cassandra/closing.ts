import { dayMs } from '../../lib/clock.ts'
import type { ClosedDayResult, DayState } from '../store.ts'
import { type Day, readAllDays, readDays } from './days.ts'
import { hasSeen, readDayMarks, readMarks, rowsOfDays, wholeDaySlot } from './marks.ts'
import { mapParallel } from './parallel.ts'
import { scanAll } from './scan.ts'
import { checkKept } from './seen.ts'
import { type CqlRow, int64, type Session } from './session.ts'
import { type QuestionRecounting, readTallies } from './tallies.ts'

/**
 * Closing a day counts its parties exactly. Its rows stay where they are: what closing keeps is valid
 * while the day's marks are those that it saw, and no more than the estimate after a late row.
 */

const inFlightMax = 16

/** Every day that has rows. A closed one has no file: its bytes are those of its tally. */
export async function readDayStates(
  session: Session,
  recounting: QuestionRecounting,
): Promise<DayState[]> {
  const days = await readAllDays(session)
  const tallies = await readTallies(session, days, ['events'], recounting)
  const states = await mapParallel(days.entries(), inFlightMax, async ([index, day]) => {
    const events = Number(tallies[index]?.['events'] ?? 0)
    const closed = await readClosed(session, day)
    const closedRows = Math.min(events, Number(closed?.['events'] ?? 0))
    return {
      day: day.name,
      openRows: events - closedRows,
      closedRows,
      bytes: Number(closed?.['bytes'] ?? 0),
      version: Number(closed?.['version'] ?? 0),
    }
  })
  return states.filter(({ openRows, closedRows }) => openRows + closedRows > 0)
}

/** Counts a day exactly, unless that was done and nothing has come since. */
export async function closeDay(
  session: Session,
  name: string,
  recounting: QuestionRecounting,
): Promise<ClosedDayResult> {
  const start = Date.parse(`${name}T00:00:00Z`)
  const [day] = await readDays(session, { from: start, to: start + 1 })
  if (day === undefined) return { isWritten: false, rows: 0, bytes: 0, version: 0 }
  // Before anything is counted: what comes meanwhile has another mark.
  const marks = (await readMarks(session, name, wholeDaySlot)).get(wholeDaySlot) ?? {}
  const closed = await readClosed(session, day)
  const version = Number(closed?.['version'] ?? 0)
  if (closed !== undefined && hasSeen(closed['seen'] ?? {}, marks)) {
    const [rows, bytes] = [Number(closed['events']), Number(closed['bytes'])]
    return { isWritten: false, rows, bytes, version }
  }
  const columns = ['events', 'counts', 'items', 'parties'] as const
  const whole = { ...recounting, largeEvents: Number.POSITIVE_INFINITY }
  const [tally] = await readTallies(session, [day], columns, whole)
  const rows = Number(tally?.['events'] ?? 0)
  if (tally === undefined || rows === 0) return { isWritten: false, rows: 0, bytes: 0, version }
  const blobs = [tally['counts'], tally['items'], tally['parties']] as Buffer[]
  const bytes = blobs.reduce((sum, blob) => sum + blob.length, 0)
  const { people, parties } = await countExactly(session, start)
  await session.rows(
    `INSERT INTO closed_days (day, version, seen, closed_at, events, bytes, people, parties)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    [
      ...[name, version + 1, marks, int64(recounting.clock()), int64(rows), int64(bytes)],
      ...[int64(people), int64(parties)],
    ],
  )
  return { isWritten: true, rows, bytes, version: version + 1 }
}

/** Different parties of a day: those that are not bots, and all. */
async function countExactly(
  session: Session,
  start: number,
): Promise<{ people: number; parties: number }> {
  const people = new Set<string>()
  const parties = new Set<string>()
  const range = { from: start, to: start + dayMs }
  await scanAll(session, { range, filter: { bots: 'include' }, columns: 'bot' }, (rows) => {
    for (const row of rows) {
      const partyId = row['click_stream_cookie_id'] as string
      if (partyId === '') continue
      parties.add(partyId)
      if (row['bot'] === '') people.add(partyId)
    }
    checkKept(parties.size, 'parties of a day')
  })
  return { people: people.size, parties: parties.size }
}

async function readClosed(session: Session, { name }: Day): Promise<CqlRow | undefined> {
  const [row] = await session.rows(
    'SELECT version, seen, events, bytes, people, parties FROM closed_days WHERE day = ?',
    [name],
  )
  return row
}

/** The parties of days as they were counted when these were closed; of none to which rows came since. */
export async function readExactParties(
  session: Session,
  days: readonly Day[],
  bots: 'include' | 'exclude',
): Promise<Map<string, number>> {
  const names = days.map(({ name }) => name)
  const query = 'SELECT day, seen, people, parties FROM closed_days WHERE day IN ?'
  const [closed, marks] = await Promise.all([
    rowsOfDays(session, query, names),
    readDayMarks(session, names),
  ])
  const exact = new Map<string, number>()
  for (const row of closed) {
    const name = row['day'] as string
    if (!hasSeen(row['seen'] ?? {}, marks.get(name) ?? {})) continue
    exact.set(name, Number(bots === 'include' ? row['parties'] : row['people']))
  }
  return exact
}

/** Makes a day open again. */
export async function forgetClosing(session: Session, day: Day): Promise<void> {
  await session.rows('DELETE FROM closed_days WHERE day = ?', [day.name])
}
