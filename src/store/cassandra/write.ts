import { bucketOf, dayNumberOf } from '../bucket.ts'
import { type Claimants, settleTimes } from '../claims.ts'
import type { DeadLetter, Position, WriteBatch } from '../store.ts'
import { claimLookUp, writeClaims } from './claims.ts'
import { bytesOf, rowStatements } from './columns.ts'
import type { Day, WriterDays } from './days.ts'
import { writeDeadLetters } from './dead-letters.ts'
import { type ErasedParties, writeDrops } from './erasing.ts'
import type { MarkWriter } from './marks.ts'
import { forEachParallel } from './parallel.ts'
import { checkDeadLetter, checkRow, type Receipt, receiptOf } from './receipt.ts'
import { int64, microseconds, type Session, type Statement } from './session.ts'

/** What a writer knows, and what it writes with. */
export interface Writer {
  readonly session: Session
  readonly days: WriterDays
  readonly claimants: Claimants
  readonly marks: MarkWriter
  readonly erased: ErasedParties
  /** The logs that are in the table `logs`. */
  readonly logs: Set<string>
  readonly retentionDays: number
}

/** Rows in one batch of statements, and its bytes: what one mutation carries without hurting. */
const batchRowsMax = 50
const batchBytesMax = 256 * 1024

const inFlightMax = 16

/**
 * Writes a batch: claims, rows, dead letters, marks, and only when all of these are durable the
 * positions. Nothing is read first, but for events whose clock is wrong: a row is known by its key.
 * @throws MillraceError `record_invalid` before anything is written; `store_unavailable` at any
 *   moment: what is there already is written again and stays the same
 */
export async function writeBatch(writer: Writer, batch: WriteBatch): Promise<void> {
  const { session, retentionDays } = writer
  batch.rows.forEach(checkRow)
  batch.deadLetters.forEach(checkDeadLetter)
  const { rows, letters, dropped } = await writer.erased.sift(batch)
  const receipts = rows.map(receiptOf)
  await nameLogs(writer, [...batch.rows, ...batch.deadLetters, ...asPlaced(batch.positions)])
  const claiming = await settleTimes(writer.claimants, receipts, claimLookUp(session, writer.days))
  await writeClaims(session, claiming, retentionDays)
  writer.claimants.add(claiming)
  const days = await writeRows(writer, receipts)
  await writeDeadLetters(session, letters, retentionDays)
  await writeDrops(session, dropped)
  await writer.marks.mark(receipts, days)
  await writeNewest(session, receipts)
  await movePositions(session, batch)
}

/** Returns the names of the days written to. */
async function writeRows(
  writer: Writer,
  receipts: readonly Receipt[],
): Promise<ReadonlyMap<number, string>> {
  const days: Day[] = []
  // One after the other: new days of one month would compete for its partition.
  for (const number of new Set(receipts.map(({ eventTime }) => dayNumberOf(eventTime)))) {
    days.push(await writer.days.ensure(number))
  }
  const daysByNumber = new Map(days.map((day) => [day.number, day]))
  const buckets = new Map<string, Receipt[]>()
  for (const receipt of receipts) {
    const { eventTime, partyId, eventId } = receipt
    const day = daysByNumber.get(dayNumberOf(eventTime)) as Day
    const pk = bucketOf(day.layout, eventTime, partyId, eventId, day.name)
    const bucket = buckets.get(pk)
    if (bucket === undefined) buckets.set(pk, [receipt])
    else bucket.push(receipt)
  }
  await forEachParallel(cut(buckets), inFlightMax, ([pk, part]) =>
    writer.session.batch(
      part.flatMap((receipt) => rowStatements(pk, receipt, writer.retentionDays)),
    ),
  )
  return new Map(days.map(({ number, name }) => [number, name]))
}

/** The buckets' receipts in parts that are one mutation each. */
function* cut(
  buckets: ReadonlyMap<string, readonly Receipt[]>,
): Generator<readonly [pk: string, part: readonly Receipt[]]> {
  for (const [pk, receipts] of buckets) {
    let part: Receipt[] = []
    let bytes = 0
    for (const receipt of receipts) {
      const more = bytesOf(receipt)
      if (part.length === batchRowsMax || (part.length > 0 && bytes + more > batchBytesMax)) {
        yield [pk, part]
        part = []
        bytes = 0
      }
      part.push(receipt)
      bytes += more
    }
    yield [pk, part]
  }
}

type Placed = Pick<DeadLetter, 'position'>

