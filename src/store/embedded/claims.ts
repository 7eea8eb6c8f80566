import { BIGINT, type DuckDBConnection, type DuckDBValue, INTEGER, VARCHAR } from '@duckdb/node-api'
import { murmur3 } from '../../event/checksum.ts'
import { appendRows, type Column } from '../../lib/duckdb-chunk.ts'
import {
  type Claimants,
  type ClaimLookUp,
  claimantsMax,
  createClaimants,
  identityText,
  keyText,
} from '../claims.ts'
import { type ClosedKeys, eventKeyColumns } from './closed-keys.ts'
import { lookUp } from './lookup.ts'
import type { Receipt } from './receipt.ts'
import { groupsOf, isOneOf, rowsOf } from './sql.ts'

/** Where DuckDB has claims, and the rows that they are about; see ../claims.ts for the rule. */

const hashesMax = 500

export async function loadClaimants(
  connection: DuckDBConnection,
  max: number = claimantsMax,
): Promise<Claimants> {
  const sql = `SELECT DISTINCT CASE party_id WHEN '' THEN chr(10) || event_id ELSE party_id END FROM claims LIMIT ${max + 1}`
  const rows = await rowsOf(connection, sql)
  return createClaimants(
    rows.map(([claimant]) => claimant as string),
    max,
  )
}

/** The look-ups of the writer. */
export function claimLookUp(
  connection: DuckDBConnection,
  closed: ClosedKeys,
): ClaimLookUp<Receipt> {
  return {
    findClaims: (candidates) => findClaims(connection, candidates),
    findPlaced: (wrong) => findPlaced(connection, closed, wrong),
  }
}

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

async function findPlaced(
  connection: DuckDBConnection,
  closed: ClosedKeys,
  wrong: readonly Receipt[],
): Promise<Set<string>> {
  const wanted = wrong.map(({ row, eventId }) => ({ time: row.clientTime, eventId }))
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
