import type { EventId, PartyId } from '../event/identifier.ts'
import { identityOf } from '../event/identity.ts'
import type { Row } from './store.ts'

/**
 * An event keeps one key although its clock is wrong or absent. Receipts of such an event are placed
 * by `receivedAt`, which differs between them, and a receipt of it may even come inside the bounds.
 * So the first that is placed by `receivedAt` claims that time for the event, and later ones take it.
 * The rule is the same in every store; where claims and rows are found is the backend's.
 */

/** What the rule needs of a row on its way in; ids as the database gives them back, '' for none. */
export interface Placeable {
  readonly row: Row
  readonly eventId: string
  readonly partyId: string
  /** The event time of the key; settled by `settleTimes`. */
  eventTime: number
}

/** Parties (without one: events) that have a claim; the others need not be asked about. */
export interface Claimants {
  readonly has: (receipt: Placeable) => boolean
  readonly add: (receipts: Iterable<Placeable>) => void
  /** Those that another writer has added to the database. */
  readonly addStored: (stored: Iterable<string>) => void
}

/** Some twenty megabytes. Beyond, every party is looked up in the database. */
export const claimantsMax = 200_000

/** @param stored the claimants in the database, all of them or more than `max` */
export function createClaimants(stored: Iterable<string>, max: number): Claimants {
  const known = new Set(stored)
  return {
    has: (receipt) => known.size > max || known.has(claimantOf(receipt)),
    add(receipts) {
      for (const receipt of receipts) if (known.size <= max) known.add(claimantOf(receipt))
    },
    addStored(claimants) {
      for (const claimant of claimants) if (known.size <= max) known.add(claimant)
    },
  }
}

/** Party ids have no line break before them, so an event id can't be taken for one. */
export function claimantOf({ partyId, eventId }: Pick<Placeable, 'partyId' | 'eventId'>): string {
  return partyId === '' ? `\n${eventId}` : partyId
}

/** The identity of an event by its ids as they are stored. */
export function identityText(partyId: string, eventId: string): string {
  return identityOf(partyId as PartyId, eventId as EventId)
}

/** The key of an event: its identity at its time. */
export function keyText(eventTime: number, identity: string): string {
  return `${eventTime}\n${identity}`
}

/** How a backend finds what it has. */
export interface ClaimLookUp<Receipt extends Placeable> {
  /** The claimed event time by identity, of those among the receipts that have one. */
  readonly findClaims: (candidates: readonly Receipt[]) => Promise<Map<string, number>>
  /** The keys (`keyText`) of events that are stored at the client time of a receipt with a wrong clock. */
  readonly findPlaced: (wrong: readonly Receipt[]) => Promise<Set<string>>
}

/**
 * Settles `eventTime` of every receipt, in their order, as if each were a batch of its own. Returns
 * the receipts that make a new claim.
 */
export async function settleTimes<Receipt extends Placeable>(
  claimants: Claimants,
  receipts: readonly Receipt[],
  { findClaims, findPlaced }: ClaimLookUp<Receipt>,
): Promise<Receipt[]> {
  const misplaced = receipts.filter(isMisplaced)
  const claiming = new Set(misplaced.map(claimantOf))
  const candidates = receipts.filter(
    (receipt) => claimants.has(receipt) || (claiming.size > 0 && claiming.has(claimantOf(receipt))),
  )
  if (candidates.length === 0) return []
  const claims = await findClaims(candidates)
  const placed = await findPlaced(misplaced.filter(({ row }) => row.clockSource === 'wrong'))
  const made: Receipt[] = []
  for (const receipt of candidates) {
    const { row, partyId, eventId } = receipt
    const identity = identityText(partyId, eventId)
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

function isMisplaced({ row }: Placeable): boolean {
  return row.clockSource === 'wrong' || row.clockSource === 'absent'
}
