import { hash, randomBytes } from 'node:crypto'
import type { DuckDBBlobValue, DuckDBConnection } from '@duckdb/node-api'
import { mentionsParty, partiesIn } from '../../event/mention.ts'
import { createCache } from '../../lib/cache.ts'
import type { DeadLetter, Erasure, PartyRows, Row, TimeRange } from '../store.ts'
import { daysOfErased, type OpenErasure } from './erased-days.ts'
import { relationOf } from './relation.ts'
import { deleteUnusedAgents } from './retention.ts'
import { literal, rowsOf } from './sql.ts'

/**
 * Erasing a party. The table `erasures` has the hash of its id and the time; the id itself stands
 * there only while something of it may be left to delete. An erasure goes through three states:
 *
 *     party_id is known        it is deleted, and once more when the log of that time is read
 *     neither is               it is deleted, but its bytes may stand in free blocks of the file
 *     final_at is known        the file was written anew
 *
 * While the file of a closed day cannot be read, nobody knows whether it has something of the party:
 * the rest is deleted, and the id stays until that day can be read, or retention has taken it.
 */

/** The erasures, as the writer asks about them for every row. */
export interface ErasedParties {
  /** What is left of rows and dead letters, and how many were dropped by hash of their party. */
  readonly sift: (rows: readonly Row[], letters: readonly DeadLetter[]) => Sifted
}

export interface Sifted {
  readonly rows: readonly Row[]
  readonly letters: readonly DeadLetter[]
  readonly dropped: ReadonlyMap<string, number>
}

const always: TimeRange = { from: Number.MIN_SAFE_INTEGER, to: Number.MAX_SAFE_INTEGER }

/** Parties come with many events each: a hash costs a microsecond. */
const rememberedMax = 20_000

const none: ErasedParties = { sift: (rows, letters) => ({ rows, letters, dropped: new Map() }) }

export async function loadErasedParties(connection: DuckDBConnection): Promise<ErasedParties> {
  const rows = await rowsOf(connection, 'SELECT party, max(erased_at) FROM erasures GROUP BY party')
  if (rows.length === 0) return none
  const salt = (await readSalt(connection)) ?? ''
  const erasedAt = new Map(rows.map(([party, at]) => [party as string, at as number]))
  const hashes = createCache<string>(rememberedMax)
  /** The hash of a party that was erased, or undefined. */
  const findErased = (partyId: string): string | undefined => {
    const party = hashes.get(partyId) ?? hashOf(salt, partyId)
    hashes.set(partyId, party)
    return erasedAt.has(party) ? party : undefined
  }
  const ofRow = ({ partyId, receivedAt }: Row): string | undefined => {
    const party = partyId === null ? undefined : findErased(partyId.toWellFormed())
    return party !== undefined && receivedAt <= (erasedAt.get(party) ?? 0) ? party : undefined
  }
  const ofLetter = ({ value, source, receivedAt }: DeadLetter): string | undefined => {
    for (const partyId of partiesIn(value)) {
      const party = findErased(partyId)
      if (party === undefined) continue
      // Nobody knows when an unreadable record was received.
      if (source === 'log' || receivedAt <= (erasedAt.get(party) ?? 0)) return party
    }
    return undefined
  }
  return {
    sift(rows, letters) {
      const dropped = new Map<string, number>()
      const isKept = (party: string | undefined): boolean => {
        if (party !== undefined) dropped.set(party, (dropped.get(party) ?? 0) + 1)
        return party === undefined
      }
      return {
        rows: rows.filter((row) => isKept(ofRow(row))),
        letters: letters.filter((letter) => isKept(ofLetter(letter))),
        dropped,
      }
    },
  }
}

/** Statements that count what was dropped, for the open transaction. */
export function countDropped(dropped: Sifted['dropped']): string {
  return [...dropped]
    .map(
      ([party, count]) => `UPDATE erasures SET dropped = dropped + ${literal(count)}
        WHERE party = '${party}' AND erased_at = (SELECT max(erased_at) FROM erasures WHERE party = '${party}');`,
    )
    .join('')
}

/** Notes an erasure, in a transaction of its own. */
export async function noteErasure(
  connection: DuckDBConnection,
  partyId: string,
  at: number,
): Promise<void> {
  await connection.run('BEGIN TRANSACTION')
  const salt = (await readSalt(connection)) ?? (await makeSalt(connection))
  const party = hashOf(salt, partyId)
  await connection.run(
    `INSERT INTO erasures VALUES ($1, ${literal(at)}, $2, NULL, 0, 0, 0, 0, NULL)`,
    [party, partyId],
  )
  await connection.run('COMMIT')
}

/** Those of until `before` whose party is still known, oldest first. */
export async function findOpenErasures(
  connection: DuckDBConnection,
  before: number,
): Promise<OpenErasure[]> {
  const sql = `SELECT party, erased_at, party_id FROM erasures
    WHERE party_id IS NOT NULL AND erased_at <= ${literal(before)} ORDER BY erased_at`
  return (await rowsOf(connection, sql)).map(([party, at, partyId]) => ({
    party: party as string,
    at: at as number,
    partyId: partyId as string,
  }))
}

/**
 * Deletes from the tables what an erasure is about, and counts all but the events. The last time, its
 * id goes with it, unless a day may still have something; so what has no id any more is deleted,
 * whatever happened in between. False when a day was closed meanwhile and has rows of it in its file:
 * nothing is done then.
 */
