import type { DuckDBConnection } from '@duckdb/node-api'
import { dayMs, dayOf } from '../../lib/clock.ts'
import type { CountRow, Filter, PartitionProgress, TimeRange } from '../store.ts'
import { type ClosedDay, readManifest } from './manifest.ts'
import { relationOf } from './relation.ts'
import { rowsOf } from './sql.ts'
import { conditionOf, createBinding } from './where.ts'

/** Events by day and type. */
export async function countEvents(
  connection: DuckDBConnection,
  range: TimeRange,
  filter: Filter,
): Promise<CountRow[]> {
  const binding = createBinding()
  const rows = await rowsOf(
    connection,
    `SELECT day, event_type, count(*) FROM ${await relationOf(connection, range)}
     WHERE ${conditionOf(filter, binding)} GROUP BY ALL ORDER BY day, event_type`,
    binding.parameters,
  )
  return rows.map(([day, eventType, count]) => ({
    day: dayOf((day as number) * dayMs),
    eventType: eventType as string,
    count: count as number,
  }))
}

/** How far each partition of a log is stored. */
export async function readProgress(
  connection: DuckDBConnection,
  log: string,
  topic: string,
): Promise<Map<number, PartitionProgress>> {
  const rows = await rowsOf(
    connection,
    `SELECT "partition", next_offset, received_at FROM positions JOIN partitions ON id = partition_id
     WHERE log = $1 AND topic = $2 ORDER BY "partition"`,
    [log, topic],
  )
  return new Map(
    rows.map(([partition, offset, receivedAt]) => [
      partition as number,
      { offset: offset as number, receivedAt: receivedAt as number | null },
    ]),
  )
}

/** The identities of the logs of a topic, oldest first. */
export async function readLogs(connection: DuckDBConnection, topic: string): Promise<string[]> {
  const sql = 'SELECT log FROM partitions WHERE topic = $1 GROUP BY log ORDER BY min(id)'
  const rows = await rowsOf(connection, sql, [topic])
  return rows.map(([log]) => log as string)
}

interface RowCounts {
  readonly events: number
  readonly duplicates: number
  readonly deadLetters: number
  readonly closedDays: readonly ClosedDay[]
}

/** How many rows there are of each kind; DuckDB knows the sizes of its tables. */
export async function countRows(connection: DuckDBConnection): Promise<RowCounts> {
  const [row = []] = await rowsOf(
    connection,
    `SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM repeats),
            (SELECT count(*) FROM dead_letters WHERE replayed_at IS NULL)`,
  )
  const [open, duplicates, deadLetters] = row as [number, number, number]
  const closedDays = await readManifest(connection)
  const events = closedDays.reduce((sum, { rows }) => sum + rows, open)
  return { events, duplicates, deadLetters, closedDays }
}
