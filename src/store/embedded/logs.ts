import { type DuckDBConnection, INTEGER, VARCHAR } from '@duckdb/node-api'
import type { Position } from '../store.ts'
import { appendRows, type Column } from './chunk.ts'
import { rowsOf } from './sql.ts'

/** The identity of a log is long and comes with every row: inside it is a small number. */

/** A log by its identity and topic. */
export type LogName = Pick<Position, 'log' | 'topic'>

interface KnownLog extends LogName {
  readonly id: number
}

/** The logs that the writer has met, and those that no row names yet. */
export interface LogNumbers {
  /** The number of a log; a new one is kept for `appendNewLogs`. */
  readonly idOf: (name: LogName) => number
  readonly takeNew: () => KnownLog[]
}

export async function loadLogNumbers(connection: DuckDBConnection): Promise<LogNumbers> {
  const known = [...(await readLogNames(connection))].map(([id, name]) => ({ id, ...name }))
  const ids = new Map(known.map((log) => [keyOf(log), log.id]))
  let fresh: KnownLog[] = []
  return {
    idOf(name) {
      const found = ids.get(keyOf(name))
      if (found !== undefined) return found
      const id = ids.size + 1
      ids.set(keyOf(name), id)
      fresh.push({ id, log: name.log, topic: name.topic })
      return id
    },
    takeNew() {
      const taken = fresh
      fresh = []
      return taken
    },
  }
}

/** Every log by its number. */
export async function readLogNames(connection: DuckDBConnection): Promise<Map<number, LogName>> {
  const rows = await rowsOf(connection, 'SELECT id, log, topic FROM logs')
  return new Map(
    rows.map(([id, log, topic]) => [id as number, { log: log as string, topic: topic as string }]),
  )
}

/** The number of a log, or undefined when nothing of it is stored. */
export async function findLogId(
  connection: DuckDBConnection,
  { log, topic }: LogName,
): Promise<number | undefined> {
  const sql = 'SELECT id FROM logs WHERE log = $1 AND topic = $2'
  const [row] = await rowsOf(connection, sql, [log, topic])
  return row?.[0] as number | undefined
}

const columns: readonly Column<KnownLog>[] = [
  { name: 'id', type: INTEGER, form: 'int32', value: ({ id }) => id },
  { name: 'log', type: VARCHAR, form: 'text', value: ({ log }) => log },
  { name: 'topic', type: VARCHAR, form: 'text', value: ({ topic }) => topic },
]

export async function appendNewLogs(
  connection: DuckDBConnection,
  numbers: LogNumbers,
): Promise<void> {
  await appendRows(connection, 'logs', columns, numbers.takeNew())
}

function keyOf({ log, topic }: LogName): string {
  return `${topic}\n${log}`
}
