import type { Agent } from '../../event/event.ts'
import { createCache } from '../../lib/cache.ts'
import type { Row } from '../store.ts'
import { type Receipt, ttlSeconds } from './receipt.ts'
import { type CqlRow, int64, microseconds, type Statement, timeOf, type Value } from './session.ts'

/**
 * How a row stands in `click_stream`: there in `rowStatements`, back in `rowOf`. A value that is
 * undefined leaves no cell. What depends on the receipt always leaves one, so that a row shows one
 * receipt and not parts of several; see tables.ts.
 */

interface Column {
  readonly name: string
  readonly value: (receipt: Receipt) => Value
}

const valueColumns: readonly Column[] = [
  { name: 'session_id', value: ({ row }) => row.sessionId ?? undefined },
  { name: 'page_view_id', value: ({ row }) => row.pageViewId ?? undefined },
  { name: 'event_name', value: ({ row }) => encodeOften(row.eventType) },
  { name: 'item_id', value: ({ row }) => row.itemId ?? undefined },
  { name: 'url', value: ({ row }) => row.location ?? undefined },
  { name: 'referer', value: ({ row }) => row.referer ?? undefined },
  { name: 'client_date', value: ({ row }) => int64(row.clientTime) },
  { name: 'clock_source', value: ({ row }) => encodeOften(row.clockSource) },
  { name: 'received_at', value: ({ row }) => int64(row.receivedAt) },
  { name: 'client_ip', value: ({ row }) => row.remoteAddress },
  { name: 'parameters', value: ({ row }) => row.parameters ?? undefined },
  { name: 'sequence', value: ({ row }) => row.sequence ?? undefined },
  { name: 'first_in_session', value: ({ row }) => row.firstInSession || undefined },
  { name: 'new_party', value: ({ row }) => row.newParty || undefined },
  { name: 'duplicate', value: ({ row }) => row.duplicate || undefined },
  { name: 'corrupt', value: ({ row }) => row.corrupt || undefined },
  { name: 'viewport_width', value: ({ row }) => row.viewportWidth ?? undefined },
  { name: 'viewport_height', value: ({ row }) => row.viewportHeight ?? undefined },
  { name: 'screen_width', value: ({ row }) => row.screenWidth ?? undefined },
  { name: 'screen_height', value: ({ row }) => row.screenHeight ?? undefined },
  { name: 'device_pixel_ratio', value: ({ row }) => row.devicePixelRatio ?? undefined },
  { name: 'user_agent', value: ({ row }) => encodeOften(row.userAgent ?? '') },
  { name: 'agent', value: ({ row }) => encodeAgent(row) },
  { name: 'bot', value: ({ row }) => encodeOften(row.bot ?? '') },
  { name: 'privacy', value: ({ row }) => row.privacy ?? undefined },
  { name: 'source', value: ({ row }) => encodeOften(row.source) },
  { name: 'country', value: ({ row }) => encodeOften(row.country ?? '') },
  {
    name: 'imported_at',
    value: ({ row }) => (row.importedAt === null ? undefined : int64(row.importedAt)),
  },
  { name: 'position', value: ({ row }) => encodePosition(row) },
]

/** What a question for whole rows selects besides the key. */
export const rowValueColumns: string = valueColumns.map(({ name }) => name).join(', ')

/** What a question for whole rows selects. */
export const rowColumns: string = `event_date, event_id, click_stream_cookie_id, ${rowValueColumns}`

// UPDATE and not INSERT: a set is added to, where INSERT would first delete it.
const updateRow = `UPDATE click_stream USING TIMESTAMP ? AND TTL ? SET ${valueColumns
  .map(({ name }) => `${name} = ?`)
  .join(', ')}, receipts = receipts + ?
  WHERE pk = ? AND event_date = ? AND event_id = ? AND click_stream_cookie_id = ?`

const insertPartyRow = `INSERT INTO events_by_party (pk, click_stream_cookie_id, event_date, event_id)
  VALUES (?, ?, ?, ?) USING TIMESTAMP ? AND TTL ?`

/**
 * The statements that store a receipt in the bucket `pk`. The write timestamp is `receivedAt`: of
 * several receipts of one event the latest stays, in whatever order they are written.
 */
export function rowStatements(pk: string, receipt: Receipt, retentionDays: number): Statement[] {
  const { row, eventId, partyId } = receipt
  const writtenAt = microseconds(row.receivedAt)
  const ttl = ttlSeconds(receipt.eventTime, row, retentionDays)
  const eventDate = int64(receipt.eventTime)
  const params: Value[] = [writtenAt, ttl]
  for (const column of valueColumns) params.push(column.value(receipt))
  params.push(encodeReceipts(row.receivedAt), pk, eventDate, eventId, partyId)
  const statements: Statement[] = [{ query: updateRow, params }]
  if (partyId !== '') {
    const party = [pk, partyId, eventDate, eventId, writtenAt, ttl]
    statements.push({ query: insertPartyRow, params: party })
  }
  return statements
}

/** Roughly what a row takes on the wire: enough to keep batches small. */
export function bytesOf({ row }: Receipt): number {
  const { parameters, location, referer, userAgent } = row
  const long = [parameters, location, referer, userAgent]
  return long.reduce((sum, text) => sum + (text?.length ?? 0), 500)
}

