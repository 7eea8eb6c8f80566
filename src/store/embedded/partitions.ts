import { type DuckDBConnection, INTEGER, VARCHAR } from '@duckdb/node-api'
import { appendRows, type Column } from '../../lib/duckdb-chunk.ts'
import type { Position } from '../store.ts'
import { literal, rowsOf } from './sql.ts'

/** Log identity, topic and partition come with every row: inside they are one small number. */

/** What is left of a position without its offset. */
export type PartitionName = Omit<Position, 'offset'>

interface KnownPartition extends PartitionName {
  readonly id: number
}

/** The partitions that the writer has met. */
export interface PartitionNumbers {
  /** The number of a partition; a new one is kept for `appendNewPartitions`. */
  readonly idOf: (name: PartitionName) => number
  readonly takeNew: () => KnownPartition[]
}

export async function loadPartitionNumbers(
  connection: DuckDBConnection,
): Promise<PartitionNumbers> {
  const ids = new Map<string, number>()
  for (const [id, name] of await readPartitions(connection)) ids.set(keyOf(name), id)
  let fresh: KnownPartition[] = []
  let latest: KnownPartition | undefined
  return {
    idOf(name) {
      // Rows come in runs of one partition.
      if (latest !== undefined && isSame(latest, name)) return latest.id
      const key = keyOf(name)
      const id = ids.get(key) ?? ids.size + 1
      const { log, topic, partition } = name
      latest = { id, log, topic, partition }
      if (!ids.has(key)) fresh.push(latest)
      ids.set(key, id)
      return id
    },
    takeNew() {
      const taken = fresh
      fresh = []
      return taken
    },
  }
}

/** Every partition by its number. */
export async function readPartitions(
  connection: DuckDBConnection,
): Promise<Map<number, PartitionName>> {
  const rows = await rowsOf(connection, 'SELECT id, log, topic, "partition" FROM partitions')
  return new Map(
    rows.map(([id, log, topic, partition]) => [
      id as number,
      { log: log as string, topic: topic as string, partition: partition as number },
    ]),
  )
}

/** The number of a partition, or undefined when nothing of it is stored. */
export async function findPartitionId(
  connection: DuckDBConnection,
  { log, topic, partition }: PartitionName,
): Promise<number | undefined> {
  const sql = `SELECT id FROM partitions WHERE log = $1 AND topic = $2 AND "partition" = ${literal(partition)}`
  const [row] = await rowsOf(connection, sql, [log, topic])
  return row?.[0] as number | undefined
}

const columns: readonly Column<KnownPartition>[] = [
  { name: 'id', type: INTEGER, form: 'int32', value: ({ id }) => id },
  { name: 'log', type: VARCHAR, form: 'text', value: ({ log }) => log },
  { name: 'topic', type: VARCHAR, form: 'text', value: ({ topic }) => topic },
  { name: 'partition', type: INTEGER, form: 'int32', value: ({ partition }) => partition },
]

export async function appendNewPartitions(
  connection: DuckDBConnection,
  numbers: PartitionNumbers,
): Promise<void> {
  await appendRows(connection, 'partitions', columns, numbers.takeNew())
}

function keyOf({ log, topic, partition }: PartitionName): string {
  return `${partition}\n${topic}\n${log}`
}

function isSame(a: PartitionName, b: PartitionName): boolean {
  return a.partition === b.partition && a.log === b.log && a.topic === b.topic
}
