import type { DuckDBConnection, DuckDBValue } from '@duckdb/node-api'
import { identityText, keyText } from '../claims.ts'
import { type ClosedKeys, eventKeyColumns } from './closed-keys.ts'
import { type LookupTable, lookUp } from './lookup.ts'
import type { Receipt } from './receipt.ts'

/** The receipts of a batch, divided by what they are to the store. */
export interface Divided {
  /** First receipts: the event is new. */
  readonly fresh: readonly Receipt[]
  /**
   * Further receipts. A copy with the `receivedAt` of one that is stored is the same receipt,
   * delivered again by a spool, a producer or a replay: it is in neither.
   */
  readonly repeats: readonly Receipt[]
}

const events: LookupTable = { name: 'events', time: 'event_time', columns: eventKeyColumns }
// Receipts come in the order of their time, also when they are replayed.
const repeats: LookupTable = {
  name: 'repeats',
  time: 'received_at',
  columns: ['event_time', 'event_id', 'party_id', 'received_at'],
}

/** Divides receipts whose event time is settled; the first in their order counts. */
export async function divideReceipts(
  connection: DuckDBConnection,
  closed: ClosedKeys,
  receipts: readonly Receipt[],
): Promise<Divided> {
  const first = new Map<string, Receipt>()
  const further = new Map<Receipt, string>()
  for (const receipt of receipts) {
    const key = keyText(receipt.eventTime, receipt.identity)
    if (first.has(key)) further.set(receipt, key)
    else first.set(key, receipt)
  }
  const stored = await findStored(connection, closed, first)
  const fresh: Receipt[] = []
  for (const [key, receipt] of first) {
    if (stored.has(key)) further.set(receipt, key)
    else fresh.push(receipt)
  }
  if (further.size === 0) return { fresh, repeats: [] }
  const known = (key: string): number | undefined =>
    stored.get(key) ?? first.get(key)?.row.receivedAt
  const candidates = new Map<string, Receipt>()
  for (const [receipt, key] of further) {
    const { receivedAt } = receipt.row
    const copy = `${receivedAt}\n${key}`
    if (receivedAt !== known(key) && !candidates.has(copy)) candidates.set(copy, receipt)
  }
  await dropKnownRepeats(connection, candidates)
  return { fresh, repeats: [...candidates.values()] }
}

/** `receivedAt` of the stored events, by key. */
async function findStored(
  connection: DuckDBConnection,
  closed: ClosedKeys,
  first: ReadonlyMap<string, Receipt>,
): Promise<Map<string, number>> {
  const keys = [...first.keys()]
  const wanted = [...first.values()].map(({ eventTime, eventId }) => ({ time: eventTime, eventId }))
  const stored = new Map<string, number>()
  const visit = ([eventTime, eventId, partyId, receivedAt]: readonly DuckDBValue[]): void => {
    const key = keyText(eventTime as number, identityText(partyId as string, eventId as string))
    if (first.has(key)) stored.set(key, receivedAt as number)
  }
  await lookUp(connection, events, wanted, visit)
  await closed.lookUp(
    wanted.filter((_, index) => !stored.has(keys[index] as string)),
    visit,
  )
  return stored
}

async function dropKnownRepeats(
  connection: DuckDBConnection,
  candidates: Map<string, Receipt>,
): Promise<void> {
  const wanted = [...candidates.values()].map(({ row, eventId }) => ({
    time: row.receivedAt,
    eventId,
  }))
  await lookUp(connection, repeats, wanted, ([eventTime, eventId, partyId, receivedAt]) => {
    const key = keyText(eventTime as number, identityText(partyId as string, eventId as string))
    candidates.delete(`${receivedAt}\n${key}`)
  })
}