/** A set of one timestamp, as protocol version 3 and later has it. */
function encodeReceipts(receivedAt: number): Buffer {
  const buffer = Buffer.allocUnsafe(16)
  buffer.writeInt32BE(1, 0)
  buffer.writeInt32BE(8, 4)
  int64(receivedAt).copy(buffer, 8)
  return buffer
}

const agentFields = {
  name: 'name',
  family: 'family',
  vendor: 'vendor',
  type: 'type',
  version: 'version',
  deviceCategory: 'device_category',
  osFamily: 'os_family',
  osVersion: 'os_version',
  osVendor: 'os_vendor',
} as const satisfies Record<keyof Agent, string>

const agentEntries = Object.entries(agentFields) as [keyof Agent, string][]

/** Texts of which there are few: the driver would make each a buffer of its own, row after row. */
const encodedTexts = createCache<Buffer>(8_000)

function encodeOften(text: string): Buffer {
  const known = encodedTexts.get(text)
  if (known !== undefined) return known
  const bytes = Buffer.from(text)
  // Long ones would make the memory one of megabytes.
  if (bytes.length <= 1_024) encodedTexts.set(text, bytes)
  return bytes
}

/** The same few hundred agents come with every event: their bytes are kept. */
const encodedAgents = createCache<{ readonly agent: Agent; readonly bytes: Buffer }>(4_000)

function encodeAgent({ userAgent, agent }: Row): Buffer {
  const key = userAgent ?? ''
  const known = encodedAgents.get(key)
  if (known !== undefined && isSame(known.agent, agent)) return known.bytes
  const texts = agentEntries
    .flatMap(([field, name]) => (agent[field] === null ? [] : [[name, agent[field]] as const]))
    // A map is sorted by its keys on disk; the driver would do it too.
    .sort(([a], [b]) => (a < b ? -1 : 1))
  const bytes = encodeTexts(texts.length, texts.flat())
  encodedAgents.set(key, { agent, bytes })
  return bytes
}

function isSame(a: Agent, b: Agent): boolean {
  if (a === b) return true
  return agentEntries.every(([field]) => a[field] === b[field])
}

function encodeTexts(count: number, texts: readonly string[]): Buffer {
  const head = Buffer.alloc(4)
  head.writeInt32BE(count, 0)
  const parts: Buffer[] = [head]
  for (const text of texts) parts.push(...sized(Buffer.from(text)))
  return Buffer.concat(parts)
}

function sized(bytes: Buffer): [Buffer, Buffer] {
  const size = Buffer.alloc(4)
  size.writeInt32BE(bytes.length, 0)
  return [size, bytes]
}

/** A tuple (log, topic, partition, offset): one cell, so that it comes from one receipt. */
function encodePosition({ position }: Row): Buffer {
  const { log, topic, partition, offset } = position
  const logBytes = Buffer.byteLength(log)
  const topicBytes = Buffer.byteLength(topic)
  const buffer = Buffer.allocUnsafe(28 + logBytes + topicBytes)
  buffer.writeInt32BE(logBytes, 0)
  buffer.write(log, 4)
  let at = 4 + logBytes
  buffer.writeInt32BE(topicBytes, at)
  buffer.write(topic, at + 4)
  at += 4 + topicBytes
  buffer.writeInt32BE(4, at)
  buffer.writeInt32BE(partition, at + 4)
  buffer.writeInt32BE(8, at + 8)
  int64(offset).copy(buffer, at + 12)
  return buffer
}

/** A row of `SELECT rowColumns`. */
export function rowOf(cql: CqlRow): Row {
  const position = cql['position'].values() as [string, string, number, bigint]
  return {
    eventId: cql['event_id'],
    partyId: cql['click_stream_cookie_id'] || null,
    sessionId: cql['session_id'],
    pageViewId: cql['page_view_id'],
    eventType: cql['event_name'],
    eventTime: timeOf(cql['event_date']),
    clockSource: cql['clock_source'],
    receivedAt: timeOf(cql['received_at']),
    clientTime: timeOf(cql['client_date']),
    location: cql['url'],
    referer: cql['referer'],
    remoteAddress: cql['client_ip'],
    parameters: cql['parameters'],
    itemId: cql['item_id'],
    sequence: cql['sequence'],
    firstInSession: cql['first_in_session'] === true,
    newParty: cql['new_party'] === true,
    duplicate: cql['duplicate'] === true,
    corrupt: cql['corrupt'] === true,
    viewportWidth: cql['viewport_width'],
    viewportHeight: cql['viewport_height'],
    screenWidth: cql['screen_width'],
    screenHeight: cql['screen_height'],
    devicePixelRatio: cql['device_pixel_ratio'],
    userAgent: cql['user_agent'] || null,
    agent: agentOf(cql['agent']),
    bot: cql['bot'] || null,
    privacy: cql['privacy'],
    source: cql['source'],
    country: cql['country'] || null,
    importedAt: cql['imported_at'] === null ? null : timeOf(cql['imported_at']),
    position: {
      log: position[0],
      topic: position[1],
      partition: position[2],
      offset: Number(position[3]),
    },
  }
}

/** The agent of a selected map; null (an empty one) knows nothing. */
export function agentOf(map: Readonly<Record<string, string>> | null): Agent {
  const agent = agentEntries.map(([field, name]) => [field, map?.[name] ?? null])
  return Object.fromEntries(agent) as Agent
}
