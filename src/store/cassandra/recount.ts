import { randomInt } from 'node:crypto'
import { MillraceError } from '../../event/error.ts'
import { type Clock, dayMs, minuteMs } from '../../lib/clock.ts'
import type { TimeRange } from '../store.ts'
import { createBucketCounts, type FullBucket } from './bucket-counts.ts'
import type { Day } from './days.ts'
import { hasSeen, type Marks, readMarks, slotMs, slotOf, wholeDaySlot } from './marks.ts'
import { forEachParallel } from './parallel.ts'
import { scanAll } from './scan.ts'
import { type CqlRow, int64, type Session, type Statement, timeOf, type Value } from './session.ts'
import {
  addTally,
  countRow,
  createTally,
  decodeCounts,
  decodeItems,
  decodeParties,
  decodeShards,
  encodeCounts,
  encodeItems,
  encodeParties,
  encodeShards,
  eventsOf,
  type Tally,
  tallyColumns,
} from './tally.ts'

/**
 * Brings a day's tally up to its marks: the slots that were written to since are counted anew from
 * their rows, and the day is the sum of its slots. Nothing is ever incremented, so a crash, a replay,
 * a repeat or an erasure can't make it wrong. Two that recount the same slot do no harm either: a
 * tally names the marks that it saw, so one that overwrites a newer one is seen to be outdated, and
 * `number`, which is also its write timestamp, rises with every recount.
 */

/** A slot of more events than this is counted anew only in the background, and only after a rest. */
export const largeEvents = 20_000

/** Each event of a large slot buys it this rest, in ms: counting takes a tenth of the time. */
const restMsPerEvent = 0.1

/** A slot that ended this long ago is done with, but for what comes late. */
const finishedMs = minuteMs

const roundsMax = 5
const inFlightMax = 8

/**
 * Which outdated slots are counted. For a `question` all but large ones that have been counted before:
 * it would wait for them. In the `background` these too, when they have rested. Of what a writer has
 * `written` those that are over: the others will be outdated again in a moment.
 */
export type RecountFor = 'question' | 'background' | 'written'

export interface Recounting {
  readonly clock: Clock
  /** `largeEvents`, but in tests. */
  readonly largeEvents: number
  /** Called between pages of rows; throws when the counting is not wanted any more. */
  readonly check?: () => void
}

/** How the tally of a day is afterwards. */
export interface Recounted {
  /** ms since 1970: what was stored until then is counted; null when all is. */
  readonly asOf: number | null
}

/** @throws MillraceError `store_unavailable` */
export async function recountDay(
  session: Session,
  day: Day,
  recounting: Recounting,
  reason: RecountFor,
): Promise<Recounted> {
  // Before the marks are read: whoever begins later has seen more, and its number is higher.
  const began = recounting.clock()
  const marks = await readMarks(session, day.name)
  const job: Job = { session, day, marks, began, recounting }
  for (let round = 1; round <= roundsMax; round++) {
    const found = await readSlots(session, day.name)
    const outdated = [...marks.keys()].filter(
      (slot) => slot !== wholeDaySlot && !isFresh(found.get(slot), marks.get(slot) ?? {}),
    )
    const left = new Set(outdated.filter((slot) => isLeft(job, reason, slot, found.get(slot))))
    const stale = outdated.filter((slot) => !left.has(slot))
    if (stale.length > 0) await recountSlots(job, stale, found)
    if (reason === 'written' && left.size > 0) return { asOf: began }
    const isWhole = await sumUp(job, left)
    if (isWhole) return { asOf: oldestOf(left, found) }
  }
  throw new MillraceError('store_unavailable', `the tally of ${day.name} is recounted elsewhere`)
}

/** What a recount knows from its beginning. */
interface Job {
  readonly session: Session
  readonly day: Day
  readonly marks: ReadonlyMap<number, Marks>
  /** ms since 1970. */
  readonly began: number
  readonly recounting: Recounting
}

