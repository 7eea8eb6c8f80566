import type { DuckDBConnection, DuckDBValue } from '@duckdb/node-api'
import { groupsOf, isOneOf, literal, rowsOf } from './sql.ts'

/**
 * Finds which of many events a table has, without an index. Most events of a batch lie close
 * together in time, so one look at that stretch of the table answers for all of them: DuckDB leaves
 * out the row groups of other times. The stretch of a live batch holds few rows yet, so its rows
 * are fetched and compared here (0.9 ms for a batch of 2,000), which is five times cheaper than
 * joining the batch to it. Late events would widen the stretch to days; they are asked for by their
 * very times, in groups.
 */

/** What to look in: a table whose rows lie roughly in the order of `time`. */
export interface LookupTable {
  readonly name: string
  /** False for what has to be read to be counted. */
  readonly isTable?: boolean
  /** A column of integers. */
  readonly time: string
  /** Columns to fetch besides. */
  readonly columns: readonly string[]
}

export interface Wanted {
  readonly time: number
  readonly eventId: string
}

/** Rows fetched for each wanted one, at most; where more lie, the event ids decide in the database. */
const fetchedPerWanted = 2
const fetchedMin = 500

/** A stretch ends where the next time is this many median gaps away. */
const gapFactor = 50
const gapMsMin = 100

/** A statement by times takes some 8 ms for 500 of them; as long as reading 50,000 rows. */
const smallTableRowsPerLate = 100

/** Smaller stretches are looked up time by time, up to this many in one statement. */
const stretchShare = 0.05
const timesMax = 500

/**
 * Calls `visit` with `columns` of every row of the table that is at the time of a wanted one or
 * near it. Every match is among them; the caller compares.
 */
export async function lookUp(
  connection: DuckDBConnection,
  table: LookupTable,
  wanted: readonly Wanted[],
  visit: (values: readonly DuckDBValue[]) => void,
): Promise<void> {
  if (wanted.length === 0) return
  const divided = divide(wanted)
  const { stretches, late } = (await isOneLookCheaper(connection, table, divided.late))
    ? divideByLate(divided)
    : divided
  for (const stretch of stretches) {
    const from = literal((stretch[0] as Wanted).time)
    const to = literal((stretch.at(-1) as Wanted).time)
    const where = `${table.time} BETWEEN ${from} AND ${to}`
    await fetchWhere(connection, table, where, stretch, visit)
  }
  for (const group of groupsOf(late, timesMax)) {
    const where = isOneOf(table.time, new Set(group.map(({ time }) => time)))
    await fetchWhere(connection, table, where, group, visit)
  }
}

/** Many late ones in a table so small that reading all of it costs less than asking for their times. */
async function isOneLookCheaper(
  connection: DuckDBConnection,
  { name, isTable }: LookupTable,
  late: readonly Wanted[],
): Promise<boolean> {
  if (late.length < timesMax || isTable === false) return false
  const [row] = await rowsOf(connection, `SELECT count(*) FROM ${name}`)
  return (row?.[0] as number) <= smallTableRowsPerLate * late.length
}

function divideByLate({ stretches, late }: Divided): Divided {
  return { stretches: [...stretches, late.toSorted((a, b) => a.time - b.time)], late: [] }
}

async function fetchWhere(
  connection: DuckDBConnection,
  table: LookupTable,
  where: string,
  wanted: readonly Wanted[],
  visit: (values: readonly DuckDBValue[]) => void,
): Promise<void> {
  const limit = fetchedMin + fetchedPerWanted * wanted.length
  const select = `SELECT ${table.columns.join(', ')} FROM ${table.name} WHERE ${where}`
  let rows = await rowsOf(connection, `${select} LIMIT ${limit + 1}`)
  if (rows.length > limit) {
    const ids = JSON.stringify(wanted.map(({ eventId }) => eventId))
    const among = `event_id IN (SELECT unnest(from_json($1, '["VARCHAR"]')))`
    rows = await rowsOf(connection, `${select} AND ${among}`, [ids])
  }
  for (const row of rows) visit(row)
}

interface Divided {
  /** Each in the order of time. */
  readonly stretches: readonly (readonly Wanted[])[]
  readonly late: readonly Wanted[]
}

/** Cuts at the gaps that are wide for this batch. */
export function divide(wanted: readonly Wanted[]): Divided {
  const sorted = wanted.toSorted((a, b) => a.time - b.time)
  const gaps = new Float64Array(Math.max(0, sorted.length - 1))
  for (let at = 1; at < sorted.length; at++)
    gaps[at - 1] = timeAt(sorted, at) - timeAt(sorted, at - 1)
  const median = gaps.slice().sort()[gaps.length >> 1] ?? 0
  const gapMax = Math.max(gapMsMin, gapFactor * median)
  const stretchMin = Math.max(2, stretchShare * sorted.length)
  const stretches: Wanted[][] = []
  const late: Wanted[] = []
  let from = 0
  for (let at = 1; at <= sorted.length; at++) {
    if (at < sorted.length && (gaps[at - 1] as number) <= gapMax) continue
    const stretch = sorted.slice(from, at)
    if (stretch.length >= stretchMin) stretches.push(stretch)
    else late.push(...stretch)
    from = at
  }
  return { stretches, late }
}

function timeAt(wanted: readonly Wanted[], at: number): number {
  return (wanted[at] as Wanted).time
}
