import { dayMs, dayOf } from '../../lib/clock.ts'
import type { CountRow, Extent, Filter, TimeRange, TopRow, UniqueRow, Uniques } from '../store.ts'
import { readExactParties } from './closing.ts'
import { type Day, readDays } from './days.ts'
import { readEvents } from './events.ts'
import { createHyperLogLog, estimate, type HyperLogLog, unite } from './hyperloglog.ts'
import { compareUtf8 } from './scan.ts'
import { checkKept, visitSeen } from './seen.ts'
import type { Session } from './session.ts'
import { type QuestionRecounting, readTallies } from './tallies.ts'
import { decodeCounts, decodeItems, decodeParties, readKey } from './tally.ts'

/**
 * Questions that tallies answer: whole days come from these, the rest of a range, and filters that no
 * tally knows, from the rows.
 */

/** A range's whole days that have events, and what is left of it. */
export interface Divided {
  readonly days: readonly Day[]
  readonly rest: readonly TimeRange[]
}

export async function divideRange(session: Session, range: TimeRange): Promise<Divided> {
  const from = Math.ceil(range.from / dayMs) * dayMs
  const to = Math.floor(range.to / dayMs) * dayMs
  if (from >= to) return { days: [], rest: range.from < range.to ? [range] : [] }
  const rest = [
    { from: range.from, to: from },
    { from: to, to: range.to },
  ]
  return {
    days: await readDays(session, { from, to }),
    rest: rest.filter((part) => part.from < part.to),
  }
}

/** Whether only these members of the filter restrict anything. */
function restrictsOnly(filter: Filter, ...names: (keyof Filter)[]): boolean {
  const known = new Set<string>(['bots', ...names])
  return Object.entries(filter).every(([name, value]) => value === undefined || known.has(name))
}

/** Events by day and type. */
export async function countEvents(
  session: Session,
  range: TimeRange,
  filter: Filter,
  recounting: QuestionRecounting,
): Promise<CountRow[]> {
  const counts = new Map<string, Map<string, number>>()
  const add = (day: string, eventType: string, count: number): void => {
    const ofDay = counts.get(day) ?? new Map<string, number>()
    counts.set(day, ofDay.set(eventType, (ofDay.get(eventType) ?? 0) + count))
  }
  const isTallied = restrictsOnly(filter, 'eventType', 'itemId')
  const { days, rest } = isTallied ? await divideRange(session, range) : { days: [], rest: [range] }
  const column = filter.itemId === undefined ? 'counts' : 'items'
  const rows = await readTallies(session, days, [column], recounting)
  for (const [index, row] of rows.entries()) {
    if (row === undefined) continue
    for (const [key, count] of countsOf(row[column], filter.itemId)) {
      const { isBot, eventType } = readKey(key)
      if (isBot && filter.bots === 'exclude') continue
      if (filter.eventType !== undefined && filter.eventType !== eventType) continue
      add((days[index] as Day).name, eventType, count)
    }
  }
  for (const part of rest) {
    await visitSeen(session, part, filter, ['event_name'], ({ eventTime, eventType }) =>
      add(dayOf(eventTime), eventType, 1),
    )
  }
  return [...counts]
    .sort(([a], [b]) => compareUtf8(a, b))
    .flatMap(([day, types]) =>
      [...types]
        .sort(([a], [b]) => compareUtf8(a, b))
        .map(([eventType, count]) => ({ day, eventType, count })),
    )
}

function countsOf(blob: Buffer, itemId: string | undefined): Iterable<[string, number]> {
  if (itemId === undefined) return decodeCounts(blob)
  return [...decodeItems(blob)].flatMap(([key, items]): [string, number][] => {
    const count = items.get(itemId)
    return count === undefined ? [] : [[key, count]]
  })
}

/** The number of events, the first and the last time. */
export async function readExtent(
  session: Session,
  range: TimeRange,
  filter: Filter,
  recounting: QuestionRecounting,
): Promise<Extent> {
  const counts = await countEvents(session, range, filter, recounting)
  const ends = (['asc', 'desc'] as const).map((order) =>
    readEvents(session, range, filter, { order, limit: 1 }),
  )
  const [first, last] = await Promise.all(ends)
  return {
    events: counts.reduce((sum, { count }) => sum + count, 0),
    firstTime: first?.[0]?.eventTime ?? null,
    lastTime: last?.[0]?.eventTime ?? null,
  }
}

