import { dayMs, dayOf } from '../../src/lib/clock.ts'
import {
  type AccountingRow,
  type DeadLetter,
  type Dimension,
  type Extent,
  type Filter,
  type RetentionRow,
  type Row,
  type SessionRow,
  type StoredDeadLetter,
  sessionGapMs,
  type TimeRange,
  type TopRow,
  type Uniques,
} from '../../src/store/store.ts'

/**
 * The questions over an array, as one would explain them: to compare stores with, and to stand for
 * one. All of history is looked at, where a store looks at the range and what is near it.
 */

export function selectRows(rows: readonly Row[], range: TimeRange, filter: Filter): Row[] {
  return rows.filter(
    (row) =>
      row.eventTime >= range.from &&
      row.eventTime < range.to &&
      (filter.bots === 'include' || row.bot === null) &&
      (filter.partyId ?? row.partyId) === row.partyId &&
      (filter.sessionId ?? row.sessionId) === row.sessionId &&
      (filter.eventType ?? row.eventType) === row.eventType &&
      (filter.itemId ?? row.itemId) === row.itemId &&
      (filter.country ?? row.country ?? 'unknown') === (row.country ?? 'unknown') &&
      (filter.device ?? deviceOf(row)) === deviceOf(row),
  )
}

const everything: TimeRange = { from: Number.NEGATIVE_INFINITY, to: Number.POSITIVE_INFINITY }

export function extentOf(rows: readonly Row[], range: TimeRange, filter: Filter): Extent {
  const times = selectRows(rows, range, filter)
    .map(({ eventTime }) => eventTime)
    .sort((a, b) => a - b)
  return { events: times.length, firstTime: times[0] ?? null, lastTime: times.at(-1) ?? null }
}

export function uniquesOf(rows: readonly Row[], range: TimeRange, filter: Filter): Uniques {
  const known = selectRows(rows, range, filter).filter(({ partyId }) => partyId !== null)
  return {
    rows: byDay(known).map(([day, rowsOfDay]) => ({ day, parties: partiesOf(rowsOfDay).size })),
    parties: partiesOf(known).size,
  }
}

export function topOf(
  rows: readonly Row[],
  dimension: Dimension,
  range: TimeRange,
  filter: Filter,
  limit: number,
): TopRow[] {
  const counts = new Map<string, number>()
  for (const row of selectRows(rows, range, filter)) {
    const value = values[dimension](row)
    if (value !== null) counts.set(value, (counts.get(value) ?? 0) + 1)
  }
  return [...counts]
    .map(([value, count]) => ({ value, count }))
    .sort((a, b) => b.count - a.count || (a.value < b.value ? -1 : 1))
    .slice(0, limit)
}

