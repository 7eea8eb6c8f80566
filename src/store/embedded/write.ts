import type { DuckDBConnection } from '@duckdb/node-api'
import { appendRows } from '../../lib/duckdb-chunk.ts'
import { type Claimants, settleTimes } from '../claims.ts'
import type { WriteBatch, WriteResult } from '../store.ts'
import { type AgentNumbers, appendNewAgents, loadAgentNumbers } from './agents.ts'
import { appendClaims, claimLookUp, loadClaimants } from './claims.ts'
import { type ClosedKeys, loadClosedKeys } from './closed-keys.ts'
import { eventColumns, repeatColumns } from './columns.ts'
import { appendDeadLetters } from './dead-letters.ts'
import { divideReceipts } from './duplicates.ts'
import { countDropped, type ErasedParties, loadErasedParties } from './erase.ts'
import { markUnchecked } from './manifest.ts'
import { appendNewPartitions, loadPartitionNumbers, type PartitionNumbers } from './partitions.ts'
import { receiptOf } from './receipt.ts'
import { literal, rowsOf } from './sql.ts'

/**
 * What the writer knows of the tables without asking. It runs ahead of the transaction: after a
 * failed one it must be loaded anew.
 */
export interface WriterMemory {
  /** What it was loaded from; another one knows nothing of its temporary tables. */
  readonly connection: DuckDBConnection
  readonly partitions: PartitionNumbers
  readonly agents: AgentNumbers
  readonly claimants: Claimants
  readonly erased: ErasedParties
  closed: ClosedKeys
  /** The partitions that have a row in `positions`, and the newest receipt that stands there. */
  readonly positions: Map<number, number | null>
  /** ms since 1970, or null when no event is stored. */
  lastReceivedAt: number | null
}

export async function loadMemory(connection: DuckDBConnection): Promise<WriterMemory> {
  const positions = await rowsOf(connection, 'SELECT partition_id, received_at FROM positions')
  const newest = await rowsOf(
    connection,
    `SELECT greatest((SELECT max(received_at) FROM events), (SELECT max(received_at) FROM repeats),
       (SELECT max(last_received_at) FROM closed_days))`,
  )
  return {
    connection,
    partitions: await loadPartitionNumbers(connection),
    agents: await loadAgentNumbers(connection),
    claimants: await loadClaimants(connection),
    erased: await loadErasedParties(connection),
    closed: await loadClosedKeys(connection),
    positions: new Map(positions.map(([id, at]) => [id as number, at as number | null])),
    lastReceivedAt: newest[0]?.[0] as number | null,
  }
}

/**
 * Writes a batch in one transaction; DuckDB syncs its write-ahead log before COMMIT returns. The
 * caller rolls back when this throws.
 * @throws MillraceError `record_invalid` when a row holds what no column can; else what DuckDB throws
 */
export async function writeBatch(
  connection: DuckDBConnection,
  memory: WriterMemory,
  batch: WriteBatch,
): Promise<WriteResult> {
  const { partitions, agents, claimants } = memory
  const { rows, letters, dropped } = memory.erased.sift(batch.rows, batch.deadLetters)
  const receipts = rows.map((row) =>
    receiptOf(row, partitions.idOf(row.position), agents.idOf(row)),
  )
  await connection.run('BEGIN TRANSACTION')
  const claiming = await settleTimes(claimants, receipts, claimLookUp(connection, memory.closed))
  const { fresh, repeats } = await divideReceipts(connection, memory.closed, receipts)
  await appendDeadLetters(connection, partitions, letters)
  await markUnchecked(connection, memory.closed.takeUnread())
  const moved = movePositions(memory, batch)
  await appendNewPartitions(connection, partitions)
  await appendNewAgents(connection, agents)
  await appendClaims(connection, claiming)
  await appendRows(connection, 'repeats', repeatColumns, repeats)
  await appendRows(connection, 'events', eventColumns, fresh)
  await connection.run(`${moved} ${countDropped(dropped)} COMMIT`)
  claimants.add(claiming)
  for (const { row } of [...fresh, ...repeats]) {
    memory.lastReceivedAt = Math.max(memory.lastReceivedAt ?? row.receivedAt, row.receivedAt)
  }
  return { inserted: fresh.length, repeated: repeats.length }
}

/**
 * Statements that set where to go on, and the newest receipt before it; an update in place, as a row
 * for each batch would pile up.
 */
function movePositions({ partitions, positions }: WriterMemory, batch: WriteBatch): string {
  if (batch.positions.length === 0) return ''
  const newest = new Map<number, number>()
  for (const { position, receivedAt, importedAt } of batch.rows) {
    if (importedAt !== null) continue
    const id = partitions.idOf(position)
    newest.set(id, Math.max(newest.get(id) ?? receivedAt, receivedAt))
  }
  let sql = ''
  for (const position of batch.positions) {
    const id = partitions.idOf(position)
    const offset = literal(position.offset)
    const known = positions.get(id) ?? newest.get(id) ?? null
    const receivedAt = known === null ? null : Math.max(known, newest.get(id) ?? known)
    const value = receivedAt === null ? 'NULL' : literal(receivedAt)
    sql += positions.has(id)
      ? `UPDATE positions SET next_offset = ${offset}, received_at = ${value} WHERE partition_id = ${id};`
      : `INSERT INTO positions VALUES (${id}, ${offset}, ${value});`
    positions.set(id, receivedAt)
  }
  return sql
}