/**
 * Different parties by day and in all. Where only bots are filtered it is an estimate within 2 % (see
 * hyperloglog.ts), but for closed days, which are exact; else they are counted.
 */
export async function countParties(
  session: Session,
  range: TimeRange,
  filter: Filter,
  recounting: QuestionRecounting,
): Promise<Uniques> {
  const { days, rest } = restrictsOnly(filter)
    ? await divideRange(session, range)
    : { days: [], rest: [range] }
  if (rest.length > 0 || days.length === 0) return countPartiesByRows(session, range, filter)
  const all = createHyperLogLog()
  const tallies = await readTallies(session, days, ['parties'], recounting)
  const exact = await readExactParties(session, days, filter.bots)
  const rows = tallies.flatMap((row, index): UniqueRow[] => {
    if (row === undefined) return []
    const ofDay = partiesOf(row['parties'], filter)
    unite(all, ofDay)
    const day = (days[index] as Day).name
    const parties = exact.get(day) ?? estimate(ofDay)
    return parties === 0 ? [] : [{ day, parties }]
  })
  return { rows, parties: rows.length === 1 ? (rows[0]?.parties ?? 0) : estimate(all) }
}

function partiesOf(blob: Buffer, { bots }: Filter): HyperLogLog {
  const { people, bots: robots } = decodeParties(blob)
  if (bots === 'include') unite(people, robots)
  return people
}

async function countPartiesByRows(
  session: Session,
  range: TimeRange,
  filter: Filter,
): Promise<Uniques> {
  const all = new Set<string>()
  const days = new Map<string, Set<string>>()
  let kept = 0
  await visitSeen(session, range, filter, [], ({ eventTime, partyId }) => {
    if (partyId === '') return
    const day = dayOf(eventTime)
    const ofDay = days.get(day) ?? new Set<string>()
    if (ofDay.has(partyId)) return
    days.set(day, ofDay.add(partyId))
    all.add(partyId)
    checkKept(++kept, 'parties of a day')
  })
  const rows = [...days].map(([day, parties]) => ({ day, parties: parties.size }))
  return { rows: rows.sort((a, b) => compareUtf8(a.day, b.day)), parties: all.size }
}

/** The events of each item. */
export async function countItems(
  session: Session,
  range: TimeRange,
  filter: Filter,
  recounting: QuestionRecounting,
): Promise<Map<string, number>> {
  const counts = new Map<string, number>()
  const add = (itemId: string, count: number): void => {
    counts.set(itemId, (counts.get(itemId) ?? 0) + count)
    checkKept(counts.size, 'items')
  }
  const { days, rest } = restrictsOnly(filter, 'eventType', 'itemId')
    ? await divideRange(session, range)
    : { days: [], rest: [range] }
  for (const row of await readTallies(session, days, ['items'], recounting)) {
    if (row === undefined) continue
    for (const [key, items] of decodeItems(row['items'])) {
      const { isBot, eventType } = readKey(key)
      if (isBot && filter.bots === 'exclude') continue
      if (filter.eventType !== undefined && filter.eventType !== eventType) continue
      for (const [itemId, count] of items) {
        if (filter.itemId === undefined || filter.itemId === itemId) add(itemId, count)
      }
    }
  }
  for (const part of rest) {
    await visitSeen(session, part, filter, ['item_id'], ({ itemId }) => {
      if (itemId !== null) add(itemId, 1)
    })
  }
  return counts
}

/** The values with the largest counts; of equal counts the one that sorts first. */
export function largest(counts: ReadonlyMap<string, number>, limit: number): TopRow[] {
  return [...counts]
    .map(([value, count]) => ({ value, count }))
    .sort((a, b) => b.count - a.count || compareUtf8(a.value, b.value))
    .slice(0, limit)
}
