import { MillraceError } from '../../event/error.ts'
import {
  type ModelEngine,
  type ModelItem,
  type ModelStore,
  modelParts,
  type StoredModel,
} from '../models.ts'
import { forEachParallel } from './parallel.ts'
import { type CqlRow, int64, type Session, timeOf } from './session.ts'

/**
 * Models in the tables `models`, `model_items` and `model_served`. Spark writes the first two by the
 * connector, with the same columns; see deploy/spark.
 */

const batchItems = 20
const inFlightMax = 8

/** @param ask runs a question over the session, and refuses once the store is closed */
export function createCassandraModels(
  ask: <Answer>(question: (session: Session) => Promise<Answer>) => Promise<Answer>,
): ModelStore {
  return {
    begin: ({ version, engine, firstDay, lastDay, startedAt }) =>
      ask(async (session) => {
        await session.rows(
          `INSERT INTO models (version, engine, first_day, last_day, started_at)
           VALUES (?, ?, ?, ?, ?)`,
          [version, engine, firstDay, lastDay, int64(startedAt)],
        )
      }),
    put: (version, part, items) =>
      ask(async (session) => {
        await findModel(session, version)
        await putItems(session, version, part, items)
      }),
    complete: (version, { items, pairs, together }, at) =>
      ask(async (session) => {
        await findModel(session, version)
        await session.rows(
          'UPDATE models SET completed_at = ?, items = ?, pairs = ?, together = ? WHERE version = ?',
          [int64(at), int64(items), int64(pairs), int64(together), version],
        )
      }),
    list: () =>
      ask(async (session) => {
        const rows = await session.rows(`SELECT ${modelColumns} FROM models`)
        // What is left of a row that was dropped while Spark wrote it has no engine.
        const models = rows.filter((row) => row['engine'] !== null).map(modelOf)
        return models.sort((a, b) => (a.version < b.version ? 1 : -1))
      }),
    part: (version, part) =>
      ask(async (session) => {
        const rows = await session.rows(
          'SELECT item_id, sessions, neighbours, together FROM model_items WHERE version = ? AND part = ?',
          [version, part],
        )
        return rows.map(itemOf)
      }),
    served: () => ask(readServed),
    serve: (version, instead) => ask((session) => serve(session, version, instead)),
    drop: (version) =>
      ask(async (session) => {
        if ((await readServed(session)) === version) return false
        for (let part = 0; part < modelParts; part++) {
          await session.rows('DELETE FROM model_items WHERE version = ? AND part = ?', [
            version,
            part,
          ])
        }
        await session.rows('DELETE FROM models WHERE version = ?', [version])
        return true
      }),
  }
}

const modelColumns =
  'version, engine, first_day, last_day, started_at, completed_at, items, pairs, together'

function modelOf(row: CqlRow): StoredModel {
  const isComplete = row['completed_at'] !== null
  return {
    version: row['version'],
    engine: row['engine'] as ModelEngine,
    firstDay: row['first_day'],
    lastDay: row['last_day'],
    startedAt: timeOf(row['started_at']),
    completedAt: isComplete ? timeOf(row['completed_at']) : null,
    counts: isComplete
      ? {
          items: Number(row['items']),
          pairs: Number(row['pairs']),
          together: Number(row['together']),
        }
      : null,
  }
}

function itemOf(row: CqlRow): ModelItem {
  const itemIds = (row['neighbours'] ?? []) as string[]
  const together = (row['together'] ?? []) as bigint[]
  const neighbours = itemIds.map((itemId, at) => ({ itemId, sessions: Number(together[at] ?? 0) }))
  return { itemId: row['item_id'], sessions: Number(row['sessions']), neighbours }
}

async function findModel(session: Session, version: string): Promise<void> {
  const [row] = await session.rows('SELECT engine FROM models WHERE version = ?', [version])
  if (!row?.['engine']) throw new MillraceError('model_unknown', version)
}

async function putItems(
  session: Session,
  version: string,
  part: number,
  items: readonly ModelItem[],
): Promise<void> {
  const query = `INSERT INTO model_items (version, part, item_id, sessions, neighbours, together)
    VALUES (?, ?, ?, ?, ?, ?)`
  const batches = Array.from({ length: Math.ceil(items.length / batchItems) }, (_, at) =>
    items.slice(at * batchItems, (at + 1) * batchItems),
  )
  await forEachParallel(batches, inFlightMax, (batch) =>
    session.batch(
      batch.map(({ itemId, sessions, neighbours }) => {
        const itemIds = neighbours.map((each) => each.itemId)
        const together = neighbours.map((each) => int64(each.sessions))
        return { query, params: [version, part, itemId, int64(sessions), itemIds, together] }
      }),
    ),
  )
}

async function readServed(session: Session): Promise<string | undefined> {
  const [row] = await session.rows(`SELECT version FROM model_served WHERE name = 'served'`)
  return row?.['version'] ?? undefined
}

/** Two that publish at once have each compared their model with one that the other replaces. */
async function serve(
  session: Session,
  version: string,
  instead: string | undefined,
): Promise<boolean> {
  await (instead === undefined
    ? session.compareAndSet(
        `INSERT INTO model_served (name, version) VALUES ('served', ?) IF NOT EXISTS`,
        [version],
      )
    : session.compareAndSet(
        `UPDATE model_served SET version = ? WHERE name = 'served' IF version = ?`,
        [version, instead],
      ))
  return (await readServed(session)) === version
}
