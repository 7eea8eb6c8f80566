import { BIGINT, type DuckDBConnection, type DuckDBValue, INTEGER, VARCHAR } from '@duckdb/node-api'
import { murmur3 } from '../../event/checksum.ts'
import { appendRows, type Column } from '../../lib/duckdb-chunk.ts'
import { type ClosedKeys, eventKeyColumns } from './closed-keys.ts'
import { lookUp } from './lookup.ts'
import { identityText, keyText, type Receipt } from './receipt.ts'
import { groupsOf, isOneOf, rowsOf } from './sql.ts'

/**
 * An event keeps one key although its clock is wrong or absent. Receipts of such an event are placed
 * by `receivedAt`, which differs between them, and a receipt of it may even come inside the bounds.
 * So the first that is placed by `receivedAt` claims that time for the event, and later ones take it.
 */

/** Parties (without one: events) that have a claim; the others need not be asked about. */
export interface Claimants {
  readonly has: (receipt: Receipt) => boolean
  readonly add: (receipts: Iterable<Receipt>) => void
}

/** Some twenty megabytes. Beyond, every event is looked up in the database. */
const claimantsMax = 200_000

const hashesMax = 500

export async function loadClaimants(
  connection: DuckDBConnection,
  max: number = claimantsMax,
): Promise<Claimants> {
  const sql = `SELECT DISTINCT CASE party_id WHEN '' THEN chr(10) || event_id ELSE party_id END FROM claims LIMIT ${max + 1}`
  const known = new Set((await rowsOf(connection, sql)).map(([claimant]) => claimant as string))
  return {
    has: (receipt) => known.size > max || known.has(claimantOf(receipt)),
    add(receipts) {
      for (const receipt of receipts) if (known.size <= max) known.add(claimantOf(receipt))
    },
  }
}

/** Party ids have no line break before them, so an event id can't be taken for one. */
function claimantOf({ partyId, eventId }: Receipt): string {
  return partyId === '' ? `\n${eventId}` : partyId
}

/**
 * Settles `eventTime` of every receipt, in their order, as if each were a batch of its own. Returns
 * the receipts that make a new claim.
 */
export async function settleTimes(
  connection: DuckDBConnection,
  claimants: Claimants,
  closed: ClosedKeys,
  receipts: readonly Receipt[],
): Promise<Receipt[]> {
  const misplaced = receipts.filter(isMisplaced)
  const claiming = new Set(misplaced.map(claimantOf))
  const candidates = receipts.filter(
    (receipt) => claimants.has(receipt) || (claiming.size > 0 && claiming.has(claimantOf(receipt))),
  )
  if (candidates.length === 0) return []
  const claims = await findClaims(connection, candidates)
  const placed = await findPlaced(connection, closed, misplaced)
  const made: Receipt[] = []
  for (const receipt of candidates) {
    const { identity, row } = receipt
    const claim = claims.get(identity)
    if (claim !== undefined) {
      receipt.eventTime = claim
    } else if (row.clockSource === 'wrong' && placed.has(keyText(row.clientTime, identity))) {
      receipt.eventTime = row.clientTime
    } else if (isMisplaced(receipt)) {
      receipt.eventTime = row.receivedAt
      claims.set(identity, row.receivedAt)
      made.push(receipt)
    } else if (row.clockSource === 'client') {
      placed.add(keyText(row.eventTime, identity))
    }
  }
  return made
}

function isMisplaced({ row }: Receipt): boolean {
  return row.clockSource === 'wrong' || row.clockSource === 'absent'
}

/** The claimed event time by identity. */
async function findClaims(
  connection: DuckDBConnection,
  candidates: readonly Receipt[],
): Promise<Map<string, number>> {
  const hashes = [...new Set(candidates.map(hashOf))]
  const claims = new Map<string, number>()
  for (const group of groupsOf(hashes, hashesMax)) {
    const sql = `SELECT party_id, event_id, event_time FROM claims WHERE ${isOneOf('identity_hash', group)}`
    for (const [partyId, eventId, eventTime] of await rowsOf(connection, sql)) {
      claims.set(identityText(partyId as string, eventId as string), eventTime as number)
    }
  }
  return claims
}

const events = { name: 'events', time: 'event_time', columns: eventKeyColumns }

/** The keys of events that are stored at the client time of a receipt whose clock is wrong by now. */
async function findPlaced(
  connection: DuckDBConnection,
  closed: ClosedKeys,
  misplaced: readonly Receipt[],
): Promise<Set<string>> {
  const wanted = misplaced
    .filter(({ row }) => row.clockSource === 'wrong')
    .map(({ row, eventId }) => ({ time: row.clientTime, eventId }))
  const placed = new Set<string>()
  const visit = ([eventTime, eventId, partyId, , clockSource]: readonly DuckDBValue[]): void => {
    if (clockSource !== 'client') return
    const identity = identityText(partyId as string, eventId as string)
    placed.add(keyText(eventTime as number, identity))
  }
  await lookUp(connection, events, wanted, visit)
  await closed.lookUp(wanted, visit)
  return placed
}

/** Only narrows the search, so that it reads four bytes a claim; identities are compared. */
function hashOf({ identity }: Receipt): number {
  return murmur3(Buffer.from(identity))
}

const columns: readonly Column<Receipt>[] = [
  { name: 'identity_hash', type: INTEGER, form: 'int32', value: hashOf },
  { name: 'party_id', type: VARCHAR, form: 'text', value: ({ partyId }) => partyId },
  { name: 'event_id', type: VARCHAR, form: 'text', value: ({ eventId }) => eventId },
  { name: 'event_time', type: BIGINT, form: 'int64', value: ({ eventTime }) => eventTime },
]

export async function appendClaims(
  connection: DuckDBConnection,
  claiming: readonly Receipt[],
): Promise<void> {
  await appendRows(connection, 'claims', columns, claiming)
}
