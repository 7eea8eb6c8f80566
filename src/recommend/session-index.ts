import type { Pause } from './pause.ts'
import { orderOf, type SessionColumns } from './sessions.ts'

/**
 * Which sessions had an item, and which items a session had, as typed arrays: sessions are numbered
 * by the time of their last click, so the greatest numbers are the newest sessions.
 *
 *   items of session s      sessionItems[sessionStarts[s] … sessionStarts[s + 1])   different ones, by last click
 *   sessions with item i    postings[postingStarts[i] … postingStarts[i + 1])       rising, so oldest first
 */
export interface SessionIndex {
  /** Item number → id. */
  readonly itemIds: readonly string[]
  /** Id → item number; may know more items than were indexed. */
  readonly itemNumbers: ReadonlyMap<string, number>
  readonly sessionStarts: Uint32Array
  readonly sessionItems: Uint32Array
  /** Beside `sessionItems`: what each counts when its session is a neighbour. */
  readonly sessionWeights: Uint8Array
  /** Of the last click, s since 1970. */
  readonly sessionTimes: Uint32Array
  readonly postingStarts: Uint32Array
  readonly postings: Uint32Array
}

/** Number of sessions. */
export function sessionCount(index: SessionIndex): number {
  return index.sessionTimes.length
}

/** Number of items that can be looked up: later ones were not there when it was built. */
export function itemCount(index: SessionIndex): number {
  return index.postingStarts.length - 1
}

/** In how many sessions an item is. */
export function sessionsWith(index: SessionIndex, item: number): number {
  return (index.postingStarts[item + 1] as number) - (index.postingStarts[item] as number)
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
  const clicks = starts[count] as number
  const postingStarts = new Uint32Array(itemIds.length + 1)
  const sessionItems = new Uint32Array(clicks)
  const sessionWeights = new Uint8Array(clicks)
  const sessionStarts = new Uint32Array(count + 1)
  const sessionTimes = new Uint32Array(count)
  let worked = 0
  let at = 0
  for (let session = 0; session < count; session++) {
    const from = order[session] as number
    const [start, end] = [starts[from] as number, starts[from + 1] as number]
    sessionTimes[session] = times[from] as number
    for (let click = start; click < end; click++) {
      const item = items[click] as number
      sessionWeights[at] = weights[click] as number
      sessionItems[at++] = item
      postingStarts[item + 1] = (postingStarts[item + 1] as number) + 1
    }
    sessionStarts[session + 1] = at
    worked += end - start
    if (worked > stepClicks) {
      worked = 0
      await pause()
    }
  }
  for (let item = 0; item + 1 < postingStarts.length; item++) {
    postingStarts[item + 1] = (postingStarts[item + 1] as number) + (postingStarts[item] as number)
  }
  const postings = await fillPostings(sessionStarts, sessionItems, postingStarts, pause)
  return {
    itemIds,
    itemNumbers,
    sessionStarts,
    sessionItems,
    sessionWeights,
    sessionTimes,
    postingStarts,
    postings,
  }
}

async function fillPostings(
  sessionStarts: Uint32Array,
  sessionItems: Uint32Array,
  postingStarts: Uint32Array,
  pause: Pause,
): Promise<Uint32Array> {
  const postings = new Uint32Array(sessionItems.length)
  const next = postingStarts.slice(0, -1)
  let worked = 0
  for (let session = 0; session + 1 < sessionStarts.length; session++) {
    const end = sessionStarts[session + 1] as number
    for (let at = sessionStarts[session] as number; at < end; at++) {
      const item = sessionItems[at] as number
      const place = next[item] as number
      postings[place] = session
      next[item] = place + 1
      worked++
    }
    if (worked > stepClicks) {
      worked = 0
      await pause()
    }
  }
  return postings
}
