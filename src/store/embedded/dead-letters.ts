import type { DuckDBBlobValue, DuckDBConnection, DuckDBValue } from '@duckdb/node-api'
import type { DeadLetter, DeadLetterPage, Position, StoredDeadLetter } from '../store.ts'
import {
  findPartitionId,
  type PartitionName,
  type PartitionNumbers,
  readPartitions,
} from './partitions.ts'
import { groupsOf, isOneOf, literal, rowsOf } from './sql.ts'

/** Dead letters are known by their position; the first one at a position stays. */

const positionColumns = 'partition_id, "offset"'
const selected = `${positionColumns}, received_at, code, message, source, value, schema, replayable, replayed_at`

/** Adds those whose position has none yet, in the open transaction. */
export async function appendDeadLetters(
  connection: DuckDBConnection,
  partitions: PartitionNumbers,
  letters: readonly DeadLetter[],
): Promise<void> {
  if (letters.length === 0) return
  const known = await findPositions(connection, letters)
  const appender = await connection.createAppender('dead_letters')
  try {
    for (const letter of letters) {
      const { position } = letter
      const partitionId = partitions.idOf(position)
      const key = `${partitionId}/${position.offset}`
      if (known.has(key)) continue
      known.add(key)
      appender.appendInteger(partitionId)
      appender.appendBigInt(BigInt(position.offset))
      appender.appendBigInt(BigInt(Math.trunc(letter.receivedAt)))
      appender.appendVarchar(letter.code)
      appender.appendVarchar(letter.message)
      appender.appendVarchar(letter.source)
      appender.appendBlob(letter.value)
      appender.appendVarchar(letter.schema)
      appender.appendBoolean(letter.replayable)
      appender.appendNull()
      appender.endRow()
    }
  } catch (thrown) {
    appender.clear()
    appender.closeSync()
    throw thrown
  }
  appender.closeSync()
}

/** The positions, of these and others, that have a dead letter. */
async function findPositions(
  connection: DuckDBConnection,
  letters: readonly DeadLetter[],
): Promise<Set<string>> {
  const known = new Set<string>()
  for (const group of groupsOf(letters, 500)) {
    const offsets = new Set(group.map(({ position }) => position.offset))
    const sql = `SELECT ${positionColumns} FROM dead_letters WHERE ${isOneOf('"offset"', offsets)}`
    for (const position of await rowsOf(connection, sql)) known.add(position.join('/'))
  }
  return known
}

/** One page, newest first; within a millisecond by position. */
export async function readDeadLetters(
  connection: DuckDBConnection,
  { limit, after, code }: DeadLetterPage,
): Promise<StoredDeadLetter[]> {
  const conditions: string[] = []
  const parameters: DuckDBValue[] = []
  if (code !== undefined) {
    parameters.push(code)
    conditions.push(`code = $${parameters.length}`)
  }
  if (after !== undefined) {
    const at = await findAt(connection, after)
    // Retention took it, and with it all that is older.
    if (at === undefined) return []
    const { partitionId, receivedAt } = at
    const place = `(${literal(receivedAt)}, ${partitionId}, ${literal(after.offset)})`
    conditions.push(`(received_at, partition_id, "offset") < ${place}`)
  }
  const where = conditions.length > 0 ? `WHERE ${conditions.join(' AND ')}` : ''
  const order = 'received_at DESC, partition_id DESC, "offset" DESC'
  const sql = `SELECT ${selected} FROM dead_letters ${where} ORDER BY ${order} LIMIT ${literal(limit)}`
  const rows = await rowsOf(connection, sql, parameters)
  const partitions = await readPartitions(connection)
  return rows.map((row) => letterOf(row, partitions))
}

async function findAt(
  connection: DuckDBConnection,
  position: Position,
): Promise<{ partitionId: number; receivedAt: number } | undefined> {
  const partitionId = await findPartitionId(connection, position)
  if (partitionId === undefined) return
  const sql = `SELECT received_at FROM dead_letters WHERE ${isAt(partitionId, position)}`
  const [row] = await rowsOf(connection, sql)
  return row && { partitionId, receivedAt: row[0] as number }
}

/** The dead letter of a position, or undefined. */
export async function readDeadLetter(
  connection: DuckDBConnection,
  position: Position,
): Promise<StoredDeadLetter | undefined> {
  const partitionId = await findPartitionId(connection, position)
  if (partitionId === undefined) return
  const sql = `SELECT ${selected} FROM dead_letters WHERE ${isAt(partitionId, position)}`
  const [row] = await rowsOf(connection, sql)
  return row && letterOf(row, new Map([[partitionId, position]]))
}

/** Sets when the dead letter was replayed; false when there is none at the position. */
export async function setReplayed(
  connection: DuckDBConnection,
  position: Position,
  at: number,
): Promise<boolean> {
  const partitionId = await findPartitionId(connection, position)
  if (partitionId === undefined) return false
  const sql = `UPDATE dead_letters SET replayed_at = ${literal(at)} WHERE ${isAt(partitionId, position)}`
  return (await connection.run(sql)).rowsChanged > 0
}

function isAt(partitionId: number, { offset }: Position): string {
  return `partition_id = ${partitionId} AND "offset" = ${literal(offset)}`
}

function letterOf(
  row: DuckDBValue[],
  partitions: ReadonlyMap<number, PartitionName>,
): StoredDeadLetter {
  const [partitionId, offset, receivedAt, code, message, source, value, schema] = row
  const [replayable, replayedAt] = row.slice(8)
  const { log, topic, partition } = partitions.get(partitionId as number) as PartitionName
  return {
    position: { log, topic, partition, offset: offset as number },
    receivedAt: receivedAt as number,
    code: code as string,
    message: message as string,
    source: source as string,
    value: Uint8Array.from((value as DuckDBBlobValue).bytes),
    schema: schema as string,
    replayable: replayable as boolean,
    replayedAt: replayedAt as number | null,
  }
}
