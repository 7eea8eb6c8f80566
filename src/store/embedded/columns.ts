import {
  BIGINT,
  DOUBLE,
  type DuckDBType,
  type DuckDBValue,
  ENUM8,
  INTEGER,
  UTINYINT,
  VARCHAR,
} from '@duckdb/node-api'
import type { Event } from '../../event/event.ts'
import type { Column } from '../../lib/duckdb-chunk.ts'
import type { Row } from '../store.ts'
import type { PartitionName } from './partitions.ts'
import type { Receipt } from './receipt.ts'
import { clockSources, privacies, sources } from './tables.ts'

/** How a row stands in the tables `events` and `repeats`: there in `Column`s, back in `rowOf`. */

type ReceiptColumn = Column<Receipt>

function text(name: string, value: (receipt: Receipt) => string | null): ReceiptColumn {
  return { name, type: VARCHAR, form: 'text', value }
}

function int64(name: string, value: (receipt: Receipt) => number | null): ReceiptColumn {
  return { name, type: BIGINT, form: 'int64', value }
}

function int32(name: string, value: (receipt: Receipt) => number | null): ReceiptColumn {
  return { name, type: INTEGER, form: 'int32', value }
}

function uint8(
  name: string,
  type: DuckDBType,
  value: (receipt: Receipt) => number | null,
): ReceiptColumn {
  return { name, type, form: 'uint8', value }
}

const keyColumns: readonly ReceiptColumn[] = [
  int64('event_time', ({ eventTime }) => eventTime),
  text('event_id', ({ eventId }) => eventId),
  text('party_id', ({ partyId }) => partyId),
  int64('received_at', ({ row }) => row.receivedAt),
]

const positionColumns: readonly ReceiptColumn[] = [
  int32('partition_id', ({ partitionId }) => partitionId),
  int64('offset', ({ row }) => row.position.offset),
]

/** The columns of `repeats`, in the table's order. */
export const repeatColumns: readonly ReceiptColumn[] = [...keyColumns, ...positionColumns]

/** The columns of `events`, in the table's order. */
export const eventColumns: readonly ReceiptColumn[] = [
  ...keyColumns,
  int64('client_time', ({ row, eventTime }) =>
    row.clientTime === eventTime ? null : row.clientTime,
  ),
  uint8('clock_source', ENUM8(clockSources), ({ row }) => clockSources.indexOf(row.clockSource)),
  text('session_id', ({ row }) => row.sessionId),
  text('page_view_id', (receipt) =>
    pageViewChars(receipt) === null ? receipt.row.pageViewId : null,
  ),
  uint8('page_view_chars', UTINYINT, pageViewChars),
  int32('sequence', ({ row }) => row.sequence),
  text('event_type', ({ row }) => row.eventType),
  text('item_id', ({ row }) => row.itemId),
  text('parameters', ({ row }) => row.parameters),
  text('location', ({ row }) => row.location),
  text('referer', ({ row }) => row.referer),
  text('remote_address', ({ row }) => row.remoteAddress),
  int32('agent_id', ({ agentId }) => agentId),
  text('bot', ({ row }) => row.bot || null),
  uint8('privacy', ENUM8(privacies), ({ row }) =>
    row.privacy === null ? null : privacies.indexOf(row.privacy),
  ),
  uint8('source', ENUM8(sources), ({ row }) => sources.indexOf(row.source)),
  uint8('flags', UTINYINT, ({ row }) => flagsOf(row)),
  int32('viewport_width', ({ row }) => row.viewportWidth),
  int32('viewport_height', ({ row }) => row.viewportHeight),
  int32('screen_width', ({ row }) => row.screenWidth),
  int32('screen_height', ({ row }) => row.screenHeight),
  {
    name: 'device_pixel_ratio',
    type: DOUBLE,
    form: 'double',
    value: ({ row }) => row.devicePixelRatio,
  },
  text('country', ({ row }) => row.country || null),
  int64('imported_at', ({ row }) => row.importedAt),
  ...positionColumns,
]

/**
 * How much of the event id is the page view's: the tag makes the one from the other, and 34 random
 * characters a row are the most expensive thing there is. null when the page view stands apart.
 */
function pageViewChars({ row, eventId }: Receipt): number | null {
  const { pageViewId } = row
  if (pageViewId === null || pageViewId.length > 255) return null
  return eventId.startsWith(pageViewId) ? pageViewId.length : null
}

const flagBits = { firstInSession: 1, newParty: 2, duplicate: 4, corrupt: 8 } as const

function flagsOf(row: Row): number {
  let flags = 0
  if (row.firstInSession) flags |= flagBits.firstInSession
  if (row.newParty) flags |= flagBits.newParty
  if (row.duplicate) flags |= flagBits.duplicate
  if (row.corrupt) flags |= flagBits.corrupt
  return flags
}

/** What a question selects, for `rowOf`. */
export const selectedColumns: string = eventColumns.map(({ name }) => `"${name}"`).join(', ')

const indexes = new Map(eventColumns.map(({ name }, index) => [name, index]))

/** A row of `SELECT selectedColumns`, with the partition and the agent that its numbers stand for. */
export function rowOf(
  values: readonly DuckDBValue[],
  partitions: ReadonlyMap<number, PartitionName>,
  agents: ReadonlyMap<number, Pick<Event, 'userAgent' | 'agent'>>,
  noAgent: Pick<Event, 'userAgent' | 'agent'>,
): Row {
  const get = (name: string): unknown => values[indexes.get(name) as number]
  const { userAgent, agent } = agents.get(agentIdOf(values) ?? 0) ?? noAgent
  const flags = get('flags') as number
  const eventId = get('event_id') as Row['eventId']
  const pageView = get('page_view_chars') as number | null
  const eventTime = get('event_time') as number
  const name = partitions.get(get('partition_id') as number) as PartitionName
  return {
    eventId,
    partyId: ((get('party_id') as string) || null) as Row['partyId'],
    sessionId: get('session_id') as Row['sessionId'],
    pageViewId: (pageView === null
      ? get('page_view_id')
      : eventId.slice(0, pageView)) as Row['pageViewId'],
    eventType: get('event_type') as string,
    eventTime,
    clockSource: get('clock_source') as Row['clockSource'],
    receivedAt: get('received_at') as number,
    clientTime: (get('client_time') as number | null) ?? eventTime,
    location: get('location') as string | null,
    referer: get('referer') as string | null,
    remoteAddress: get('remote_address') as string,
    parameters: get('parameters') as string | null,
    itemId: get('item_id') as string | null,
    sequence: get('sequence') as number | null,
    firstInSession: (flags & flagBits.firstInSession) !== 0,
    newParty: (flags & flagBits.newParty) !== 0,
    duplicate: (flags & flagBits.duplicate) !== 0,
    corrupt: (flags & flagBits.corrupt) !== 0,
    viewportWidth: get('viewport_width') as number | null,
    viewportHeight: get('viewport_height') as number | null,
    screenWidth: get('screen_width') as number | null,
    screenHeight: get('screen_height') as number | null,
    devicePixelRatio: get('device_pixel_ratio') as number | null,
    userAgent,
    agent,
    bot: get('bot') as string | null,
    privacy: get('privacy') as Row['privacy'],
    source: get('source') as Row['source'],
    country: get('country') as string | null,
    importedAt: get('imported_at') as number | null,
    position: { ...name, offset: get('offset') as number },
  }
}

/** The number of a selected row's agent, or null. */
export function agentIdOf(values: readonly DuckDBValue[]): number | null {
  return values[indexes.get('agent_id') as number] as number | null
}
