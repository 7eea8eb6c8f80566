import { randomUUID } from 'node:crypto'
import { dayMs, minuteMs } from '../../lib/clock.ts'
import { dayNumberOf } from '../bucket.ts'
import { forEachParallel, mapParallel } from './parallel.ts'
import type { Receipt } from './receipt.ts'
import { type CqlRow, int64, type Session, type Statement, type Value } from './session.ts'

/**
 * What tells a recount that it is outdated. After its rows and before its positions a write leaves a
 * mark in every five-minute slot, and in every day, that it touched: the writer's name and a version
 * that grows with each write. A tally keeps the marks that it saw before it counted; where these are
 * no longer the marks, rows may have come that it has not seen. Marks are overwritten and never
 * deleted, so reading them meets no tombstones.
 */

export const slotMs = 5 * minuteMs

/** Stands for the whole day among the slots. */
export const wholeDaySlot = -1

/** The five-minute slot of a time in its day: 0 to 287. */
export function slotOf(eventTime: number): number {
  return Math.floor((eventTime - dayNumberOf(eventTime) * dayMs) / slotMs)
}

/** The latest version of each writer. */
export type Marks = Readonly<Record<string, bigint>>

export interface MarkWriter {
  /** Marks what was written; `days` are the names of the days of the receipts. */
  readonly mark: (
    rows: readonly Pick<Receipt, 'eventTime'>[],
    days: ReadonlyMap<number, string>,
  ) => Promise<void>
}

const inFlightMax = 16

/** A name of its own for each opening of the store: two writers never overwrite each other's marks. */
export function createMarkWriter(session: Session): MarkWriter {
  const writer = randomUUID()
  let version = 0
  return {
    async mark(rows, days) {
      version++
      const slots = new Map<number, Set<number>>()
      for (const { eventTime } of rows) {
        const day = dayNumberOf(eventTime)
        const touched = slots.get(day) ?? new Set([wholeDaySlot])
        slots.set(day, touched.add(slotOf(eventTime)))
      }
      await forEachParallel(slots, inFlightMax, async ([day, touched]) => {
        const name = days.get(day) as string
        await session.batch([...touched].map((slot) => markOf(name, slot, writer, version)))
      })
    },
  }
}

function markOf(day: string, slot: number, writer: string, version: number): Statement {
  return {
    query: 'INSERT INTO marks (day, slot, writer, version) VALUES (?, ?, ?, ?) USING TTL ?',
    params: [day, slot, writer, int64(version), marksTtlSeconds],
  }
}

/** The marks of a day by slot, or those of one slot. */
export async function readMarks(
  session: Session,
  day: string,
  slot?: number,
): Promise<Map<number, Marks>> {
  const where = slot === undefined ? '' : ' AND slot = ?'
  const rows = await session.rows(
    `SELECT slot, writer, version FROM marks WHERE day = ?${where}`,
    slot === undefined ? [day] : [day, slot],
  )
  const marks = new Map<number, Record<string, bigint>>()
  for (const row of rows) {
    const found = marks.get(row['slot'] as number) ?? {}
    found[row['writer'] as string] = row['version'] as bigint
    marks.set(row['slot'] as number, found)
  }
  return marks
}

/** The marks of whole days, by their names. */
export async function readDayMarks(
  session: Session,
  days: readonly string[],
): Promise<Map<string, Marks>> {
  const rows = await rowsOfDays(
    session,
    'SELECT day, writer, version FROM marks WHERE day IN ? AND slot = ?',
    days,
    wholeDaySlot,
  )
  const marks = new Map<string, Record<string, bigint>>()
  for (const row of rows) {
    const found = marks.get(row['day'] as string) ?? {}
    found[row['writer'] as string] = row['version'] as bigint
    marks.set(row['day'] as string, found)
  }
  return marks
}

/** Days that one request asks about: few enough that none of its nodes has to gather much. */
const daysAtOnce = 15

/** All rows of a query whose first parameter is a list of days; `rest` follows it. */
export async function rowsOfDays(
  session: Session,
  query: string,
  days: readonly string[],
  ...rest: Value[]
): Promise<CqlRow[]> {
  const groups: string[][] = []
  for (let at = 0; at < days.length; at += daysAtOnce) groups.push(days.slice(at, at + daysAtOnce))
  const found = await mapParallel(groups, inFlightMax, (group) =>
    session.rows(query, [group, ...rest]),
  )
  return found.flat()
}

/** Whether a tally that saw `seen` has seen all of `marks`. */
export function hasSeen(seen: Marks, marks: Marks): boolean {
  return Object.entries(marks).every(([writer, version]) => (seen[writer] ?? 0n) >= version)
}

const marksTtlSeconds = 400 * 86_400
