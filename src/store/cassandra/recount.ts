import { MillraceError } from '../../event/error.ts'
import { type Clock, dayMs } from '../../lib/clock.ts'
import type { TimeRange } from '../store.ts'
import type { Day } from './days.ts'
import { hasSeen, type Marks, readMarks, slotMs, slotOf, wholeDaySlot } from './marks.ts'
import { forEachParallel } from './parallel.ts'
import { scanAll } from './scan.ts'
import { type CqlRow, int64, type Session, timeOf, type Value } from './session.ts'
import {
  addTally,
  countRow,
  createTally,
  decodeCounts,
  decodeItems,
  decodeParties,
  encodeCounts,
  encodeItems,
  encodeParties,
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

/** A slot of this many events is counted anew only after a while: see `restMs`. */
const largeEvents = 20_000

/** Each event of a large slot buys it this rest, in ms: counting takes a tenth of the time. */
const restMsPerEvent = 0.1

const roundsMax = 5
const inFlightMax = 8

/** @throws MillraceError `store_unavailable` */
export async function recountDay(session: Session, day: Day, clock: Clock): Promise<void> {
  const marks = await readMarks(session, day.name)
  const isResting = restingAt(clock())
  for (let round = 1; round <= roundsMax; round++) {
    const found = await readSlots(session, day.name)
    const stale = [...marks.keys()].filter((slot) => {
      if (slot === wholeDaySlot) return false
      const stored = found.get(slot)
      return !isFresh(stored, marks.get(slot) ?? {}) && !isResting(stored)
    })
    if (stale.length > 0) await recountSlots(session, day, stale, marks, found, clock)
    const isWhole = await sumUp(session, day, marks, isResting, clock)
    if (isWhole) return
  }
  throw new MillraceError('store_unavailable', `the tally of ${day.name} is recounted elsewhere`)
}

interface StoredSlot {
  readonly seen: Marks
  readonly number: number
  readonly events: number
  readonly countedAt: number
}

function isFresh(stored: StoredSlot | undefined, marks: Marks): boolean {
  return stored !== undefined && hasSeen(stored.seen, marks)
}

function restingAt(now: number): (stored: StoredSlot | undefined) => boolean {
  return (stored) =>
    stored !== undefined &&
    stored.events > largeEvents &&
    now - stored.countedAt < stored.events * restMsPerEvent
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

/** Counts these slots from their rows: neighbours in one go. */
async function recountSlots(
  session: Session,
  day: Day,
  stale: readonly number[],
  marks: ReadonlyMap<number, Marks>,
  found: ReadonlyMap<number, StoredSlot>,
  clock: Clock,
): Promise<void> {
  const start = day.number * dayMs
  for (const [first, last] of runsOf(stale)) {
    const range = { from: start + first * slotMs, to: start + (last + 1) * slotMs }
    const tallies = await countSlots(session, range)
    const slots = Array.from({ length: last - first + 1 }, (_, index) => first + index)
    await forEachParallel(slots, inFlightMax, async (slot) => {
      const tally = tallies.get(slot) ?? createTally()
      const number = nextNumber(found.get(slot), clock)
      await writeTally(session, day.name, slot, tally, marks.get(slot) ?? {}, number, clock)
    })
  }
}

async function countSlots(session: Session, range: TimeRange): Promise<Map<number, Tally>> {
  const tallies = new Map<number, Tally>()
  const scan = { range, filter: { bots: 'include' }, columns: tallyColumns } as const
  await scanAll(session, scan, (rows) => {
    for (const row of rows) {
      const slot = slotOf(timeOf(row['event_date']))
      const tally = tallies.get(slot) ?? createTally()
      tallies.set(slot, tally)
      countRow(tally, row)
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
 * Writes the sum of the slots as the day's tally. False when a slot was overwritten meanwhile by
 * somebody who had seen less.
 */
async function sumUp(
  session: Session,
  day: Day,
  marks: ReadonlyMap<number, Marks>,
  isResting: (stored: StoredSlot | undefined) => boolean,
  clock: Clock,
): Promise<boolean> {
  const sum = createTally()
  const missing = new Set([...marks.keys()].filter((slot) => slot !== wholeDaySlot))
  const query = `SELECT ${slotColumns}, repeats, counts, items, parties FROM tallies WHERE day = ? AND slot >= 0`
  let hasResting = false
  let state: string | undefined
  do {
    const page = await session.page(query, [day.name], { rowsMax: 50, state })
    for (const row of page.rows) {
      const slot = row['slot'] as number
      const stored = slotOfRow(row)
      if (!isFresh(stored, marks.get(slot) ?? {})) {
        if (!isResting(stored)) return false
        hasResting = true
      }
      missing.delete(slot)
      addTally(sum, tallyOf(row))
    }
    state = page.state
  } while (state !== undefined)
  if (missing.size > 0) return false
  const [before] = await session.rows(
    `SELECT ${slotColumns} FROM tallies WHERE day = ? AND slot = ?`,
    [day.name, wholeDaySlot],
  )
  const number = nextNumber(before && slotOfRow(before), clock)
  // A day with a slot that rests has seen nothing for certain: the next question looks again.
  const seen = hasResting ? {} : (marks.get(wholeDaySlot) ?? {})
  await writeTally(session, day.name, wholeDaySlot, sum, seen, number, clock)
  return true
}

function nextNumber(stored: StoredSlot | undefined, clock: Clock): number {
  return Math.max(clock() * 1_000, (stored?.number ?? 0) + 1)
}

async function writeTally(
  session: Session,
  day: string,
  slot: number,
  tally: Tally,
  seen: Marks,
  number: number,
  clock: Clock,
): Promise<void> {
  const params: Value[] = [day, slot, int64(number), seen, int64(clock())]
  params.push(int64(eventsOf(tally)), int64(tally.repeats))
  params.push(encodeCounts(tally), encodeItems(tally), encodeParties(tally), int64(number))
  await session.rows(
    `INSERT INTO tallies (day, slot, number, seen, counted_at, events, repeats, counts, items, parties)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?`,
    params,
  )
}

function tallyOf(row: CqlRow): Tally {
  return {
    counts: decodeCounts(row['counts']),
    items: decodeItems(row['items']),
    ...decodeParties(row['parties']),
    repeats: Number(row['repeats']),
  }
}
