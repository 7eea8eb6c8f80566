import type {
  AccountingAnswer,
  CountsAnswer,
  SessionsAnswer,
  UniquesAnswer,
} from '../api/answer.ts'
import type { Metric } from './route.ts'

/** Answers by day as what the overview shows: a line for each day, and sums. */

const dayMs = 86_400_000
/** The event type that the tag gives to a loading of a page. */
const pageViewType = 'pageView'

/** One day of the range; undefined is not known (yet). */
export interface DayLine extends Readonly<Record<Metric, number | undefined>> {
  /** UTC, `YYYY-MM-DD`. */
  readonly day: string
}

/** Answers as far as they are there. */
export interface DayAnswers {
  readonly counts?: CountsAnswer | undefined
  readonly uniques?: UniquesAnswer | undefined
  readonly sessions?: SessionsAnswer | undefined
}

/** The UTC days up to that of `nowMs`, oldest first. */
export function lastDays(days: number, nowMs: number): string[] {
  const today = Math.floor(nowMs / dayMs)
  return Array.from({ length: days }, (_, index) =>
    new Date((today - days + 1 + index) * dayMs).toISOString().slice(0, 10),
  )
}

/** A line for each of `days`, also for those without events. */
export function linesByDay(days: readonly string[], answers: DayAnswers): DayLine[] {
  const { counts, uniques, sessions } = answers
  const events = new Map<string, number>()
  const views = new Map<string, number>()
  for (const { day, eventType, count } of counts?.rows ?? []) {
    events.set(day, (events.get(day) ?? 0) + count)
    if (eventType === pageViewType) views.set(day, (views.get(day) ?? 0) + count)
  }
  const parties = new Map(uniques?.rows.map((row) => [row.day, row.parties]))
  const begun = new Map(sessions?.rows.map((row) => [row.day, row.sessions]))
  return days.map((day) => ({
    day,
    events: counts && (events.get(day) ?? 0),
    parties: uniques && (parties.get(day) ?? 0),
    sessions: sessions && (begun.get(day) ?? 0),
    views: counts && (views.get(day) ?? 0),
  }))
}

/** What stands above the chart. */
export interface Totals extends Readonly<Record<Metric, number | undefined>> {
  /** Part of the sessions with one page view or none; undefined without sessions. */
  readonly bounceShare: number | undefined
  readonly meanSeconds: number | undefined
}

/** Totals of the range. Parties are not summed: they come back. */
export function totalsOf(answers: DayAnswers): Totals {
  const { counts, uniques, sessions } = answers
  const views = counts?.rows.filter(({ eventType }) => eventType === pageViewType)
  const begun = sumOf(sessions?.rows, (row) => row.sessions)
  const seconds = sumOf(sessions?.rows, (row) => row.meanSeconds * row.sessions) ?? 0
  const bounces = sumOf(sessions?.rows, (row) => row.bounces) ?? 0
  return {
    events: sumOf(counts?.rows, (row) => row.count),
    parties: uniques?.parties,
    sessions: begun,
    views: sumOf(views, (row) => row.count),
    bounceShare: begun ? bounces / begun : undefined,
    meanSeconds: begun ? seconds / begun : undefined,
  }
}

function sumOf<Item>(
  rows: readonly Item[] | undefined,
  countOf: (row: Item) => number,
): number | undefined {
  return rows?.reduce((sum, row) => sum + countOf(row), 0)
}

/** How often each event type came, the most frequent first. */
export function countsByType(counts: CountsAnswer): { eventType: string; count: number }[] {
  const totals = new Map<string, number>()
  for (const { eventType, count } of counts.rows) {
    totals.set(eventType, (totals.get(eventType) ?? 0) + count)
  }
  return [...totals]
    .map(([eventType, count]) => ({ eventType, count }))
    .sort((a, b) => b.count - a.count || (a.eventType < b.eventType ? -1 : 1))
}

/** The accounting of a whole range. */
export function accountingTotals(
  answer: AccountingAnswer,
): Omit<AccountingAnswer['rows'][number], 'day'> {
  const total = { sent: 0, stored: 0, rejected: 0, missing: 0, repeated: 0 }
  for (const row of answer.rows) {
    total.sent += row.sent
    total.stored += row.stored
    total.rejected += row.rejected
    total.missing += row.missing
    total.repeated += row.repeated
  }
  return total
}

/** The steps that a shop asks for first, as far as they happen; else the three most frequent types. */
export function firstSteps(eventTypes: readonly string[]): string[] {
  const usual = [pageViewType, 'preview', 'addToBasket', 'purchase']
  const there = usual.filter((eventType) => eventTypes.includes(eventType))
  return there.length > 1 ? there : eventTypes.slice(0, 3)
}