interface StoredSlot {
  readonly seen: Marks
  readonly number: number
  readonly events: number
  /** ms since 1970: when counting it began. */
  readonly countedAt: number
}

function isFresh(stored: StoredSlot | undefined, marks: Marks): boolean {
  return stored !== undefined && hasSeen(stored.seen, marks)
}

/** Whether an outdated slot stays as it is. */
function isLeft(
  { day, began, recounting }: Job,
  reason: RecountFor,
  slot: number,
  stored: StoredSlot | undefined,
): boolean {
  if (reason === 'written' && day.number * dayMs + (slot + 1) * slotMs > began - finishedMs) {
    return true
  }
  if (stored === undefined || stored.events <= recounting.largeEvents) return false
  // Counted by a clock that is ahead, it would rest until this one is there.
  const rested = Math.abs(began - stored.countedAt)
  return reason === 'question' || rested < stored.events * restMsPerEvent
}

function oldestOf(slots: Iterable<number>, found: ReadonlyMap<number, StoredSlot>): number | null {
  let oldest: number | null = null
  for (const slot of slots) {
    const time = found.get(slot)?.countedAt
    if (time !== undefined) oldest = Math.min(oldest ?? time, time)
  }
  return oldest
}

const slotColumns = 'slot, seen, number, events, counted_at'

async function readSlots(session: Session, day: string): Promise<Map<number, StoredSlot>> {
  const rows = await session.rows(`SELECT ${slotColumns} FROM tallies WHERE day = ?`, [day])
  return new Map(rows.map((row) => [row['slot'] as number, slotOfRow(row)]))
}

function slotOfRow(row: CqlRow): StoredSlot {
  return {
    seen: row['seen'] ?? {},
    number: Number(row['number']),
    events: Number(row['events']),
    countedAt: timeOf(row['counted_at']),
  }
}

/** Counts these slots from their rows: neighbours in one go, and those that are near each other. */
async function recountSlots(
  job: Job,
  stale: readonly number[],
  found: ReadonlyMap<number, StoredSlot>,
): Promise<void> {
  const { session, day, marks, began } = job
  const start = day.number * dayMs
  for (const [first, last] of joinRuns(runsOf(stale), (slot) => found.get(slot)?.events ?? 0)) {
    const range = { from: start + first * slotMs, to: start + (last + 1) * slotMs }
    const tallies = await countSlots(job, range)
    const statements = stale
      .filter((slot) => slot >= first && slot <= last)
      .map((slot) => {
        const number = nextNumber(found.get(slot), began)
        const stamp = { seen: marks.get(slot) ?? {}, number }
        return tallyStatement(job, slot, tallies.get(slot) ?? createTally(), stamp)
      })
    await forEachParallel(partsOf(statements), inFlightMax, (part) => session.batch(part))
  }
}

/** Tallies in one mutation; each has some ten kilobytes at most, but for many items. */
const batchTallies = 8

function* partsOf(statements: readonly Statement[]): Generator<readonly Statement[]> {
  for (let at = 0; at < statements.length; at += batchTallies) {
    yield statements.slice(at, at + batchTallies)
  }
}

/** Events that are read for nothing rather than asking every bucket of the day once more. */
const gapEventsMax = 2_000

/** Puts runs together between which there are few events; both in the order of time. */
export function joinRuns(
  runs: readonly (readonly [first: number, last: number])[],
  eventsOfSlot: (slot: number) => number,
): [first: number, last: number][] {
  const joined: [number, number][] = []
  for (const [first, last] of runs) {
    const before = joined.at(-1)
    let events = 0
    for (let slot = (before?.[1] ?? first) + 1; slot < first; slot++) events += eventsOfSlot(slot)
    if (before !== undefined && events <= gapEventsMax) before[1] = last
    else joined.push([first, last])
  }
  return joined
}