const values: Record<Dimension, (row: Row) => string | null> = {
  itemId: ({ itemId }) => itemId,
  page: ({ location }) => /^https?:\/\/[^/?#][^?#]*/i.exec(location ?? '')?.[0] ?? null,
  referrer({ referer, location }) {
    const isWeb = /^https?:\/\//i.test(referer ?? '')
    const host = isWeb ? hostOf(referer) : ''
    return host === '' || host === hostOf(location) ? null : host
  },
  country: ({ country }) => country ?? 'unknown',
  device: deviceOf,
  browser: ({ agent }) => agent.name ?? 'unknown',
  system: ({ agent }) => agent.osFamily ?? 'unknown',
}

function deviceOf({ agent }: Row): string {
  return agent.deviceCategory ?? 'unknown'
}

function hostOf(url: string | null): string {
  return url !== null && URL.canParse(url) ? new URL(url).hostname : ''
}

export function sessionsOf(rows: readonly Row[], range: TimeRange, filter: Filter): SessionRow[] {
  const sessions: Row[][] = []
  for (const events of partiesOf(selectRows(rows, everything, filter)).values()) {
    let last: Row | undefined
    for (const event of events.sort((a, b) => a.eventTime - b.eventTime)) {
      if (last === undefined || event.eventTime - last.eventTime > sessionGapMs) sessions.push([])
      sessions.at(-1)?.push(event)
      last = event
    }
  }
  const begun = sessions.filter(([first]) => isIn(range, first?.eventTime ?? Number.NaN))
  return byDay(begun.map((events) => ({ events, eventTime: events[0]?.eventTime ?? 0 }))).map(
    ([day, ofDay]) => ({
      day,
      sessions: ofDay.length,
      events: ofDay.flatMap(({ events }) => events).length,
      bounces: ofDay.filter(
        ({ events }) => events.filter(({ eventType }) => eventType === 'pageView').length <= 1,
      ).length,
      durationMs: ofDay.reduce(
        (sum, { events, eventTime }) => sum + ((events.at(-1)?.eventTime ?? 0) - eventTime),
        0,
      ),
    }),
  )
}

export function funnelOf(
  rows: readonly Row[],
  range: TimeRange,
  filter: Filter,
  steps: readonly string[],
): number[] {
  const reached = [...partiesOf(selectRows(rows, range, filter)).values()].map((events) => {
    const inOrder = events.sort(
      (a, b) =>
        a.eventTime - b.eventTime || Buffer.compare(Buffer.from(a.eventId), Buffer.from(b.eventId)),
    )
    let step = 0
    for (const { eventType } of inOrder) if (eventType === steps[step]) step++
    return step
  })
  return steps.map((_, index) => reached.filter((count) => count > index).length)
}

export function retentionOf(
  rows: readonly Row[],
  range: TimeRange,
  filter: Filter,
): RetentionRow[] {
  const lastWeek = mondayOf(range.to - 1)
  const cohorts = new Map<number, Set<number>[]>()
  for (const events of partiesOf(selectRows(rows, everything, filter)).values()) {
    const first = Math.min(...events.map(({ eventTime }) => eventTime))
    if (!isIn(range, first)) continue
    const weeks = new Set(
      events
        .filter(({ eventTime }) => isIn(range, eventTime))
        .map((event) => mondayOf(event.eventTime)),
    )
    const monday = mondayOf(first)
    cohorts.set(monday, [...(cohorts.get(monday) ?? []), weeks])
  }
  return [...cohorts]
    .sort(([a], [b]) => a - b)
    .map(([monday, parties]) => {
      const returned: number[] = []
      for (let week = monday; week <= lastWeek; week += 7 * dayMs) {
        returned.push(parties.filter((weeks) => weeks.has(week)).length)
      }
      return { week: dayOf(monday), parties: parties.length, returned }
    })
}

function mondayOf(timeMs: number): number {
  const day = Math.floor(timeMs / dayMs) * dayMs
  return day - ((new Date(day).getUTCDay() + 6) % 7) * dayMs
}

/** @param receipts every receipt, the first of an event and its repeats */
export function accountingOf(
  receipts: readonly Row[],
  letters: readonly (DeadLetter | StoredDeadLetter)[],
  range: TimeRange,
  filter: Pick<Filter, 'bots'>,
): AccountingRow[] {
  const days = new Map<string, { -readonly [Name in keyof AccountingRow]: AccountingRow[Name] }>()
  const add = (timeMs: number, name: Exclude<keyof AccountingRow, 'day'>, count: number): void => {
    if (!isIn(range, timeMs) || count === 0) return
    const day = dayOf(timeMs)
    const row = days.get(day) ?? { day, stored: 0, missing: 0, repeated: 0, rejected: 0 }
    row[name] += count
    days.set(day, row)
  }
  const visible = selectRows(receipts, everything, filter)
  for (const [first, ...copies] of groups(visible, keyOf)) {
    if (first === undefined) continue
    add(first.eventTime, 'stored', 1)
    const times = new Set(copies.map(({ receivedAt }) => receivedAt))
    times.delete(first.receivedAt)
    add(first.eventTime, 'repeated', times.size)
  }
  const counted = visible.filter(({ sequence, pageViewId }) => {
    return pageViewId !== null && sequence !== null && sequence >= 0 && sequence <= 10_000
  })
  const addGaps = (members: readonly { number: number; eventTime: number }[]): void => {
    const numbers = new Set(members.map(({ number }) => number))
    const began = Math.min(...members.map(({ eventTime }) => eventTime))
    add(began, 'missing', Math.max(...numbers) + 1 - numbers.size)
  }
  for (const events of groups(counted, (row) => JSON.stringify([row.partyId, row.pageViewId]))) {
    addGaps(events.map(({ sequence, eventTime }) => ({ number: sequence ?? 0, eventTime })))
  }
  const numbered = counted.flatMap(({ partyId, pageViewId, eventTime }) => {
    const [load, number = '', end] = (pageViewId ?? '').split('.')
    return end === '' ? [{ partyId, load, eventTime, number: Number.parseInt(number, 16) }] : []
  })
  for (const views of groups(numbered, ({ partyId, load }) => JSON.stringify([partyId, load]))) {
    addGaps(views)
  }
  for (const letter of letters) {
    const isReplayed = 'replayedAt' in letter && letter.replayedAt !== null
    if (!isReplayed) add(letter.receivedAt, 'rejected', 1)
  }
  return [...days.values()].sort((a, b) => (a.day < b.day ? -1 : 1))
}

/** The key of the contract. */
export function keyOf(row: Row): string {
  return JSON.stringify([row.eventTime, row.eventId, row.partyId])
}

function isIn({ from, to }: TimeRange, timeMs: number): boolean {
  return timeMs >= from && timeMs < to
}

function partiesOf(rows: readonly Row[]): Map<string, Row[]> {
  const parties = new Map<string, Row[]>()
  for (const row of rows) {
    if (row.partyId === null) continue
    parties.set(row.partyId, [...(parties.get(row.partyId) ?? []), row])
  }
  return parties
}

function groups<Item>(items: readonly Item[], keyOfItem: (item: Item) => string): Item[][] {
  return [...Map.groupBy(items, keyOfItem).values()]
}

function byDay<Item extends { readonly eventTime: number }>(
  items: readonly Item[],
): [day: string, items: Item[]][] {
  const days = Map.groupBy(items, ({ eventTime }) => dayOf(eventTime))
  return [...days].sort(([a], [b]) => (a < b ? -1 : 1))
}
