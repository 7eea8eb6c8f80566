import type { Pause } from './pause.ts'

/**
 * Finished sessions in growing columns: what an index is built from.
 *
 *   items of session s   items[starts[s] … starts[s + 1])   different ones, in the order of their last clicks
 *   weights              beside items: what the click counts as a neighbour's, 1 to 255
 *   times[s]             of its last click, s since 1970
 *   owners[s]            a number that stands for its party; see `ownerOf`
 *
 * 5 bytes a click and 16 a session, at most twice that while the columns grow.
 */
export interface Sessions {
  /** The item's number, a new one if it has none; undefined when there are too many items. */
  readonly numberOf: (itemId: string) => number | undefined
  /** The id of a number that `numberOf` has given. */
  readonly itemId: (item: number) => string
  readonly add: (session: FinishedSession) => void
  /** Takes every session of a party out. */
  readonly forget: (owner: number) => void
  /** Sessions and clicks that are in. */
  readonly size: () => { readonly sessions: number; readonly clicks: number }
  /** A copy of the columns as they are now, with these sessions at the end. */
  readonly copy: (open?: readonly FinishedSession[]) => SessionColumns
}

/** One session. */
export interface FinishedSession {
  /** Different ones, in the order of their last clicks. */
  readonly items: readonly number[]
  /** Of each item; all 1 when absent. */
  readonly weights?: readonly number[]
  /** Of the last click, ms since 1970. */
  readonly timeMs: number
  readonly owner: number
}

/** See `Sessions`. */
export interface SessionColumns {
  readonly count: number
  readonly weights: Uint8Array
  readonly starts: Uint32Array
  readonly items: Uint32Array
  readonly times: Uint32Array
  readonly itemIds: readonly string[]
  readonly itemNumbers: ReadonlyMap<string, number>
}

/** Bounds of what is kept. */
export interface SessionsOptions {
  /** Most clicks; the sessions that were added first go, a quarter at a time. */
  readonly clicksMax: number
  /** Most different items; clicks on further ones are left out, as anybody can make some up. */
  readonly itemsMax: number
}

const capacityMin = 1_024

export function createSessions({ clicksMax, itemsMax }: SessionsOptions): Sessions {
  const itemIds: string[] = []
  const itemNumbers = new Map<string, number>()
  const columns: GrowingColumns = {
    count: 0,
    items: new Uint32Array(capacityMin),
    weights: new Uint8Array(capacityMin),
    starts: new Uint32Array(capacityMin),
    times: new Uint32Array(capacityMin),
    owners: new Float64Array(capacityMin),
  }
  return {
    numberOf(itemId) {
      const known = itemNumbers.get(itemId)
      if (known !== undefined || itemIds.length >= itemsMax) return known
      itemNumbers.set(itemId, itemIds.length)
      return itemIds.push(itemId) - 1
    },
    itemId: (item) => itemIds[item] as string,
    add: (session) => {
      addTo(columns, session, clicksMax)
    },
    forget: (owner) => keep(columns, (session) => columns.owners[session] !== owner),
    size: () => ({ sessions: columns.count, clicks: clicksOf(columns) }),
    copy(open = []) {
      const added = open.filter((session) => addTo(columns, session, clicksMax)).length
      const { count } = columns
      const clicks = clicksOf(columns)
      // What was added for the copy goes again; where it made the oldest ones go, those stay gone.
      columns.count -= added
      return {
        count,
        starts: columns.starts.slice(0, count + 1),
        items: columns.items.slice(0, clicks),
        weights: columns.weights.slice(0, clicks),
        times: columns.times.slice(0, count),
        itemIds,
        itemNumbers,
      }
    },
  }
}

interface GrowingColumns {
  count: number
  items: Uint32Array
  weights: Uint8Array
  starts: Uint32Array
  times: Uint32Array
  owners: Float64Array
}

function clicksOf({ starts, count }: GrowingColumns): number {
  return starts[count] as number
}

/** Whether it was one that can be kept. */
function addTo(columns: GrowingColumns, session: FinishedSession, clicksMax: number): boolean {
  const { length } = session.items
  if (length === 0 || length > clicksMax) return false
  makeRoom(columns, length, clicksMax)
  const start = clicksOf(columns)
  const { count } = columns
  columns.items.set(session.items, start)
  if (session.weights === undefined) columns.weights.fill(1, start, start + length)
  else columns.weights.set(session.weights, start)
  columns.times[count] = Math.max(0, Math.floor(session.timeMs / 1_000))
  columns.owners[count] = session.owner
  columns.starts[count + 1] = start + length
  columns.count++
  return true
}

