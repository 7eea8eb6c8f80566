import type { DuckDBConnection } from '@duckdb/node-api'
import type { Position, WriteBatch, WriteResult } from '../store.ts'
import { type AgentNumbers, appendNewAgents, loadAgentNumbers } from './agents.ts'
import { appendRows } from './chunk.ts'
import { appendClaims, type Claimants, loadClaimants, settleTimes } from './claims.ts'
import { eventColumns, repeatColumns } from './columns.ts'
import { appendDeadLetters } from './dead-letters.ts'
import { divideReceipts } from './duplicates.ts'
import { appendNewPartitions, loadPartitionNumbers, type PartitionNumbers } from './partitions.ts'
import { receiptOf } from './receipt.ts'
import { literal, rowsOf } from './sql.ts'

/**
 * What the writer knows of the tables without asking. It runs ahead of the transaction: after a
 * failed one it must be loaded anew.
 */
export interface WriterMemory {
  readonly partitions: PartitionNumbers
  readonly agents: AgentNumbers
  readonly claimants: Claimants
  /** The partitions that have a row in `positions`. */
  readonly positions: Set<number>
  /** ms since 1970, or null when no event is stored. */
  lastReceivedAt: number | null
}

export async function loadMemory(connection: DuckDBConnection): Promise<WriterMemory> {
  const positions = await rowsOf(connection, 'SELECT partition_id FROM positions')
  const newest = await rowsOf(
    connection,
    'SELECT greatest((SELECT max(received_at) FROM events), (SELECT max(received_at) FROM repeats))',
  )
  return {
    partitions: await loadPartitionNumbers(connection),
    agents: await loadAgentNumbers(connection),
    claimants: await loadClaimants(connection),
    positions: new Set(positions.map(([id]) => id as number)),
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
  const receipts = batch.rows.map((row) =>
    receiptOf(row, partitions.idOf(row.position), agents.idOf(row)),
  )
  await connection.run('BEGIN TRANSACTION')
  const claiming = await settleTimes(connection, claimants, receipts)
  const { fresh, repeats } = await divideReceipts(connection, receipts)
  await appendDeadLetters(connection, partitions, batch.deadLetters)
  const moved = movePositions(memory, batch.positions)
  await appendNewPartitions(connection, partitions)
  await appendNewAgents(connection, agents)
  await appendClaims(connection, claiming)
  await appendRows(connection, 'repeats', repeatColumns, repeats)
  await appendRows(connection, 'events', eventColumns, fresh)
  await connection.run(`${moved} COMMIT`)
  claimants.add(claiming)
  for (const { row } of [...fresh, ...repeats]) {
    memory.lastReceivedAt = Math.max(memory.lastReceivedAt ?? row.receivedAt, row.receivedAt)
  }
  return { inserted: fresh.length, repeated: repeats.length }
}

/** Statements that set where to go on; an update in place, as a row for each batch would pile up. */
function movePositions(
  { partitions, positions }: WriterMemory,
  moves: readonly Position[],
): string {
  let sql = ''
  for (const position of moves) {
    const id = partitions.idOf(position)
    const offset = literal(position.offset)
    sql += positions.has(id)
      ? `UPDATE positions SET next_offset = ${offset} WHERE partition_id = ${id};`
      : `INSERT INTO positions VALUES (${id}, ${offset});`
    positions.add(id)
  }
  return sql
}
