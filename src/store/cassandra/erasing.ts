import { hash, randomBytes } from 'node:crypto'
import { partiesIn } from '../../event/mention.ts'
import { createCache } from '../../lib/cache.ts'
import type { DeadLetter, Erasure, Position, Row, WriteBatch } from '../store.ts'
import { forEachParallel } from './parallel.ts'
import { type CqlRow, int64, type Session, timeOf } from './session.ts'

/**
 * The table `erasures`: who was erased when, by a salted hash, and what a writer drops because of
 * it. An erasure's party stands there in clear only until it is final.
 */

/** A record that was dropped because its party is erased. */
interface Drop {
  readonly party: string
  readonly at: number
  readonly position: Position
}

export interface Sifted {
  readonly rows: readonly Row[]
  readonly letters: readonly DeadLetter[]
  readonly dropped: readonly Drop[]
}

/** The erasures, as the writer asks about them for every row. */
export interface ErasedParties {
  readonly sift: (batch: WriteBatch) => Promise<Sifted>
  /** Makes the next `sift` look at the table again. */
  readonly refresh: () => void
}

/**
 * How old what a writer knows may be, in ms. Whoever erases waits as long: what a writer stores
 * meanwhile of the party has to be there when the erasure is settled.
 */
export const freshMs = 2_000

/** Parties come with many events each: a hash costs a microsecond. */
const rememberedMax = 20_000

const inFlightMax = 32

export function createErasedParties(session: Session): ErasedParties {
  let erasedAt: ReadonlyMap<string, number> = new Map()
  let salt = ''
  let freshUntil = 0
  const hashes = createCache<string>(rememberedMax)

  async function load(): Promise<void> {
    if (performance.now() < freshUntil) return
    const rows = await session.rows('SELECT party, erased_at FROM erasures')
    const latest = new Map<string, number>()
    for (const row of rows) {
      const at = timeOf(row['erased_at'])
      latest.set(row['party'], Math.max(latest.get(row['party']) ?? at, at))
    }
    if (latest.size > 0 && salt === '') salt = (await readSalt(session)) ?? ''
    erasedAt = latest
    freshUntil = performance.now() + freshMs
  }

  /** The hash of a party that was erased, or undefined. */
  function findErased(partyId: string): string | undefined {
    const party = hashes.get(partyId) ?? hashOf(salt, partyId)
    hashes.set(partyId, party)
    return erasedAt.has(party) ? party : undefined
  }

  function dropOf(partyId: string, position: Position, receivedAt: number): Drop | undefined {
    const party = findErased(partyId.toWellFormed())
    const at = party === undefined ? undefined : erasedAt.get(party)
    if (party === undefined || at === undefined || receivedAt > at) return
    return { party, at, position }
  }

  function dropOfLetter({ value, source, receivedAt, position }: DeadLetter): Drop | undefined {
    // Nobody knows when an unreadable record was received.
    const time = source === 'log' ? Number.NEGATIVE_INFINITY : receivedAt
    for (const partyId of partiesIn(value)) {
      const drop = dropOf(partyId, position, time)
      if (drop !== undefined) return drop
    }
    return undefined
  }

  return {
    refresh() {
      freshUntil = 0
    },
    async sift({ rows, deadLetters }) {
      await load()
      if (erasedAt.size === 0) return { rows, letters: deadLetters, dropped: [] }
      const dropped: Drop[] = []
      const isKept = (drop: Drop | undefined): boolean => {
        if (drop !== undefined) dropped.push(drop)
        return drop === undefined
      }
      return {
        rows: rows.filter(({ partyId, position, receivedAt }) =>
          isKept(partyId === null ? undefined : dropOf(partyId, position, receivedAt)),
        ),
        letters: deadLetters.filter((letter) => isKept(dropOfLetter(letter))),
        dropped,
      }
    },
  }
}

/** Notes what was dropped: by position, so that a replay counts nothing twice. */
export async function writeDrops(session: Session, dropped: readonly Drop[]): Promise<void> {
  await forEachParallel(dropped, inFlightMax, async ({ party, at, position }) => {
    const { log, topic, partition, offset } = position
    await session.rows(
      'INSERT INTO erasure_drops (party, erased_at, log, topic, log_partition, log_offset) VALUES (?, ?, ?, ?, ?, ?)',
      [party, int64(at), log, topic, partition, int64(offset)],
    )
  })
}

/** The salted hash of a party. */
export async function hashParty(session: Session, partyId: string): Promise<string> {
  const salt = (await readSalt(session)) ?? (await makeSalt(session))
  return hashOf(salt, partyId)
}

function hashOf(salt: string, partyId: string): string {
  return hash('sha256', `${salt}${partyId}`)
}

async function readSalt(session: Session): Promise<string | undefined> {
  const [row] = await session.rows(`SELECT value FROM settings WHERE name = 'salt'`)
  return row?.['value'] as string | undefined
}

async function makeSalt(session: Session): Promise<string> {
  await session.compareAndSet(
    `INSERT INTO settings (name, value) VALUES ('salt', ?) IF NOT EXISTS`,
    [randomBytes(16).toString('hex')],
  )
  // Another process may have been first.
  return (await readSalt(session)) as string
}

/** An erasure with the party that it is about; undefined once it is final. */
export interface StoredErasure extends Erasure {
  readonly partyId: string | undefined
}

/** All erasures, or those of one hash; newest first. */
export async function readErasures(
  session: Session,
  party: string | undefined,
): Promise<StoredErasure[]> {
  const columns = 'party, erased_at, party_id, events, repeats, claims, dead_letters, final_at'
  const rows =
    party === undefined
      ? await session.rows(`SELECT ${columns} FROM erasures`)
      : await session.rows(`SELECT ${columns} FROM erasures WHERE party = ?`, [party])
  const erasures: StoredErasure[] = []
  for (const row of rows) erasures.push(await erasureOf(session, row))
  return erasures.sort((a, b) => b.at - a.at || (a.party < b.party ? -1 : 1))
}

async function erasureOf(session: Session, row: CqlRow): Promise<StoredErasure> {
  const at = timeOf(row['erased_at'])
  const [drops] = await session.rows(
    'SELECT count(*) AS dropped FROM erasure_drops WHERE party = ? AND erased_at = ?',
    [row['party'], int64(at)],
  )
  return {
    party: row['party'],
    partyId: row['party_id'] ?? undefined,
    at,
    deleted: {
      events: Number(row['events'] ?? 0),
      repeats: Number(row['repeats'] ?? 0),
      claims: Number(row['claims'] ?? 0),
      deadLetters: Number(row['dead_letters'] ?? 0),
    },
    dropped: Number(drops?.['dropped'] ?? 0),
    finalAt: row['final_at'] === null ? null : timeOf(row['final_at']),
  }
}

/** What an erasure is told to the outside as. */
export function publicErasure({ party, at, deleted, dropped, finalAt }: StoredErasure): Erasure {
  return { party, at, deleted, dropped, finalAt }
}
