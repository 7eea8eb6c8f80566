import { BIGINT, type DuckDBConnection, INTEGER, VARCHAR } from '@duckdb/node-api'
import { MillraceError } from '../../event/error.ts'
import { appendRows, type Column } from '../../lib/duckdb-chunk.ts'
import {
  compareNeighbours,
  type ModelEngine,
  type ModelItem,
  type ModelStore,
  type StoredModel,
} from '../models.ts'
import { literal, rowsOf } from './sql.ts'

/**
 * Models in tables of the same names as in Cassandra; of an item a row for each neighbour. Versions
 * of Millrace that know no models leave these tables alone, so the number of the format stays.
 */
export const createModelTables = `
CREATE TABLE IF NOT EXISTS models (
  version VARCHAR NOT NULL, engine VARCHAR NOT NULL, first_day VARCHAR NOT NULL,
  last_day VARCHAR NOT NULL, started_at BIGINT NOT NULL, completed_at BIGINT,
  items BIGINT, pairs BIGINT, together BIGINT);
CREATE TABLE IF NOT EXISTS model_items (
  version VARCHAR NOT NULL, part INTEGER NOT NULL, item_id VARCHAR NOT NULL,
  sessions BIGINT NOT NULL, neighbour VARCHAR NOT NULL, together BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS model_served (version VARCHAR NOT NULL);
`

type Work<Answer> = (connection: DuckDBConnection) => Promise<Answer>

/**
 * @param ask runs a question
 * @param change makes a change; it is rolled back when it throws
 */
export function createEmbeddedModels(
  ask: <Answer>(question: Work<Answer>) => Promise<Answer>,
  change: <Answer>(change: Work<Answer>) => Promise<Answer>,
): ModelStore {
  return {
    begin: ({ version, engine, firstDay, lastDay, startedAt }) =>
      change(async (writer) => {
        await writer.run('BEGIN TRANSACTION')
        await writer.run('DELETE FROM models WHERE version = $1', [version])
        await writer.run(
          `INSERT INTO models VALUES ($1, $2, $3, $4, ${literal(startedAt)}, NULL, NULL, NULL, NULL)`,
          [version, engine, firstDay, lastDay],
        )
        await writer.run('COMMIT')
      }),
    put: (version, part, items) => change((writer) => putItems(writer, version, part, items)),
    complete: (version, { items, pairs, together }, at) =>
      change(async (writer) => {
        await checkKnown(writer, version)
        await writer.run(
          `UPDATE models SET completed_at = ${literal(at)}, items = ${literal(items)},
             pairs = ${literal(pairs)}, together = ${literal(together)} WHERE version = $1`,
          [version],
        )
      }),
    list: () =>
      ask(async (reader) => {
        const sql = `SELECT version, engine, first_day, last_day, started_at, completed_at, items,
          pairs, together FROM models ORDER BY version DESC`
        return (await rowsOf(reader, sql)).map(modelOf)
      }),
    part: (version, part) => ask((reader) => readPart(reader, version, part)),
    served: () => ask(readServed),
    serve: (version, instead) =>
      change(async (writer) => {
        const before = await readServed(writer)
        if (before !== instead) return before === version
        await writer.run('BEGIN TRANSACTION')
        await writer.run('DELETE FROM model_served')
        await writer.run('INSERT INTO model_served VALUES ($1)', [version])
        await writer.run('COMMIT')
        return true
      }),
    drop: (version) =>
      change(async (writer) => {
        if ((await readServed(writer)) === version) return false
        await writer.run('BEGIN TRANSACTION')
        await writer.run('DELETE FROM model_items WHERE version = $1', [version])
        await writer.run('DELETE FROM models WHERE version = $1', [version])
        await writer.run('COMMIT')
        return true
      }),
  }
}

interface Pair {
  readonly version: string
  readonly part: number
  readonly itemId: string
  readonly sessions: number
  readonly neighbour: string
  readonly together: number
}

const pairColumns: readonly Column<Pair>[] = [
  { name: 'version', type: VARCHAR, form: 'text', value: ({ version }) => version },
  { name: 'part', type: INTEGER, form: 'int32', value: ({ part }) => part },
  { name: 'item_id', type: VARCHAR, form: 'text', value: ({ itemId }) => itemId },
  { name: 'sessions', type: BIGINT, form: 'int64', value: ({ sessions }) => sessions },
  { name: 'neighbour', type: VARCHAR, form: 'text', value: ({ neighbour }) => neighbour },
  { name: 'together', type: BIGINT, form: 'int64', value: ({ together }) => together },
]

async function putItems(
  writer: DuckDBConnection,
  version: string,
  part: number,
  items: readonly ModelItem[],
): Promise<void> {
  await writer.run('BEGIN TRANSACTION')
  await checkKnown(writer, version)
  const known = await rowsOf(
    writer,
    `SELECT DISTINCT item_id FROM model_items WHERE version = $1 AND part = ${literal(part)}`,
    [version],
  )
  const there = new Set(known.map(([itemId]) => itemId as string))
  const pairs = items
    .filter(({ itemId }) => !there.has(itemId))
    .flatMap(({ itemId, sessions, neighbours }) =>
      neighbours.map((each): Pair => {
        const { itemId: neighbour, sessions: together } = each
        return { version, part, itemId, sessions, neighbour, together }
      }),
    )
  await appendRows(writer, 'model_items', pairColumns, pairs)
  await writer.run('COMMIT')
}

async function checkKnown(connection: DuckDBConnection, version: string): Promise<void> {
  const rows = await rowsOf(connection, 'SELECT 1 FROM models WHERE version = $1', [version])
  if (rows.length === 0) throw new MillraceError('model_unknown', version)
}

async function readServed(connection: DuckDBConnection): Promise<string | undefined> {
  const [row] = await rowsOf(connection, 'SELECT version FROM model_served')
  return row?.[0] as string | undefined
}

async function readPart(
  reader: DuckDBConnection,
  version: string,
  part: number,
): Promise<ModelItem[]> {
  const rows = await rowsOf(
    reader,
    `SELECT item_id, sessions, neighbour, together FROM model_items
     WHERE version = $1 AND part = ${literal(part)}`,
    [version],
  )
  const items = new Map<
    string,
    { sessions: number; neighbours: ModelItem['neighbours'][number][] }
  >()
  for (const [itemId, sessions, neighbour, together] of rows) {
    const item = items.get(itemId as string) ?? { sessions: sessions as number, neighbours: [] }
    items.set(itemId as string, item)
    item.neighbours.push({ itemId: neighbour as string, sessions: together as number })
  }
  return [...items].map(([itemId, { sessions, neighbours }]) => ({
    itemId,
    sessions,
    neighbours: neighbours.sort(compareNeighbours),
  }))
}

function modelOf([version, engine, firstDay, lastDay, startedAt, ...rest]: unknown[]): StoredModel {
  const [completedAt, items, pairs, together] = rest as (number | null)[]
  return {
    version: version as string,
    engine: engine as ModelEngine,
    firstDay: firstDay as string,
    lastDay: lastDay as string,
    startedAt: startedAt as number,
    completedAt: completedAt ?? null,
    counts:
      completedAt == null
        ? null
        : { items: items as number, pairs: pairs as number, together: together as number },
  }
}