function asPlaced(positions: readonly Position[]): Placed[] {
  return positions.map((position) => ({ position }))
}

/** Keeps which logs there were, in the order in which they came. */
async function nameLogs(writer: Writer, placed: readonly Placed[]): Promise<void> {
  let latest: Position | undefined
  for (const { position } of placed) {
    const { log, topic } = position
    if (latest?.log === log && latest.topic === topic) continue
    latest = position
    const key = `${log}\n${topic}`
    if (writer.logs.has(key)) continue
    await writer.session.compareAndSet(
      'INSERT INTO logs (topic, log, since) VALUES (?, ?, now()) IF NOT EXISTS',
      [topic, log],
    )
    writer.logs.add(key)
  }
}

/** The newest receipt wins by its write timestamp, whoever writes when. */
async function writeNewest(session: Session, receipts: readonly Receipt[]): Promise<void> {
  if (receipts.length === 0) return
  const newest = receipts.reduce((max, { row }) => Math.max(max, row.receivedAt), -Infinity)
  await session.rows(
    `INSERT INTO newest (name, received_at) VALUES ('event', ?) USING TIMESTAMP ?`,
    [int64(newest), microseconds(newest)],
  )
}

/**
 * Where to go on, and the newest receipt before it, which wins by its write timestamp: one mutation
 * for each log and topic.
 */
async function movePositions(session: Session, batch: WriteBatch): Promise<void> {
  const { rows, positions, setsBack = false } = batch
  if (positions.length === 0) return
  const newest = new Map<string, number>()
  for (const { position, receivedAt, importedAt } of rows) {
    if (importedAt !== null) continue
    const key = partitionText(position)
    newest.set(key, Math.max(newest.get(key) ?? receivedAt, receivedAt))
  }
  const stands = await readStands(session, positions)
  const moves = new Map<string, Statement[]>()
  for (const position of positions) {
    const { log, topic, partition, offset } = position
    const statements = moves.get(`${log}\n${topic}`) ?? []
    moves.set(`${log}\n${topic}`, statements)
    const stand = stands.get(partitionText(position)) ?? nowhere
    if (offset > stand.offset || (setsBack && offset < stand.offset)) {
      const params = [log, topic, partition, int64(offset), int64(stand.version + 1)]
      statements.push({ query: moveOffset, params })
    }
    const receivedAt = newest.get(partitionText(position))
    if (receivedAt === undefined) continue
    statements.push({
      query: `INSERT INTO progress (log, topic, log_partition, received_at) VALUES (?, ?, ?, ?)
        USING TIMESTAMP ?`,
      params: [log, topic, partition, int64(receivedAt), microseconds(receivedAt)],
    })
  }
  const changes = [...moves.values()].filter((statements) => statements.length > 0)
  await forEachParallel(changes, inFlightMax, (statements) => session.batch(statements))
}

const moveOffset = `INSERT INTO progress (log, topic, log_partition, next_offset)
  VALUES (?, ?, ?, ?) USING TIMESTAMP ?`

/** Where a partition stands, and its write timestamp, which each move makes greater by one. */
interface Stand {
  readonly offset: number
  readonly version: number
}

/** Of a partition that has not been moved; no clock goes into the first move either. */
const nowhere: Stand = { offset: -1, version: 0 }

/**
 * Read just before it is moved, so that a consumer that stood still does not set back what another
 * has moved meanwhile: either it sees that, or its timestamp is too old. Of two moves with the same
 * timestamp Cassandra keeps the greater value.
 */
async function readStands(
  session: Session,
  positions: readonly Position[],
): Promise<ReadonlyMap<string, Stand>> {
  const stands = new Map<string, Stand>()
  const topics = new Map(positions.map((one) => [`${one.log}\n${one.topic}`, one]))
  for (const { log, topic } of topics.values()) {
    const rows = await session.rows(
      `SELECT log_partition, next_offset, WRITETIME(next_offset) AS version FROM progress
        WHERE log = ? AND topic = ?`,
      [log, topic],
    )
    for (const row of rows) {
      if (row['next_offset'] === null) continue
      const partition = row['log_partition'] as number
      const stand = { offset: Number(row['next_offset']), version: Number(row['version']) }
      stands.set(partitionText({ log, topic, partition, offset: 0 }), stand)
    }
  }
  return stands
}

function partitionText({ log, topic, partition }: Position): string {
  return `${partition}\n${topic}\n${log}`
}
