import { dayMs, secondMs } from '../lib/clock.ts'
import type { Pause } from './pause.ts'
import { orderOf, type SessionColumns } from './sessions.ts'

/**
 * Which sessions had an item, and which items a session had, as typed arrays. A session is a record
 * in one array: who looks at many sessions waits for memory, so each lies in one place. Records are
 * in the order of their last clicks, so the greatest places are the newest sessions.
 *
 *   session s              its record is at place p = sessionStarts[s]
 *   record at place p      sessions[p]        time of its last click, s since 1970
 *                          sessions[p + 1]    how many items it has, n
 *                          sessions[p + 2]    first of n entries: different items, by last click
 *   sessions with item i   postings[postingStarts[i] … postingStarts[i + 1])   places, rising
 */
export interface SessionIndex {
  /** Item number → id. */
  readonly itemIds: readonly string[]
  /** Id → item number; may know more items than were indexed. */
  readonly itemNumbers: ReadonlyMap<string, number>
  readonly sessionStarts: Uint32Array
  readonly sessions: Uint32Array
  readonly postingStarts: Uint32Array
  readonly postings: Uint32Array
}

/** Before the entries of a record: time and number. */
const headLength = 2

/** Where the entries of the record at `place` begin. */
export function entriesStart(place: number): number {
  return place + headLength
}

/** Where they end. */
export function entriesEnd({ sessions }: SessionIndex, place: number): number {
  return place + headLength + (sessions[place + 1] as number)
}

/** The item's number, which an entry has in its lower 24 bits: a map holds no more ids. */
export function entryItem(entry: number): number {
  return entry & 0xff_ffff
}

/** What the click counts when its session is a neighbour, 1 to 255: the upper 8 bits. */
export function entryWeight(entry: number): number {
  return entry >>> 24
}

/** Number of sessions. */
export function sessionCount(index: SessionIndex): number {
  return index.sessionStarts.length
}

/** Number of clicks, of which a session has one for each of its items. */
export function clickCount(index: SessionIndex): number {
  return index.postings.length
}

/** Number of items that can be looked up: later ones were not there when it was built. */
export function itemCount(index: SessionIndex): number {
  return index.postingStarts.length - 1
}

/** In how many sessions an item is. */
export function sessionsWith(index: SessionIndex, item: number): number {
  return (index.postingStarts[item + 1] as number) - (index.postingStarts[item] as number)
}

/**
 * Whether nobody has clicked the item for `daysMax` days; 0 for never.
 * @param at ms since 1970
 */
export function isExpired(
  index: SessionIndex | undefined,
  itemId: string,
  at: number,
  daysMax: number,
): boolean {
  if (daysMax === 0 || index === undefined) return false
  const item = index.itemNumbers.get(itemId)
  if (item === undefined || item >= itemCount(index)) return false
  const last = index.postings[(index.postingStarts[item + 1] as number) - 1] ?? 0
  return at - (index.sessions[last] as number) * secondMs > daysMax * dayMs
}

/** The known ones of `items`, as numbers. */
export function numbersOf(index: SessionIndex, items: readonly string[]): number[] {
  const known = itemCount(index)
  return items.flatMap((item) => {
    const number = index.itemNumbers.get(item)
    return number === undefined || number >= known || sessionsWith(index, number) === 0
      ? []
      : [number]
  })
}

/** The last `max` different ones, newest first. */
export function newestFirst(items: readonly number[], max: number): number[] {
  const different = new Set<number>()
  for (let at = items.length - 1; at >= 0 && different.size < max; at--) {
    different.add(items[at] as number)
  }
  return [...different]
}

/** Clicks that are worked on between two pauses: about a millisecond. */
const stepClicks = 20_000

/**
 * Indexes sessions in the order of their last clicks.
 * @param pause see `Pause`; it may do nothing
 */
export async function buildIndex(columns: SessionColumns, pause: Pause): Promise<SessionIndex> {
  const { starts, items, weights, times, count, itemIds, itemNumbers } = columns
  const order = await orderOf(times, count, pause)
  const postingStarts = new Uint32Array(itemIds.length + 1)
  const sessions = new Uint32Array((starts[count] as number) + headLength * count)
  const sessionStarts = new Uint32Array(count)
  let worked = 0
  let place = 0
  for (let session = 0; session < count; session++) {
    const from = order[session] as number
    const [start, end] = [starts[from] as number, starts[from + 1] as number]
    sessionStarts[session] = place
    sessions[place++] = times[from] as number
    sessions[place++] = end - start
    for (let click = start; click < end; click++) {
      const item = items[click] as number
      sessions[place++] = item | ((weights[click] as number) << 24)
      postingStarts[item + 1] = (postingStarts[item + 1] as number) + 1
    }
    worked += end - start
    if (worked > stepClicks) {
      worked = 0
      await pause()
    }
  }
  for (let item = 0; item + 1 < postingStarts.length; item++) {
    postingStarts[item + 1] = (postingStarts[item + 1] as number) + (postingStarts[item] as number)
  }
  const postings = new Uint32Array(starts[count] as number)
  const index = { itemIds, itemNumbers, sessionStarts, sessions, postingStarts, postings }
  await fillPostings(index, pause)
  return index
}

async function fillPostings(index: SessionIndex, pause: Pause): Promise<void> {
  const { sessionStarts, sessions, postingStarts, postings } = index
  const next = postingStarts.slice(0, -1)
  let worked = 0
  for (const place of sessionStarts) {
    const end = entriesEnd(index, place)
    for (let at = entriesStart(place); at < end; at++) {
      const item = entryItem(sessions[at] as number)
      const posting = next[item] as number
      postings[posting] = place
      next[item] = posting + 1
      worked++
    }
    if (worked > stepClicks) {
      worked = 0
      await pause()
    }
  }
}
