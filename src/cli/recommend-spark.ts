import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Config } from '../config.ts'
import { MillraceError } from '../event/error.ts'
import { dayMs, dayOf, systemClock } from '../lib/clock.ts'
import { readClickRules } from '../recommend/clicks.ts'
import { type ModelDays, newModel, writeModel } from '../recommend/model-build.ts'
import { readModel } from '../recommend/model-read.ts'
import { countModel, type ModelCounts, type ModelItem, type NewModel } from '../store/models.ts'
import type { Store } from '../store/store.ts'
import { openStore } from './backends.ts'
import type { CommonFlags } from './options.ts'
import { openModels } from './recommend-store.ts'
import { readJsonRows, runSparkSql, withTemporaryFolder } from './spark.ts'

/** Models made by Spark: straight from Cassandra into Cassandra, or by way of folders. */

/**
 * Makes a model of these days and returns its version. It is complete and checked then, and not
 * served yet.
 * @throws MillraceError see `runSparkSql`; `model_empty`, `model_incomplete`
 */
export async function buildBySpark(
  config: Config,
  days: ModelDays,
  flags: CommonFlags,
): Promise<string> {
  const model = newModel('spark', days, systemClock)
  await withTemporaryFolder((folder) =>
    config.store.backend === 'cassandra'
      ? buildInCassandra(config, model, folder)
      : buildInFolder(config, model, flags, folder),
  )
  return model.version
}

function modelVariables({ recommend }: Config, model: NewModel): Record<string, string> {
  const { weights } = readClickRules(recommend.eventTypes, recommend.boughtEventTypes)
  const withComma = [...weights.keys()].find((type) => type.includes(','))
  if (withComma !== undefined) {
    throw new MillraceError('config_invalid', `recommend.eventTypes: ${withComma} has a comma`)
  }
  return {
    version: model.version,
    first_day: model.firstDay,
    last_day: model.lastDay,
    event_types: [...weights.keys()].join(),
    session_clicks_max: String(recommend.sessionClicksMax),
    items_max: String(recommend.itemsMax),
  }
}

const files = ['co-occurrence.sql'] as const

async function buildInCassandra(config: Config, model: NewModel, folder: string): Promise<void> {
  // Tables of another version, or no rights, are said before Spark is started.
  const store = await openStore(config)
  try {
    const variables = { keyspace: config.cassandra.keyspace, ...modelVariables(config, model) }
    await runSparkSql(config, { source: 'cassandra', files, variables }, folder)
    const { counts } = await readModel(store.models, model.version)
    if (counts?.items === 0) throw empty(model)
  } catch (thrown) {
    await dropQuietly(store, model.version)
    throw thrown
  } finally {
    await store.close()
  }
}

/** What Spark left half written; it would never be served, and goes after a while in any case. */
async function dropQuietly({ models }: Store, version: string): Promise<void> {
  await models.drop(version).catch(() => undefined)
}

function empty({ firstDay, lastDay }: NewModel): MillraceError {
  return new MillraceError('model_empty', `${firstDay} to ${lastDay}`)
}

async function buildInFolder(
  config: Config,
  model: NewModel,
  flags: CommonFlags,
  folder: string,
): Promise<void> {
  const [exported, out] = [join(folder, 'events'), join(folder, 'out')]
  await exportDays(model, flags, exported)
  const variables = { folder: exported, out, ...modelVariables(config, model) }
  await runSparkSql(config, { source: 'folder', files, variables }, folder)
  const items = (await readJsonRows<ItemRow>(join(out, 'model_items'))).map(itemOf)
  const rows = await readJsonRows<Partial<ModelCounts>>(join(out, 'models'))
  checkCounts(model, items, rows)
  const models = await openModels(config)
  try {
    await writeModel(models.writer, model, items, systemClock)
  } finally {
    await models.close()
  }
}

/** Runs `millrace export` by way of the store's owner, with the day before and after. */
export async function exportDays(
  { firstDay, lastDay }: ModelDays,
  flags: CommonFlags,
  folder: string,
): Promise<void> {
  const beside = (day: string, days: number): string => dayOf(Date.parse(day) + days * dayMs)
  const span = ['--from', beside(firstDay, -1), '--to', beside(lastDay, 1)]
  const common = [
    ...(flags.config === undefined ? [] : ['--config', flags.config]),
    ...(flags.data === undefined ? [] : ['--data', flags.data]),
    ...(flags.set ?? []).flatMap(([path, text]) => ['--set', `${path}=${text}`]),
  ]
  const [, script = ''] = process.argv
  const args = [script, 'export', '--format', 'parquet', '--out', folder, ...span, ...common]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] })
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new MillraceError('spark_failed', 'the events could not be exported')
}

interface ItemRow {
  readonly item_id: string
  readonly sessions: number
  readonly neighbours: readonly string[]
  readonly together: readonly number[]
}

function itemOf({ item_id, sessions, neighbours, together }: ItemRow): ModelItem {
  return {
    itemId: item_id,
    sessions,
    neighbours: neighbours.map((itemId, at) => ({ itemId, sessions: together[at] ?? 0 })),
  }
}

function checkCounts(
  model: NewModel,
  items: readonly ModelItem[],
  rows: readonly Partial<ModelCounts>[],
): void {
  const told = rows.find((row) => row.items !== undefined)
  const found = countModel(items)
  if (told === undefined || told.pairs !== found.pairs || told.together !== found.together) {
    throw new MillraceError('model_incomplete', model.version)
  }
  if (items.length === 0) throw empty(model)
}
