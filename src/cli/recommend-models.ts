import { type Command, Option } from 'commander'
import type { ModelsAnswer } from '../api/models.ts'
import type { RecommendBuildAnswer } from '../api/recommend-answer.ts'
import type { Config } from '../config.ts'
import { isMillraceError, MillraceError } from '../event/error.ts'
import type { ModelDays } from '../recommend/model-build.ts'
import { connectOwner } from './client.ts'
import { type CommonFlags, configOf, createCommand } from './options.ts'
import { buildBySpark } from './recommend-spark.ts'
import { type DaysFlags, daysOf, type ModelsHere, openModels, withDays } from './recommend-store.ts'
import { printRows } from './table.ts'
import { printOut } from './terminal.ts'

/** `millrace recommend build`, `models` and `publish`: versioned models in the store. */

interface BuildFlags extends CommonFlags, DaysFlags {
  readonly engine: 'embedded' | 'spark'
  readonly once?: boolean
}

export function buildCommand(): Command {
  const engine = new Option('--engine <engine>', 'what makes it')
    .choices(['embedded', 'spark'])
    .default('embedded')
  return withDays(createCommand('build', 'Make a model from the store and print its version'))
    .addOption(engine)
    .option('--once', 'print the one of the same days and engine instead, if there is one')
    .addHelpText(
      'after',
      `
Nothing is served by it until millrace recommend publish VERSION. What is served without a model is
read from the store anew at once, too. spark submits the job of deploy/spark by spark-submit; see
recommend.sparkSubmit.`,
    )
    .action(async (flags: BuildFlags) => {
      const config = await configOf(flags)
      const days = daysOf(flags, config)
      const made = flags.once === true ? await findModel(config, days, flags.engine) : undefined
      if (made !== undefined) {
        await printOut(`${made}\n`)
        return
      }
      if (flags.engine === 'spark') {
        await printOut(`${await buildBySpark(config, days, flags)}\n`)
        return
      }
      await refreshServing(config)
      const models = await openModels(config)
      try {
        const { version } = await models.build(days)
        await printOut(`${version}\n`)
      } finally {
        await models.close()
      }
    })
}

/** The newest complete model of these days by this engine, if it is kept. */
async function findModel(
  config: Config,
  { firstDay, lastDay }: ModelDays,
  engine: BuildFlags['engine'],
): Promise<string | undefined> {
  const models = await openModels(config)
  try {
    const stored = (await models.list()).models
    const isSame = (model: (typeof stored)[number]): boolean =>
      model.engine === engine &&
      model.firstDay === firstDay &&
      model.lastDay === lastDay &&
      model.completedAt !== null
    return stored.find(isSame)?.version
  } finally {
    await models.close()
  }
}

/** Tells a process that recommends to read the store, if there is one. */
async function refreshServing(config: Config): Promise<void> {
  const api = await connectOwner(config)
  if (api === undefined) return
  try {
    const init = { method: 'POST', body: '{}' }
    const built = await api.json<RecommendBuildAnswer>('/api/recommend/build', init)
    const counts = [built.sessions, built.clicks, built.items]
    const [sessions, clicks, items] = counts.map((count) => count.toLocaleString('en'))
    process.stderr.write(
      `${sessions} sessions with ${clicks} clicks on ${items} items in ${built.milliseconds} ms\n`,
    )
  } catch (thrown) {
    // Recommendations are switched off there.
    if (!isMillraceError(thrown, 'not_found')) throw thrown
  }
}

interface ModelsFlags extends CommonFlags {
  readonly json?: boolean
}

export function modelsCommand(): Command {
  return createCommand('models', 'List the models of the store, newest first')
    .option('--json', 'print JSON, a line for each row')
    .action(async (flags: ModelsFlags) => {
      const models = await openModels(await configOf(flags))
      try {
        const { served, models: stored } = await models.list()
        const rows = stored.map((model) => ({ ...model, isServed: model.version === served }))
        if (rows.length === 0 && flags.json !== true) {
          process.stderr.write('no models; make one: millrace recommend build\n')
          return
        }
        await printRows(rows, modelColumns, flags)
      } finally {
        await models.close()
      }
    })
}

type ModelRow = ModelsAnswer['models'][number] & { readonly isServed: boolean }

const modelColumns = [
  { title: 'version', value: (row: ModelRow) => row.version },
  { title: 'from', value: (row: ModelRow) => row.firstDay },
  { title: 'to', value: (row: ModelRow) => row.lastDay },
  { title: 'items', value: (row: ModelRow) => row.counts?.items ?? '' },
  { title: 'neighbours', value: (row: ModelRow) => row.counts?.pairs ?? '' },
  { title: 'state', value: (row: ModelRow) => stateOf(row) },
]

function stateOf({ isServed, counts }: ModelRow): string {
  if (isServed) return 'served'
  return counts === null ? 'half written' : 'complete'
}

/** The version in service, if it knows days that this one does not: work for past days is done again. */
async function findNewer(
  { list }: Pick<ModelsHere, 'list'>,
  version: string,
): Promise<string | undefined> {
  const { served, models } = await list()
  const lastDayOf = (name: string | null): string | undefined =>
    models.find((model) => model.version === name)?.lastDay
  const [own, other] = [lastDayOf(version), lastDayOf(served)]
  return own !== undefined && other !== undefined && other > own ? (served ?? undefined) : undefined
}

/** A worse model is no failure of the command, and no success either. */
const keptExitCode = 3

interface PublishFlags extends CommonFlags {
  readonly force?: boolean
}

export function publishCommand(): Command {
  return createCommand('publish', 'Serve a model, unless it is worse than the one in service')
    .argument('<version>', 'see millrace recommend models')
    .option('--force', 'also when it is worse')
    .addHelpText(
      'after',
      `
Both are asked for the next items of the newest sessions. Exit code 3: it is worse, and the one in
service stays. One of older days than the one in service is left alone.`,
    )
    .action(async (version: string, flags: PublishFlags) => {
      if (!/^[0-9A-Za-z-]{1,64}$/.test(version)) throw new MillraceError('model_unknown', version)
      const models = await openModels(await configOf(flags))
      try {
        const newer = flags.force === true ? undefined : await findNewer(models, version)
        if (newer !== undefined) {
          await printOut(`${version} is not served, ${newer} stays: it is of newer days\n`)
          return
        }
        const result = await models.publish(version, flags.force === true)
        const { isPublished, reason, predictions } = result
        const kept = result.served?.version ?? 'none'
        const what = isPublished
          ? `${version} is served`
          : `${version} is not served, ${kept} stays`
        const by = `${predictions.toLocaleString('en')} next items of the newest sessions`
        await printOut(`${what}: ${reason} (${by})\n`)
        if (!isPublished) process.exitCode = keptExitCode
      } finally {
        await models.close()
      }
    })
}
