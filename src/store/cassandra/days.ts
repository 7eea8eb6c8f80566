import { dayMs, dayOf } from '../../lib/clock.ts'
import { dayNumberOf, type Layout } from '../bucket.ts'
import type { TimeRange } from '../store.ts'
import { mapParallel } from './parallel.ts'
import type { CqlRow, Session } from './session.ts'

/**
 * The days that have events, each with its layout: the table `bucket_map`. A day's layout is fixed by
 * whoever writes its first event, for all writers and readers; a day without one does not exist.
 */

export interface Day {
  /** Whole days since 1970, UTC. */
  readonly number: number
  /** `YYYY-MM-DD`. */
  readonly name: string
  readonly layout: Layout
}

/** The days with events that a range touches, oldest first. */
export async function readDays(session: Session, { from, to }: TimeRange): Promise<Day[]> {
  if (from >= to) return []
  const first = dayNumberOf(from)
  const last = dayNumberOf(to - 1)
  const months = new Set<string>()
  for (let day = first; day < last; day += 28) months.add(monthOf(day))
  months.add(monthOf(last))
  const found = await mapParallel(months, 16, (month) =>
    session.rows('SELECT day, slot_ms, shards FROM bucket_map WHERE month = ?', [month]),
  )
  return sorted(found.flat()).filter(({ number }) => number >= first && number <= last)
}

/** Every day with events, oldest first. */
export async function readAllDays(session: Session): Promise<Day[]> {
  return sorted(await session.rows('SELECT day, slot_ms, shards FROM bucket_map'))
}

function sorted(rows: readonly CqlRow[]): Day[] {
  return rows.map(dayOfRow).sort((a, b) => a.number - b.number)
}

/** The days that a writer writes to; it remembers their layouts, which never change. */
export interface WriterDays {
  /** The layout of a day, made when it has none. */
  readonly ensure: (day: number) => Promise<Day>
  /** The layout of a day, undefined when it has no events. */
  readonly find: (day: number) => Promise<Day | undefined>
  readonly forget: (day: number) => void
}

/** A day's row may be deleted by retention elsewhere: then it must be made anew. */
const rememberedMs = 60_000

/** @param plan the layout for a new day */
export function createWriterDays(
  session: Session,
  plan: (day: number) => Promise<Layout>,
): WriterDays {
  const known = new Map<number, { readonly day: Day; readonly until: number }>()

  async function find(number: number): Promise<Day | undefined> {
    const remembered = known.get(number)
    if (remembered !== undefined && remembered.until > performance.now()) return remembered.day
    const [row] = await session.rows(
      'SELECT day, slot_ms, shards FROM bucket_map WHERE month = ? AND day = ?',
      [monthOf(number), nameOf(number)],
    )
    if (row === undefined) return
    const day = dayOfRow(row)
    if (known.size > 1_000) known.clear()
    known.set(number, { day, until: performance.now() + rememberedMs })
    return day
  }

  return {
    find,
    async ensure(number) {
      const existing = await find(number)
      if (existing !== undefined) return existing
      const { slotMs, shards } = await plan(number)
      await session.compareAndSet(
        'INSERT INTO bucket_map (month, day, slot_ms, shards, created_at) VALUES (?, ?, ?, ?, toTimestamp(now())) IF NOT EXISTS',
        [monthOf(number), nameOf(number), slotMs, shards],
      )
      // Another writer may have been first.
      return (await find(number)) as Day
    },
    forget(number) {
      known.delete(number)
    },
  }
}

/** Makes a day not exist any more; its rows are deleted before. */
export async function dropDay(session: Session, { number, name }: Day): Promise<void> {
  // Conditional, as its making was: a plain deletion would not be ordered after that.
  await session.compareAndSet('DELETE FROM bucket_map WHERE month = ? AND day = ? IF EXISTS', [
    monthOf(number),
    name,
  ])
}

function dayOfRow(row: CqlRow): Day {
  const name = row['day'] as string
  return {
    number: Date.parse(`${name}T00:00:00Z`) / dayMs,
    name,
    layout: { slotMs: row['slot_ms'] as number, shards: row['shards'] as number },
  }
}

function nameOf(day: number): string {
  return dayOf(day * dayMs)
}

function monthOf(day: number): string {
  return nameOf(day).slice(0, 7)
}