export async function deleteErased(
  connection: DuckDBConnection,
  erasure: OpenErasure,
  isLast: boolean,
): Promise<boolean> {
  const { found, isUnsure } = await daysOfErased(connection, erasure)
  if (found.length > 0) return false
  const isDone = isLast && !isUnsure
  const { party, at, partyId } = erasure
  const remove = async (table: string, condition: string): Promise<number> => {
    const sql = `DELETE FROM ${table} WHERE party_id = $1 AND ${condition}`
    return (await connection.run(sql, [partyId])).rowsChanged
  }
  const received = `received_at <= ${literal(at)}`
  await connection.run('BEGIN TRANSACTION')
  await remove('events', received)
  const repeats = await remove('repeats', received)
  // What came after the erasure is stored, and its claims place what is still to come of it.
  const claims = await remove('claims', `event_time <= ${literal(at)}`)
  const letters = await deleteLetters(connection, partyId)
  if (isDone) await deleteUnusedAgents(connection)
  await connection.run(
    `UPDATE erasures SET repeats = repeats + ${repeats}, claims = claims + ${claims},
       dead_letters = dead_letters + ${letters} ${isDone ? ', party_id = NULL' : ''}
     WHERE party = $1 AND erased_at = ${literal(at)}`,
    [party],
  )
  await connection.run('COMMIT')
  return true
}

/** Whether an erasure of until `before` only waits for the file to be written anew. */
export async function isCompactionDue(
  connection: DuckDBConnection,
  before: number,
): Promise<boolean> {
  const sql = `SELECT count(*) FROM erasures WHERE ${isDeleted(before)}`
  return (await rowsOf(connection, sql))[0]?.[0] !== 0
}

export async function makeFinal(
  connection: DuckDBConnection,
  before: number,
  now: number,
): Promise<void> {
  await connection.run(`UPDATE erasures SET final_at = ${literal(now)} WHERE ${isDeleted(before)}`)
}

function isDeleted(before: number): string {
  return `final_at IS NULL AND party_id IS NULL AND erased_at <= ${literal(before)}`
}

/** All erasures, or those of one party; newest first. */
export async function readErasures(
  connection: DuckDBConnection,
  partyId: string | undefined,
): Promise<Erasure[]> {
  const salt = await readSalt(connection)
  const party = partyId === undefined ? undefined : hashOf(salt ?? '', partyId)
  const rows = await rowsOf(
    connection,
    `SELECT party, erased_at, events, repeats, claims, dead_letters, dropped, final_at FROM erasures
     WHERE $1 IS NULL OR party = $1 ORDER BY erased_at DESC, party`,
    [party ?? null],
  )
  return rows.map(([party, at, events, repeats, claims, deadLetters, dropped, finalAt]) => ({
    party: party as string,
    at: at as number,
    deleted: {
      events: (events as number | null) ?? 0,
      repeats: repeats as number,
      claims: claims as number,
      deadLetters: deadLetters as number,
    },
    dropped: dropped as number,
    finalAt: finalAt as number | null,
  }))
}

/** How many rows of a party there are. */
export async function countParty(
  connection: DuckDBConnection,
  partyId: string,
): Promise<PartyRows> {
  const count = async (table: string): Promise<number> => {
    const sql = `SELECT count(*) FROM ${table} WHERE party_id = $1`
    return (await rowsOf(connection, sql, [partyId]))[0]?.[0] as number
  }
  return {
    events: await count(await relationOf(connection, always)),
    repeats: await count('repeats'),
    claims: await count('claims'),
    deadLetters: (await findLetters(connection, partyId)).length,
  }
}

async function deleteLetters(connection: DuckDBConnection, partyId: string): Promise<number> {
  let deleted = 0
  for (const [partitionId, offset] of await findLetters(connection, partyId)) {
    const place = `partition_id = ${partitionId} AND "offset" = ${literal(offset)}`
    deleted += (await connection.run(`DELETE FROM dead_letters WHERE ${place}`)).rowsChanged
  }
  return deleted
}

/** The places of the dead letters that name a party; one batch of them in memory at a time. */
async function findLetters(
  connection: DuckDBConnection,
  partyId: string,
): Promise<(readonly [partitionId: number, offset: number])[]> {
  const found: [number, number][] = []
  const sql = 'SELECT partition_id, "offset", value, message FROM dead_letters'
  const result = await connection.stream(sql)
  for (;;) {
    const chunk = await result.fetchChunk()
    if (chunk === null || chunk.rowCount === 0) return found
    for (const [partitionId, offset, value, message] of chunk.getRows()) {
      const { bytes } = value as DuckDBBlobValue
      if (mentionsParty(bytes, partyId) || (message as string).includes(partyId)) {
        found.push([partitionId as number, Number(offset)])
      }
    }
  }
}

/** What the parties' hashes are made with. */
export async function readSalt(connection: DuckDBConnection): Promise<string | undefined> {
  const rows = await rowsOf(connection, `SELECT value FROM meta WHERE name = 'erasure_salt'`)
  return rows[0]?.[0] as string | undefined
}

/** Without a salt of its own, anybody could look up known ids in a list of hashes. */
async function makeSalt(connection: DuckDBConnection): Promise<string> {
  const salt = randomBytes(32).toString('hex')
  await connection.run(`INSERT INTO meta VALUES ('erasure_salt', $1)`, [salt])
  return salt
}

function hashOf(salt: string, partyId: string): string {
  return hash('sha256', `${salt}\n${partyId}`, 'hex')
}
