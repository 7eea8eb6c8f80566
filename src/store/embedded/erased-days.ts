import type { DuckDBConnection } from '@duckdb/node-api'
import { isMillraceError } from '../../event/error.ts'
import { selectFromFiles } from './closed-file.ts'
import { daysOf } from './days.ts'
import { readManifest } from './manifest.ts'
import { literal, rowsOf } from './sql.ts'

/**
 * What an erasure finds in the closed days. A file that cannot be read keeps no other day waiting:
 * the erasure remembers in `meta` which days it has not counted, and comes back to them.
 */

/** An erasure that may have something left to delete. */
export interface OpenErasure {
  readonly party: string
  readonly at: number
  readonly partyId: string
}

/** What can be read of the closed days now. */
interface DayFiles {
  readonly readable: readonly { readonly day: number; readonly file: string }[]
  /** Days whose file can be read, and beside which rows were stored when it could not. */
  readonly unchecked: readonly number[]
  /** Days whose file is missing, cut or another one. */
  readonly damaged: readonly number[]
}

async function findDayFiles(connection: DuckDBConnection): Promise<DayFiles> {
  const readable: { day: number; file: string }[] = []
  const unchecked: number[] = []
  const damaged: number[] = []
  for (const entry of await readManifest(connection)) {
    try {
      const file = await daysOf(connection).check(entry)
      if (entry.isUnchecked) unchecked.push(entry.day)
      else readable.push({ day: entry.day, file })
    } catch (thrown) {
      if (!isMillraceError(thrown, 'store_corrupt')) throw thrown
      damaged.push(entry.day)
    }
  }
  return { readable, unchecked, damaged }
}

/** Days whose file can be read again, and must be put together with what was stored meanwhile. */
export async function findUnchecked(connection: DuckDBConnection): Promise<readonly number[]> {
  return (await findDayFiles(connection)).unchecked
}

/**
 * Counts the events once, before the first of them is deleted: days go one by one. A day that cannot
 * be read is noted, and counted when it can.
 */
export async function countErased(
  connection: DuckDBConnection,
  erasure: OpenErasure,
): Promise<void> {
  const { party, at, partyId } = erasure
  const ofErasure = `party = $1 AND erased_at = ${literal(at)}`
  const [known] = await rowsOf(connection, `SELECT events FROM erasures WHERE ${ofErasure}`, [
    party,
  ])
  if (known === undefined) return
  const isFirst = known[0] === null
  const uncounted = await readUncounted(connection, erasure)
  if (!isFirst && uncounted.size === 0) return
  const isWanted = (day: number): boolean => isFirst || uncounted.has(day)
  const { readable, unchecked, damaged } = await findDayFiles(connection)
  const files = readable.filter(({ day }) => isWanted(day)).map(({ file }) => file)
  const select = `SELECT count(*) FROM`
  const where = `WHERE party_id = $1 AND received_at <= ${literal(at)}`
  const counts = [
    ...(isFirst ? [`${select} events ${where}`] : []),
    ...(files.length > 0 ? [`${select} (${selectFromFiles(files)}) ${where}`] : []),
  ]
  let events = 0
  for (const sql of counts) events += (await rowsOf(connection, sql, [partyId]))[0]?.[0] as number
  await connection.run('BEGIN TRANSACTION')
  await connection.run(
    `UPDATE erasures SET events = coalesce(events, 0) + ${literal(events)} WHERE ${ofErasure}`,
    [party],
  )
  await noteUncounted(connection, erasure, [...unchecked, ...damaged].filter(isWanted))
  await connection.run('COMMIT')
}

/** The days that an erasure has not counted; nothing of it is taken out of them before. */
async function readUncounted(
  connection: DuckDBConnection,
  erasure: OpenErasure,
): Promise<ReadonlySet<number>> {
  const sql = 'SELECT value FROM meta WHERE name = $1'
  const [row] = await rowsOf(connection, sql, [uncountedName(erasure)])
  return new Set(row === undefined ? [] : (JSON.parse(row[0] as string) as number[]))
}

/** Puts these days in the place of the ones noted before, in the open transaction. */
async function noteUncounted(
  connection: DuckDBConnection,
  erasure: OpenErasure,
  days: readonly number[],
): Promise<void> {
  const name = uncountedName(erasure)
  await connection.run('DELETE FROM meta WHERE name = $1', [name])
  if (days.length === 0) return
  await connection.run('INSERT INTO meta VALUES ($1, $2)', [name, JSON.stringify(days)])
}

function uncountedName({ party, at }: OpenErasure): string {
  return `erasure_uncounted:${party}:${at}`
}

/** Where in closed days there is something to be erased. */
export interface ErasedDays {
  /** The days whose file has an event to be erased. */
  readonly found: readonly number[]
  /** Whether other days may have one, but cannot be read, or could not when it was counted. */
  readonly isUnsure: boolean
}

export async function daysOfErased(
  connection: DuckDBConnection,
  erasure: OpenErasure,
): Promise<ErasedDays> {
  const { at, partyId } = erasure
  const { readable, unchecked, damaged } = await findDayFiles(connection)
  const uncounted = await readUncounted(connection, erasure)
  const counted = readable.filter(({ day }) => !uncounted.has(day))
  const isUnsure = unchecked.length + damaged.length > 0 || counted.length < readable.length
  if (counted.length === 0) return { found: [], isUnsure }
  const sql = `SELECT DISTINCT day FROM (${selectFromFiles(counted.map(({ file }) => file))})
    WHERE party_id = $1 AND received_at <= ${literal(at)} ORDER BY day`
  const found = (await rowsOf(connection, sql, [partyId])).map(([day]) => day as number)
  return { found, isUnsure }
}
