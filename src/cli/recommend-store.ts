import { type Command, InvalidArgumentError } from 'commander'
import type { ModelBuildAnswer, ModelsAnswer, PublishAnswer } from '../api/models.ts'
import type { Config } from '../config.ts'
import { dayMs, dayOf, systemClock } from '../lib/clock.ts'
import type { ModelDays } from '../recommend/model-build.ts'
import type { PublishResult } from '../recommend/model-publish.ts'
import { checkDays, createModelService } from '../recommend/model-service.ts'
import type { ModelCounts, ModelItem, ModelStore, NewModel } from '../store/models.ts'
import { openStore } from './backends.ts'
import { type ApiClient, connectOwner } from './client.ts'

/** Where the models are: in the process that owns the store, or in a store opened here. */
export interface ModelsHere {
  readonly list: () => Promise<ModelsAnswer>
  readonly build: (days: ModelDays) => Promise<NewModel>
  readonly publish: (version: string, isForced: boolean) => Promise<PublishResult>
  readonly writer: Pick<ModelStore, 'begin' | 'put' | 'complete'>
  readonly close: () => Promise<void>
}

/**
 * Cassandra is anybody's; the embedded store has one owner, who is asked if there is one.
 * @throws as `openStore`
 */
export async function openModels(config: Config): Promise<ModelsHere> {
  const api = config.store.backend === 'embedded' ? await connectOwner(config) : undefined
  if (api !== undefined) return modelsThere(api)
  const store = await openStore(config)
  const { list, build, publish, models } = createModelService(store, config.recommend, systemClock)
  return { list, build, publish, writer: models, close: () => store.close() }
}

/** Items of one request: the API takes no more than a megabyte. */
const putItems = 100

function modelsThere(api: ApiClient): ModelsHere {
  const post = <Answer>(path: string, body: object): Promise<Answer> =>
    api.json<Answer>(`/api/recommend/models/${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
    })
  return {
    list: () => api.json<ModelsAnswer>('/api/recommend/models'),
    build: (days) => post<ModelBuildAnswer>('build', days),
    publish: (version, force) => post<PublishAnswer>('publish', { version, force }),
    writer: {
      begin: (model: NewModel) => post('begin', model),
      async put(version: string, part: number, items: readonly ModelItem[]) {
        for (let at = 0; at < items.length; at += putItems) {
          await post('put', { version, part, items: items.slice(at, at + putItems) })
        }
      },
      complete: (version: string, counts: ModelCounts) => post('complete', { version, counts }),
    },
    close: async () => {},
  }
}

export interface DaysFlags {
  readonly last?: number
  readonly day?: string
}

/** Adds `--last` and `--day`. */
export function withDays(command: Command): Command {
  return command
    .option('--last <days>', 'so many days, such as 90d (default: recommend.days)', parseDays)
    .option('--day <YYYY-MM-DD>', 'the last one of them (UTC; default: today)')
}

function parseDays(given: string): number {
  const [, digits] = /^(\d{1,3})d$/.exec(given) ?? []
  if (digits === undefined) throw new InvalidArgumentError('It must be days, such as 90d.')
  return Number(digits)
}

/** @throws MillraceError `question_invalid` */
export function daysOf({ last, day }: DaysFlags, { recommend }: Config): ModelDays {
  const lastDay = day ?? dayOf(systemClock())
  checkDays({ firstDay: lastDay, lastDay })
  const firstDay = dayOf(Date.parse(lastDay) - ((last ?? recommend.days) - 1) * dayMs)
  return checkDays({ firstDay, lastDay })
}