async function countSlots(
  { session, recounting }: Job,
  range: TimeRange,
): Promise<Map<number, Tally>> {
  const tallies = new Map<number, Tally>()
  const scan = { range, filter: { bots: 'include' }, columns: tallyColumns } as const
  await scanAll(session, scan, (rows, shard) => {
    recounting.check?.()
    for (const row of rows) {
      const slot = slotOf(timeOf(row['event_date']))
      const tally = tallies.get(slot) ?? createTally()
      tallies.set(slot, tally)
      countRow(tally, row, shard)
    }
  })
  return tallies
}

/** First and last of each stretch of neighbours. */
export function runsOf(slots: readonly number[]): [first: number, last: number][] {
  const runs: [number, number][] = []
  for (const slot of slots.toSorted((a, b) => a - b)) {
    const run = runs.at(-1)
    if (run !== undefined && run[1] === slot - 1) run[1] = slot
    else runs.push([slot, slot])
  }
  return runs
}

/**
 * Writes the sum of the slots as the day's tally; those that are `left` go in as they are. False when
 * a slot was overwritten meanwhile by somebody who had seen less.
 */
async function sumUp(job: Job, left: ReadonlySet<number>): Promise<boolean> {
  const { session, day, marks, began } = job
  const sum = createTally()
  const buckets = createBucketCounts(day)
  const missing = new Set([...marks.keys()].filter((slot) => slot !== wholeDaySlot))
  const query = `SELECT ${slotColumns}, repeats, counts, items, parties, shards
    FROM tallies WHERE day = ? AND slot >= 0`
  let state: string | undefined
  do {
    const page = await session.page(query, [day.name], { rowsMax: 50, state })
    for (const row of page.rows) {
      const slot = row['slot'] as number
      if (!left.has(slot) && !isFresh(slotOfRow(row), marks.get(slot) ?? {})) return false
      missing.delete(slot)
      const tally = tallyOf(row)
      addTally(sum, tally)
      buckets.add(slot, tally.shards)
    }
    state = page.state
  } while (state !== undefined)
  if (missing.size > 0) return false
  const [before] = await session.rows(
    `SELECT ${slotColumns} FROM tallies WHERE day = ? AND slot = ?`,
    [day.name, wholeDaySlot],
  )
  const number = nextNumber(before && slotOfRow(before), began)
  // A day with a slot that was left has seen nothing for certain: the next question looks again.
  const seen = left.size > 0 ? {} : (marks.get(wholeDaySlot) ?? {})
  await session.batch([
    tallyStatement(job, wholeDaySlot, sum, { seen, number, ...buckets.largest() }),
  ])
  return true
}

/**
 * Rises with the time at which a recount began, so one that was held up loses against a later one. Two
 * that began in one ms differ in the last digits: of equal numbers Cassandra keeps the larger value
 * of each column apart.
 */
function nextNumber(stored: StoredSlot | undefined, began: number): number {
  return Math.max(began * 1_000 + randomInt(1_000), (stored?.number ?? 0) + 1)
}

/** What a tally is stored with. */
interface Stamp extends Partial<FullBucket> {
  readonly seen: Marks
  readonly number: number
}

function tallyStatement(job: Job, slot: number, tally: Tally, stamp: Stamp): Statement {
  const { seen, number, name, rows } = stamp
  const params: Value[] = [job.day.name, slot, int64(number), seen, int64(job.began)]
  params.push(int64(eventsOf(tally)), int64(tally.repeats))
  params.push(encodeCounts(tally), encodeItems(tally), encodeParties(tally))
  // Of a day the shards are in its slots.
  params.push(slot === wholeDaySlot ? undefined : encodeShards(tally))
  params.push(name, rows === undefined ? undefined : int64(rows), int64(number))
  return {
    query: `INSERT INTO tallies (day, slot, number, seen, counted_at, events, repeats, counts, items,
      parties, shards, bucket, bucket_rows) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
      USING TIMESTAMP ?`,
    params,
  }
}

function tallyOf(row: CqlRow): Tally {
  return {
    counts: decodeCounts(row['counts']),
    items: decodeItems(row['items']),
    ...decodeParties(row['parties']),
    repeats: Number(row['repeats']),
    shards: decodeShards(row['shards'] ?? null),
  }
}
