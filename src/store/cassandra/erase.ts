import { mentionsParty } from '../../event/mention.ts'
import { bucketsOfParty } from '../bucket.ts'
import type { Erasure, PartyRows } from '../store.ts'
import { deleteClaims, readClaims } from './claims.ts'
import { readAllDays } from './days.ts'
import { deleteDeadLetter, scanValues } from './dead-letters.ts'
import { hashParty, publicErasure, readErasures, type StoredErasure } from './erasing.ts'
import type { MarkWriter } from './marks.ts'
import { forEachParallel } from './parallel.ts'
import { int64, microseconds, type Session, timeOf } from './session.ts'

/**
 * Erasing a party. What is deleted is deleted as of `at`: write timestamps are times of receipt, so a
 * tombstone takes exactly what was received until then, late replays included, and leaves what came
 * after it. The bytes go when Cassandra next compacts them, after `gc_grace_seconds`.
 */

/** Days that are looked into at once. */
const inFlightMax = 16

/** Cassandra's own latest time: everything is received before it. */
const ever = Number.MAX_SAFE_INTEGER / 1_000

/** How many rows there are of a party. */
export async function countParty(session: Session, partyId: string): Promise<PartyRows> {
  return visitParty(session, partyId, Math.floor(ever), undefined)
}

/** Notes an erasure and deletes what is there. */
export async function eraseParty(
  session: Session,
  marks: MarkWriter,
  partyId: string,
  at: number,
): Promise<Erasure> {
  const party = await hashParty(session, partyId)
  // It may have been taken over as final, from a store that this one is filled from.
  await session.rows(
    'INSERT INTO erasures (party, erased_at, party_id, final_at) VALUES (?, ?, ?, null)',
    [party, int64(at), partyId],
  )
  const erasures = await readErasures(session, party)
  const erasure = erasures.find((each) => each.at === at) as StoredErasure
  return publicErasure(await deleteErased(session, marks, erasure))
}

/** Deletes once more what erasures of until `before` are about, and makes them final. */
export async function settleErasures(
  session: Session,
  marks: MarkWriter,
  before: number,
  now: number,
): Promise<void> {
  for (const erasure of await readErasures(session, undefined)) {
    if (erasure.finalAt !== null || erasure.at > before) continue
    await deleteErased(session, marks, erasure)
    await session.rows(
      'UPDATE erasures SET final_at = ?, party_id = null WHERE party = ? AND erased_at = ?',
      [int64(now), erasure.party, int64(erasure.at)],
    )
  }
}

async function deleteErased(
  session: Session,
  marks: MarkWriter,
  erasure: StoredErasure,
): Promise<StoredErasure> {
  const { party, partyId, at, deleted } = erasure
  if (partyId === undefined) return erasure
  const found = await visitParty(session, partyId, at, undefined)
  const sum: PartyRows = {
    events: deleted.events + found.events,
    repeats: deleted.repeats + found.repeats,
    claims: deleted.claims + found.claims,
    deadLetters: deleted.deadLetters + found.deadLetters,
  }
  // Before the deletion: a crash in between may count twice, but hides nothing.
  await session.rows(
    'UPDATE erasures SET events = ?, repeats = ?, claims = ?, dead_letters = ? WHERE party = ? AND erased_at = ?',
    [
      ...[int64(sum.events), int64(sum.repeats), int64(sum.claims), int64(sum.deadLetters)],
      ...[party, int64(at)],
    ],
  )
  await visitParty(session, partyId, at, marks)
  return { ...erasure, deleted: sum }
}

/** Counts what was received of a party until `at`; deletes it too when there are `marks` to set. */
async function visitParty(
  session: Session,
  partyId: string,
  at: number,
  marks: MarkWriter | undefined,
): Promise<PartyRows> {
  let events = 0
  let repeats = 0
  await forEachParallel(await readAllDays(session), inFlightMax, async (day) => {
    for (const { buckets } of bucketsOfParty(day.number, day.layout, partyId)) {
      const rows = await readReceived(session, buckets[0] as string, partyId, at)
      events += rows.length
      repeats += rows.reduce((sum, row) => sum + row.receipts - 1, 0)
      if (marks !== undefined && rows.length > 0) {
        await deleteRows(session, buckets[0] as string, partyId, rows, at)
        await marks.mark(rows, new Map([[day.number, day.name]]))
      }
    }
  })
  const claims = await readClaims(session, partyId, at)
  if (marks !== undefined && claims > 0) await deleteClaims(session, partyId, at)
  let deadLetters = 0
  for await (const letters of scanValues(session)) {
    for (const { position, value } of letters) {
      if (!mentionsParty(value, partyId)) continue
      deadLetters++
      if (marks !== undefined) await deleteDeadLetter(session, position)
    }
  }
  return { events, repeats, claims, deadLetters }
}

interface ReceivedRow {
  readonly eventTime: number
  readonly eventId: string
  /** How many of them were received until then. */
  readonly receipts: number
}

async function readReceived(
  session: Session,
  pk: string,
  partyId: string,
  at: number,
): Promise<ReceivedRow[]> {
  const keys = await session.rows(
    'SELECT event_date, event_id FROM events_by_party WHERE pk = ? AND click_stream_cookie_id = ?',
    [pk, partyId],
  )
  const rows: ReceivedRow[] = []
  await forEachParallel(keys, inFlightMax, async (key) => {
    const [row] = await session.rows(
      `SELECT receipts FROM click_stream
       WHERE pk = ? AND event_date = ? AND event_id = ? AND click_stream_cookie_id = ?`,
      [pk, key['event_date'], key['event_id'], partyId],
    )
    const times = ((row?.['receipts'] ?? []) as Date[]).map(timeOf)
    const received = times.filter((time) => time <= at)
    if (received.length === 0) return
    rows.push({
      eventTime: timeOf(key['event_date']),
      eventId: key['event_id'],
      receipts: received.length,
    })
  })
  return rows
}

async function deleteRows(
  session: Session,
  pk: string,
  partyId: string,
  rows: readonly ReceivedRow[],
  at: number,
): Promise<void> {
  const writtenAt = microseconds(at)
  for (let from = 0; from < rows.length; from += 100) {
    await session.batch(
      rows.slice(from, from + 100).map(({ eventTime, eventId }) => ({
        query: `DELETE FROM click_stream USING TIMESTAMP ?
          WHERE pk = ? AND event_date = ? AND event_id = ? AND click_stream_cookie_id = ?`,
        params: [writtenAt, pk, int64(eventTime), eventId, partyId],
      })),
    )
  }
  // Last: it leads to the rows.
  await session.rows(
    'DELETE FROM events_by_party USING TIMESTAMP ? WHERE pk = ? AND click_stream_cookie_id = ?',
    [writtenAt, pk, partyId],
  )
}