function makeRoom(columns: GrowingColumns, clicks: number, clicksMax: number): void {
  if (clicksOf(columns) + clicks > clicksMax) {
    const drop = Math.max(clicks, Math.ceil(clicksMax / 4))
    const { starts } = columns
    // Read before it is written over: a session moves to the front only.
    keep(columns, (session) => (starts[session] as number) >= drop)
  }
  const needed = clicksOf(columns) + clicks
  if (needed > columns.items.length) {
    const capacity = Math.max(needed, 2 * columns.items.length)
    columns.items = grown(columns.items, new Uint32Array(capacity))
    columns.weights = grown(columns.weights, new Uint8Array(capacity))
  }
  if (columns.count + 2 <= columns.starts.length) return
  const capacity = 2 * columns.starts.length
  columns.starts = grown(columns.starts, new Uint32Array(capacity))
  columns.times = grown(columns.times, new Uint32Array(capacity))
  columns.owners = grown(columns.owners, new Float64Array(capacity))
}

/** Keeps the sessions that `isKept` names, in their order. */
function keep(columns: GrowingColumns, isKept: (session: number) => boolean): void {
  const { items, weights, starts, times, owners } = columns
  let kept = 0
  let to = 0
  for (let session = 0; session < columns.count; session++) {
    if (!isKept(session)) continue
    const start = starts[session] as number
    const end = starts[session + 1] as number
    items.copyWithin(to, start, end)
    weights.copyWithin(to, start, end)
    times[kept] = times[session] as number
    owners[kept] = owners[session] as number
    starts[kept] = to
    to += end - start
    kept++
  }
  starts[kept] = to
  columns.count = kept
}

function grown<Column extends Uint8Array | Uint32Array | Float64Array>(
  from: Column,
  to: Column,
): Column {
  to.set(from)
  return to
}

/** Sessions that are sorted between two pauses: about a millisecond. */
const sortedAtOnce = 50_000

/**
 * The order of sessions by time, those of one second in the order in which they were added: a radix
 * sort by two halves, as comparing a million of them would hold up the process for a second.
 */
export async function orderOf(
  times: Uint32Array,
  count: number,
  pause: Pause,
): Promise<Uint32Array> {
  let order = new Uint32Array(count)
  for (let session = 0; session < count; session++) order[session] = session
  for (const shift of [0, 16]) {
    await pause()
    const next = new Uint32Array(0x10000 + 1)
    for (let at = 0; at < count; at++) {
      const digit = ((times[at] as number) >>> shift) & 0xffff
      next[digit + 1] = (next[digit + 1] as number) + 1
    }
    for (let digit = 0; digit < 0x10000; digit++) {
      next[digit + 1] = (next[digit + 1] as number) + (next[digit] as number)
    }
    const sorted = new Uint32Array(count)
    for (let at = 0; at < count; at++) {
      const session = order[at] as number
      const digit = ((times[session] as number) >>> shift) & 0xffff
      const place = next[digit] as number
      sorted[place] = session
      next[digit] = place + 1
      if (at % sortedAtOnce === 0) await pause()
    }
    order = sorted
  }
  return order
}

/**
 * A number of 52 bits that stands for a party: a finished session needs it only to be found when
 * the party asks to be erased, and a text would need ten times the bytes.
 */
export function ownerOf(key: string): number {
  let [high, low] = [0x9e3779b9, 0x85ebca6b]
  for (let at = 0; at < key.length; at++) {
    const code = key.charCodeAt(at)
    high = Math.imul(high ^ code, 0x9e3779b1)
    low = Math.imul(low ^ code, 0x5f356495)
  }
  high = Math.imul(high ^ (high >>> 16), 0x85ebca6b) ^ Math.imul(low ^ (low >>> 13), 0xc2b2ae35)
  low = Math.imul(low ^ (low >>> 16), 0x85ebca6b) ^ Math.imul(high ^ (high >>> 13), 0xc2b2ae35)
  return (high & 0xfffff) * 2 ** 32 + (low >>> 0)
}
