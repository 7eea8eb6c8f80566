import { bucketOf, dayNumberOf } from '../bucket.ts'
import type { WriterDays } from './days.ts'
import { forEachParallel } from './parallel.ts'
import { isInDay, keyText, type Receipt, ttlSeconds } from './receipt.ts'
import { int64, microseconds, type Session, timeOf } from './session.ts'

/**
 * An event keeps one key although its clock is wrong or absent. Receipts of such an event are placed
 * by `receivedAt`, which differs between them, and a receipt of it may even come inside the bounds.
 * So the first that is placed by `receivedAt` claims that time for the event, and later ones take it.
 * A claim is void when its day is gone.
 */

/** Parties (without one: events) that have a claim; the others need not be asked about. */
export interface Claimants {
  readonly has: (receipt: Receipt) => boolean
  readonly add: (receipts: Iterable<Receipt>) => void
}

/** Some twenty megabytes. Beyond, every party is looked up in the database. */
const claimantsMax = 200_000

const inFlightMax = 64

export async function loadClaimants(
  session: Session,
  max: number = claimantsMax,
): Promise<Claimants> {
  const rows = await session.rows(`SELECT DISTINCT claimant FROM claims LIMIT ${max + 1}`)
  const known = new Set(rows.map((row) => row['claimant'] as string))
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
  session: Session,
  days: WriterDays,
  claimants: Claimants,
  receipts: readonly Receipt[],
): Promise<Receipt[]> {
  const misplaced = receipts.filter(isMisplaced)
  const claiming = new Set(misplaced.map(claimantOf))
  const candidates = receipts.filter(
    (receipt) => claimants.has(receipt) || (claiming.size > 0 && claiming.has(claimantOf(receipt))),
  )
  if (candidates.length === 0) return []
  const claims = await findClaims(session, days, candidates)
  const placed = await findPlaced(session, days, misplaced)
  const made: Receipt[] = []
  for (const receipt of candidates) {
    const { row, partyId, eventId } = receipt
    const identity = keyText(0, partyId, eventId)
    const claim = claims.get(identity)
    if (claim !== undefined) {
      receipt.eventTime = claim
    } else if (
      row.clockSource === 'wrong' &&
      placed.has(keyText(row.clientTime, partyId, eventId))
    ) {
      receipt.eventTime = row.clientTime
    } else if (isMisplaced(receipt)) {
      receipt.eventTime = row.receivedAt
      claims.set(identity, row.receivedAt)
      made.push(receipt)
    } else if (row.clockSource === 'client') {
      placed.add(keyText(row.eventTime, partyId, eventId))
    }
  }
  return made
}

function isMisplaced({ row }: Receipt): boolean {
  return row.clockSource === 'wrong' || row.clockSource === 'absent'
}

/** The claimed event time by identity. */
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
      claims.set(keyText(0, partyId, row['event_id'] as string), eventTime)
    }
  })
  return claims
}

/** The keys of events that are stored at the client time of a receipt whose clock is wrong by now. */
async function findPlaced(
  session: Session,
  days: WriterDays,
  misplaced: readonly Receipt[],
): Promise<Set<string>> {
  const placed = new Set<string>()
  const wanted = misplaced.filter(
    ({ row }) => row.clockSource === 'wrong' && isInDay(row.clientTime),
  )
  await forEachParallel(wanted, inFlightMax, async ({ row, partyId, eventId }) => {
    const { clientTime } = row
    const day = await days.find(dayNumberOf(clientTime))
    if (day === undefined) return
    const pk = bucketOf(day.layout, clientTime, partyId, eventId)
    const found = await session.rows(
      'SELECT client_date FROM click_stream WHERE pk = ? AND event_date = ? AND event_id = ? AND click_stream_cookie_id = ?',
      [pk, int64(clientTime), eventId, partyId],
    )
    if (found.length > 0) placed.add(keyText(clientTime, partyId, eventId))
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
