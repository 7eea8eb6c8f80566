import { firstDays, type Layout, planLayout } from '../bucket.ts'
import { readAllDays } from './days.ts'
import { wholeDaySlot } from './marks.ts'
import { mapParallel } from './parallel.ts'
import type { Session } from './session.ts'

/** Days that a new one is planned by, and what it may have more than the largest of them. */
const pastDays = 14
const growth = 10

/** Of a site with so few days nothing is known. */
const firstDaysMax = 2

/**
 * The layout for a day without one. A setting decides, else the largest of the days before it; their
 * tallies may be somewhat behind, which ten times covers.
 */
export async function planDay(
  session: Session,
  day: number,
  expectedEventsPerDay: number,
): Promise<Layout> {
  if (expectedEventsPerDay > 0) return planLayout(expectedEventsPerDay)
  const before = (await readAllDays(session)).filter(({ number }) => number < day)
  if (before.length < firstDaysMax) return firstDays
  const events = await mapParallel(before.slice(-pastDays), pastDays, async ({ name }) => {
    const [row] = await session.rows('SELECT events FROM tallies WHERE day = ? AND slot = ?', [
      name,
      wholeDaySlot,
    ])
    return row === undefined ? undefined : Number(row['events'])
  })
  const known = events.filter((count) => count !== undefined)
  return known.length === 0 ? firstDays : planLayout(growth * Math.max(...known))
}
