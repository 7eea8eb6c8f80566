import { dayMs, dayOf } from '../../lib/clock.ts'
import { dayNumberOf } from '../bucket.ts'
import {
  type Filter,
  type RetentionRow,
  type SessionRow,
  sessionGapMs,
  type TimeRange,
} from '../store.ts'
import { readAllDays } from './days.ts'
import { checkKept, seenInOrder, visitSeen } from './seen.ts'
import type { Session } from './session.ts'

/** Questions about what a party did one thing after the other; all read the rows. */

/** How far a session is followed beyond the range in which it began. */
const followedMs = dayMs

interface OpenSession {
  readonly began: number
  last: number
  events: number
  pageViews: number
}

/** Sessions by the day on which they began. In memory are those of the last 30 minutes. */
export async function countSessions(
  session: Session,
  { from, to }: TimeRange,
  filter: Filter,
): Promise<SessionRow[]> {
  const days = new Map<string, { -readonly [Key in keyof SessionRow]: SessionRow[Key] }>()
  const open = new Map<string, OpenSession>()
  const end = ({ began, last, events, pageViews }: OpenSession): void => {
    if (began < from || began >= to) return
    const day = dayOf(began)
    const row = days.get(day) ?? { day, sessions: 0, events: 0, bounces: 0, durationMs: 0 }
    days.set(day, row)
    row.sessions++
    row.events += events
    if (pageViews <= 1) row.bounces++
    row.durationMs += last - began
  }
  const wider = { from: from - sessionGapMs, to: to + followedMs }
  for await (const rows of seenInOrder(session, wider, filter, ['event_name'])) {
    for (const { partyId, eventTime, eventType } of rows) {
      if (partyId === '') continue
      let current = open.get(partyId)
      if (current === undefined || eventTime - current.last > sessionGapMs) {
        if (current !== undefined) end(current)
        open.delete(partyId)
        // After the range only those that began in it are followed.
        if (eventTime >= to) continue
        current = { began: eventTime, last: eventTime, events: 0, pageViews: 0 }
        open.set(partyId, current)
      }
      current.last = eventTime
      current.events++
      if (eventType === 'pageView') current.pageViews++
    }
    const now = rows.at(-1)?.eventTime ?? from
    for (const [partyId, current] of open) {
      if (now - current.last <= sessionGapMs) continue
      end(current)
      open.delete(partyId)
    }
    if (now >= to && open.size === 0) break
  }
  open.forEach(end)
  return [...days.values()].sort((a, b) => (a.day < b.day ? -1 : 1))
}

/** How many parties came to each step. */
export async function countSteps(
  session: Session,
  range: TimeRange,
  filter: Filter,
  steps: readonly string[],
): Promise<number[]> {
  const reached = new Map<string, number>()
  for await (const rows of seenInOrder(session, range, filter, ['event_name'])) {
    for (const { partyId, eventType } of rows) {
      if (partyId === '') continue
      const step = reached.get(partyId) ?? 0
      if (steps[step] === eventType) reached.set(partyId, step + 1)
    }
    checkKept(reached.size, 'parties')
  }
  const counts = steps.map(() => 0)
  for (const count of reached.values()) {
    for (let step = 0; step < count; step++) counts[step] = (counts[step] as number) + 1
  }
  return counts
}

/** 1 January 1970 was a Thursday: the Monday of its week came three days before. */
const mondayDays = 3

/** Whole weeks since the Monday before 1970. */
function weekOf(eventTime: number): number {
  return Math.floor((dayNumberOf(eventTime) + mondayDays) / 7)
}

/** Parties by the week of their first event, and how many came again in the weeks after it. */
export async function followCohorts(
  session: Session,
  range: TimeRange,
  filter: Filter,
): Promise<RetentionRow[]> {
  const firstWeek = weekOf(range.from)
  const weekCount = weekOf(range.to - 1) - firstWeek + 1
  /** By party the weeks in which it was seen; undefined for one that was there before. */
  const weeks = new Map<string, Uint8Array | undefined>()
  const [oldest] = await readAllDays(session)
  const before = { from: (oldest?.number ?? 0) * dayMs, to: range.from }
  await visitSeen(session, before, filter, [], ({ partyId }) => {
    if (partyId !== '') weeks.set(partyId, undefined)
    checkKept(weeks.size, 'parties')
  })
  await visitSeen(session, range, filter, [], ({ partyId, eventTime }) => {
    if (partyId === '') return
    if (!weeks.has(partyId)) weeks.set(partyId, new Uint8Array(weekCount))
    const seen = weeks.get(partyId)
    if (seen !== undefined) seen[weekOf(eventTime) - firstWeek] = 1
    checkKept(weeks.size, 'parties')
  })
  const cohorts = new Map<number, number[]>()
  for (const seen of weeks.values()) {
    if (seen === undefined) continue
    const first = seen.indexOf(1)
    const returned = cohorts.get(first) ?? new Array<number>(weekCount - first).fill(0)
    cohorts.set(first, returned)
    for (let week = first; week < weekCount; week++) {
      returned[week - first] = (returned[week - first] as number) + (seen[week] as number)
    }
  }
  return [...cohorts]
    .sort(([a], [b]) => a - b)
    .map(([week, returned]) => ({
      week: dayOf(((firstWeek + week) * 7 - mondayDays) * dayMs),
      parties: returned[0] as number,
      returned,
    }))
}
