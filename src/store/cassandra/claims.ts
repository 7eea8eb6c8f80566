import { bucketOf, dayNumberOf } from '../bucket.ts'
import { type ClaimLookUp, claimantOf, claimantsMax, identityText, keyText } from '../claims.ts'
import type { WriterDays } from './days.ts'
import { forEachParallel } from './parallel.ts'
import { isInDay, type Receipt, ttlSeconds } from './receipt.ts'
import { int64, microseconds, type Session, timeOf } from './session.ts'

/**
 * Where Cassandra has claims, and the rows that they are about; see ../claims.ts for the rule. A
 * claim is void when its day is gone.
 */

const inFlightMax = 64

/** All claimants, or more than `claimantsMax` of them. */
export async function readClaimants(session: Session): Promise<string[]> {
  const rows = await session.rows(`SELECT DISTINCT claimant FROM claims LIMIT ${claimantsMax + 1}`)
  return rows.map((row) => row['claimant'] as string)
}

/** The look-ups of the writer. */
export function claimLookUp(session: Session, days: WriterDays): ClaimLookUp<Receipt> {
  return {
    findClaims: (candidates) => findClaims(session, days, candidates),
    findPlaced: (wrong) => findPlaced(session, days, wrong),
  }
}

async function findClaims(
  session: Session,
  days: WriterDays,
  candidates: readonly Receipt[],
): Promise<Map<string, number>> {
  const claims = new Map<string, number>()
  const asked = new Map(candidates.map((receipt) => [claimantOf(receipt), receipt]))
  await forEachParallel(asked, inFlightMax, async ([claimant, { partyId }]) => {
    const query = 'SELECT event_id, event_date FROM claims WHERE claimant = ?'
    for (const row of await session.rows(query, [claimant])) {
      const eventTime = timeOf(row['event_date'])
      if ((await days.find(dayNumberOf(eventTime))) === undefined) continue
      claims.set(identityText(partyId, row['event_id'] as string), eventTime)
    }
  })
  return claims
}

async function findPlaced(
  session: Session,
  days: WriterDays,
  wrong: readonly Receipt[],
): Promise<Set<string>> {
  const placed = new Set<string>()
  const wanted = wrong.filter(({ row }) => isInDay(row.clientTime))
  await forEachParallel(wanted, inFlightMax, async ({ row, partyId, eventId }) => {
    const { clientTime } = row
    const day = await days.find(dayNumberOf(clientTime))
    if (day === undefined) return
    const pk = bucketOf(day.layout, clientTime, partyId, eventId)
    const found = await session.rows(
      'SELECT client_date FROM click_stream WHERE pk = ? AND event_date = ? AND event_id = ? AND click_stream_cookie_id = ?',
      [pk, int64(clientTime), eventId, partyId],
    )
    if (found.length > 0) placed.add(keyText(clientTime, identityText(partyId, eventId)))
  })
  return placed
}

/** Stores claims: before the rows, so that no crash leaves a row that nothing leads to. */
export async function writeClaims(
  session: Session,
  claiming: readonly Receipt[],
  retentionDays: number,
): Promise<void> {
  await forEachParallel(claiming, inFlightMax, async (receipt) => {
    const { row, eventId, eventTime } = receipt
    await session.rows(
      'INSERT INTO claims (claimant, event_id, event_date) VALUES (?, ?, ?) USING TIMESTAMP ? AND TTL ?',
      [
        claimantOf(receipt),
        eventId,
        int64(eventTime),
        microseconds(row.receivedAt),
        ttlSeconds(eventTime, row, retentionDays),
      ],
    )
  })
}

/** How many claims a party has of receipts until `at`. */
export async function readClaims(session: Session, partyId: string, at: number): Promise<number> {
  const rows = await session.rows('SELECT event_date FROM claims WHERE claimant = ?', [partyId])
  return rows.filter((row) => timeOf(row['event_date']) <= at).length
}

/** Deletes them: a claim's write timestamp is the time that it claims. */
export async function deleteClaims(session: Session, partyId: string, at: number): Promise<void> {
  await session.rows('DELETE FROM claims USING TIMESTAMP ? WHERE claimant = ?', [
    microseconds(at),
    partyId,
  ])
}
