import { type Slot, slotsOf } from '../bucket.ts'
import type { EventCursor, EventPage, Filter, TimeRange } from '../store.ts'
import { type Day, readDays } from './days.ts'
import { conditionsOf } from './filter.ts'
import { forEachParallel } from './parallel.ts'
import { type CqlRow, int64, type Session, timeOf, type Value } from './session.ts'

/** Reading rows of many partitions, in flat memory: all of them, or in the order of time. */

/** Partitions that are read at once where the order does not matter; the decoder is the limit. */
const inFlightMax = 8
const pageRowsMax = 2_000

/** What to read. */
export interface Scan {
  readonly range: TimeRange
  /** The party and the device are not checked here: see `passes`. */
  readonly filter: Filter
  /** Selected besides the key. */
  readonly columns: string
}

const keyColumns = 'event_date, event_id, click_stream_cookie_id'

/** Calls `visit` with every page of rows and the shard that they are of, in no order. */
export async function scanAll(
  session: Session,
  scan: Scan,
  visit: (rows: readonly CqlRow[], shard: number) => void,
): Promise<void> {
  const days = await readDays(session, scan.range)
  await forEachParallel(bucketsOf(days, scan.range), inFlightMax, async ([shard, pk]) => {
    for await (const rows of readBucket(session, pk, scan, 'asc', undefined, pageRowsMax)) {
      visit(rows, shard)
    }
  })
}

function* bucketsOf(days: readonly Day[], range: TimeRange): Generator<readonly [number, string]> {
  for (const day of days) {
    for (const { buckets } of slotsWithin(day, range)) yield* buckets.entries()
  }
}

/** The slots of a day that a range touches. */
export function slotsWithin({ number, layout }: Day, { from, to }: TimeRange): Slot[] {
  return slotsOf(number, layout).filter((slot) => slot.from < to && slot.to > from)
}

/**
 * Rows in the order of (eventTime, eventId, partyId), some at a time: slot after slot, the buckets of
 * a slot merged. `page.limit` is how many the caller will take at most, as far as it knows.
 */
export async function* scanInOrder(
  session: Session,
  scan: Scan,
  page: EventPage,
): AsyncGenerator<CqlRow[], void, undefined> {
  const { order, limit, after } = page
  const range = narrow(scan.range, page)
  const days = await readDays(session, range)
  for (const day of inOrder(days, order)) {
    for (const { buckets } of inOrder(slotsWithin(day, range), order)) {
      // Each bucket has its share of what is wanted, and some to spare, as shares are uneven.
      const rowsMax = Math.min(pageRowsMax, Math.ceil((limit / buckets.length) * 1.25) + 8)
      const readers = buckets.map((pk) =>
        readBucket(session, pk, { ...scan, range }, order, after, rowsMax),
      )
      yield* merge(readers, order)
    }
  }
}

export function inOrder<Item>(items: readonly Item[], order: EventPage['order']): readonly Item[] {
  return order === 'asc' ? items : items.toReversed()
}

/** What is left of a range after the cursor. */
export function narrow({ from, to }: TimeRange, { order, after }: EventPage): TimeRange {
  if (after === undefined) return { from, to }
  return order === 'asc'
    ? { from: Math.max(from, after.eventTime), to }
    : { from, to: Math.min(to, after.eventTime + 1) }
}

async function* readBucket(
  session: Session,
  pk: string,
  { range, filter, columns }: Scan,
  order: EventPage['order'],
  after: EventCursor | undefined,
  rowsMax: number,
): AsyncGenerator<CqlRow[], void, undefined> {
  const { texts, params } = conditionsOf(filter)
  const [start, startParams] = startOf(range, order, after)
  const where = ['pk = ?', ...start, ...texts].join(' AND ')
  const selected = columns === '' ? keyColumns : `${keyColumns}, ${columns}`
  const direction = order === 'asc' ? '' : 'ORDER BY event_date DESC'
  const filtering = texts.length > 0 ? 'ALLOW FILTERING' : ''
  const query = `SELECT ${selected} FROM click_stream WHERE ${where} ${direction} ${filtering}`
  const bound = [pk, ...startParams, ...params]
  let state: string | undefined
  do {
    const page = await session.page(query, bound, { rowsMax, state })
    if (page.rows.length > 0) yield page.rows
    state = page.state
  } while (state !== undefined)
}

/** Conditions on the clustering columns: the range, beginning after the cursor. */
function startOf(
  { from, to }: TimeRange,
  order: EventPage['order'],
  after: EventCursor | undefined,
): [texts: string[], params: Value[]] {
  if (after === undefined || after.eventTime < from || after.eventTime >= to) {
    return [
      ['event_date >= ?', 'event_date < ?'],
      [int64(from), int64(to)],
    ]
  }
  const beyond = order === 'asc' ? '>' : '<'
  const bound = order === 'asc' ? '(event_date) < (?)' : '(event_date) >= (?)'
  return [
    [`(${keyColumns}) ${beyond} (?, ?, ?)`, bound],
    [int64(after.eventTime), after.eventId, after.partyId, int64(order === 'asc' ? to : from)],
  ]
}

/** One of several readers whose rows are merged. */
interface Lane {
  readonly reader: AsyncGenerator<CqlRow[], void, undefined>
  rows: CqlRow[]
  at: number
}

/** Merges readers that are each in order; yields a run of rows whenever a reader has to be waited for. */
async function* merge(
  readers: readonly AsyncGenerator<CqlRow[], void, undefined>[],
  order: EventPage['order'],
): AsyncGenerator<CqlRow[], void, undefined> {
  const lanes = await Promise.all(
    readers.map(async (reader): Promise<Lane> => ({ reader, rows: await more(reader), at: 0 })),
  )
  const compare = order === 'asc' ? compareLanes : (a: Lane, b: Lane) => compareLanes(b, a)
  const waiting = lanes.filter(({ rows }) => rows.length > 0).sort(compare)
  let run: CqlRow[] = []
  while (waiting.length > 0) {
    const lane = waiting.shift() as Lane
    run.push(lane.rows[lane.at++] as CqlRow)
    if (lane.at === lane.rows.length) {
      yield run
      run = []
      lane.rows = await more(lane.reader)
      lane.at = 0
    }
    if (lane.rows.length > 0) insert(waiting, lane, compare)
  }
  if (run.length > 0) yield run
}

async function more(reader: AsyncGenerator<CqlRow[], void, undefined>): Promise<CqlRow[]> {
  const next = await reader.next()
  return next.done === true ? [] : next.value
}

function insert(lanes: Lane[], lane: Lane, compare: (a: Lane, b: Lane) => number): void {
  let low = 0
  let high = lanes.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (compare(lanes[middle] as Lane, lane) <= 0) low = middle + 1
    else high = middle
  }
  lanes.splice(low, 0, lane)
}

function compareLanes(a: Lane, b: Lane): number {
  return compareKeys(a.rows[a.at] as CqlRow, b.rows[b.at] as CqlRow)
}

/** The order of the contract, which is also Cassandra's. */
export function compareKeys(a: CqlRow, b: CqlRow): number {
  return (
    timeOf(a['event_date']) - timeOf(b['event_date']) ||
    compareUtf8(a['event_id'], b['event_id']) ||
    compareUtf8(a['click_stream_cookie_id'], b['click_stream_cookie_id'])
  )
}

/** By UTF-8 bytes, which is by code point; JavaScript compares UTF-16 units. */
export function compareUtf8(a: string, b: string): number {
  return a === b ? 0 : Buffer.compare(Buffer.from(a), Buffer.from(b))
}
