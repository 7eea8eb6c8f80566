import { MillraceError } from '../../event/error.ts'
import type { EventCursor, Filter, Row, TimeRange } from '../store.ts'
import { agentOf } from './columns.ts'
import { readEvents } from './events.ts'
import { type Filtered, passes } from './filter.ts'
import { scanAll, scanInOrder } from './scan.ts'
import { type CqlRow, type Session, timeOf } from './session.ts'

/** Rows as questions look at them: only the columns that they need, of what the filter lets through. */

export type SeenRow = Pick<
  Row,
  | 'eventTime'
  | 'eventId'
  | 'eventType'
  | 'itemId'
  | 'location'
  | 'referer'
  | 'country'
  | 'agent'
  | 'parameters'
> & {
  /** '' for none. */
  readonly partyId: string
}

/** A column that a question may need besides the key. */
export type SeenColumn =
  | 'event_name'
  | 'item_id'
  | 'url'
  | 'referer'
  | 'country'
  | 'agent'
  | 'parameters'

/** Rows of a party are fetched one by one anyway: so many at a time. */
const partyRowsMax = 1_000

/** A page asked for nothing but order: the whole of a partition's page is welcome. */
const unlimited = 1_000_000

/** Calls `visit` for every row, in no order. */
export async function visitSeen(
  session: Session,
  range: TimeRange,
  filter: Filter,
  columns: readonly SeenColumn[],
  visit: (row: SeenRow) => void,
): Promise<void> {
  if (isOfParty(filter)) {
    for await (const rows of readParty(session, range, filter)) rows.forEach(visit)
    return
  }
  await scanAll(session, { range, filter, columns: selectOf(filter, columns) }, (rows) => {
    for (const row of rows) {
      const seen = seenOf(row)
      if (passesRest(seen, filter)) visit(seen)
    }
  })
}

/** All rows in the order of (eventTime, eventId, partyId), some at a time. */
export async function* seenInOrder(
  session: Session,
  range: TimeRange,
  filter: Filter,
  columns: readonly SeenColumn[],
): AsyncGenerator<SeenRow[], void, undefined> {
  if (isOfParty(filter)) {
    yield* readParty(session, range, filter)
    return
  }
  const scan = { range, filter, columns: selectOf(filter, columns) }
  for await (const rows of scanInOrder(session, scan, { order: 'asc', limit: unlimited })) {
    yield rows.map(seenOf).filter((row) => passesRest(row, filter))
  }
}

function isOfParty({ partyId }: Filter): boolean {
  return partyId !== undefined && partyId !== ''
}

async function* readParty(
  session: Session,
  range: TimeRange,
  filter: Filter,
): AsyncGenerator<SeenRow[], void, undefined> {
  let after: EventCursor | undefined
  for (;;) {
    const page = { order: 'asc', limit: partyRowsMax, ...(after && { after }) } as const
    const rows = await readEvents(session, range, filter, page)
    yield rows.map((row) => ({ ...row, partyId: row.partyId ?? '' }))
    const last = rows.at(-1)
    if (last === undefined || rows.length < partyRowsMax) return
    after = { eventTime: last.eventTime, eventId: last.eventId, partyId: last.partyId ?? '' }
  }
}

function selectOf({ device }: Filter, columns: readonly SeenColumn[]): string {
  return [...new Set([...columns, ...(device === undefined ? [] : ['agent'])])].join(', ')
}

function seenOf(row: CqlRow): SeenRow {
  return {
    eventTime: timeOf(row['event_date']),
    eventId: row['event_id'],
    partyId: row['click_stream_cookie_id'],
    eventType: row['event_name'],
    itemId: row['item_id'] ?? null,
    location: row['url'] ?? null,
    referer: row['referer'] ?? null,
    country: row['country'] || null,
    agent: agentOf(row['agent'] ?? null),
    parameters: row['parameters'] ?? null,
  }
}

/** What Cassandra has not checked. */
function passesRest(row: SeenRow, { partyId, device }: Filter): boolean {
  if (partyId === undefined && device === undefined) return true
  const rest: Filter = {
    bots: 'include',
    ...(partyId !== undefined && { partyId }),
    ...(device !== undefined && { device }),
  }
  const unchecked: Filtered = {
    ...row,
    partyId: row.partyId as Row['partyId'],
    bot: null,
    sessionId: null,
  }
  return passes(unchecked, rest)
}

/** Most parties, page views or values that a question keeps in memory; some 300 MB. */
const keptMax = 2_000_000

/** @throws MillraceError `question_too_large` */
export function checkKept(count: number, what: string): void {
  if (count <= keptMax) return
  throw new MillraceError('question_too_large', `it has more than ${keptMax} ${what}`)
}
