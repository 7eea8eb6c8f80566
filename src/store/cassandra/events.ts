import { bucketsOfParty } from '../bucket.ts'
import type { EventPage, Filter, Row, TimeRange } from '../store.ts'
import { rowColumns, rowOf, rowValueColumns } from './columns.ts'
import { readDays } from './days.ts'
import { passes } from './filter.ts'
import { mapParallel } from './parallel.ts'
import { compareUtf8, inOrder, narrow, scanInOrder } from './scan.ts'
import { int64, type Session, timeOf } from './session.ts'

/** Buckets of a party that are looked into at once, and rows that are fetched at once. */
const inFlightMax = 32

/** One page of events. */
export async function readEvents(
  session: Session,
  range: TimeRange,
  filter: Filter,
  page: EventPage,
): Promise<Row[]> {
  if (page.limit <= 0 || range.from >= range.to) return []
  if (filter.partyId !== undefined && filter.partyId !== '') {
    return readPartyEvents(session, filter.partyId, range, filter, page)
  }
  const rows: Row[] = []
  for await (const run of scanInOrder(session, { range, filter, columns: rowValueColumns }, page)) {
    for (const found of run) {
      const row = rowOf(found)
      if (passes(row, filter)) rows.push(row)
      if (rows.length >= page.limit) return rows
    }
  }
  return rows
}

/** By the table `events_by_party`, which holds the keys, bucket by bucket. */
async function readPartyEvents(
  session: Session,
  partyId: string,
  range: TimeRange,
  filter: Filter,
  page: EventPage,
): Promise<Row[]> {
  const left = narrow(range, page)
  const days = await readDays(session, left)
  const buckets = inOrder(
    days.flatMap(({ number, layout }) =>
      bucketsOfParty(number, layout, partyId)
        .filter((slot) => slot.from < left.to && slot.to > left.from)
        .map((slot) => slot.buckets[0] as string),
    ),
    page.order,
  )
  const rows: Row[] = []
  for (const group of groupsOf(buckets, inFlightMax)) {
    const keys = await mapParallel(group, inFlightMax, (pk) =>
      readPartyKeys(session, pk, partyId, left, page),
    )
    // The filter may leave few of them: in parts, until there are enough.
    for (const part of groupsOf(keys.flat(), Math.min(1_000, page.limit))) {
      const found = await mapParallel(part, inFlightMax, (key) => readRow(session, key, partyId))
      for (const row of found) {
        if (row !== undefined && passes(row, filter)) rows.push(row)
        if (rows.length === page.limit) return rows
      }
    }
  }
  return rows
}

interface PartyKey {
  readonly pk: string
  readonly eventTime: number
  readonly eventId: string
}

/** The keys of a party's events in one bucket, after the cursor. */
async function readPartyKeys(
  session: Session,
  pk: string,
  partyId: string,
  { from, to }: TimeRange,
  { order, after }: EventPage,
): Promise<PartyKey[]> {
  const direction = order === 'asc' ? 'ASC' : 'DESC'
  const found = await session.rows(
    `SELECT event_date, event_id FROM events_by_party
     WHERE pk = ? AND click_stream_cookie_id = ? AND event_date >= ? AND event_date < ?
     ORDER BY click_stream_cookie_id ${direction}, event_date ${direction}, event_id ${direction}`,
    [pk, partyId, int64(from), int64(to)],
  )
  const keys = found.map((row) => ({
    pk,
    eventTime: timeOf(row['event_date']),
    eventId: row['event_id'] as string,
  }))
  if (after === undefined) return keys
  const sign = order === 'asc' ? 1 : -1
  return keys.filter(({ eventTime, eventId }) => {
    const difference =
      eventTime - after.eventTime ||
      compareUtf8(eventId, after.eventId) ||
      compareUtf8(partyId, after.partyId)
    return difference * sign > 0
  })
}

/** The row of a key; undefined when it was deleted meanwhile. */
async function readRow(
  session: Session,
  { pk, eventTime, eventId }: PartyKey,
  partyId: string,
): Promise<Row | undefined> {
  const [row] = await session.rows(
    `SELECT ${rowColumns} FROM click_stream
     WHERE pk = ? AND event_date = ? AND event_id = ? AND click_stream_cookie_id = ?`,
    [pk, int64(eventTime), eventId, partyId],
  )
  return row && rowOf(row)
}

function* groupsOf<Item>(items: readonly Item[], size: number): Generator<readonly Item[]> {
  for (let at = 0; at < items.length; at += size) yield items.slice(at, at + size)
}
