import { MillraceError } from '../event/error.ts'
import { type Clock, dayMs, dayOf } from '../lib/clock.ts'
import type { NewModel, StoredModel } from '../store/models.ts'
import type { Store } from '../store/store.ts'
import { readClickRules } from './clicks.ts'
import { buildModel, type ModelDays } from './model-build.ts'
import { type PublishResult, publishModel } from './model-publish.ts'

/** What can be done with the models of a store, for commands and the API. */
export interface ModelService {
  readonly list: () => Promise<ModelList>
  /** Makes a model in this process; nothing is served by that. See `buildModel`. */
  readonly build: (days: ModelDays) => Promise<NewModel>
  /** See `publishModel`. */
  readonly publish: (version: string, isForced: boolean) => Promise<PublishResult>
  /** Where models of others are written. */
  readonly models: Store['models']
}

export interface ModelList {
  /** The version that answers; null for none. */
  readonly served: string | null
  /** Newest first. */
  readonly models: readonly StoredModel[]
}

/** The settings of `recommend` that decide what a model learns from. */
export interface ModelOptions {
  readonly eventTypes: readonly string[]
  readonly boughtEventTypes: readonly string[]
  readonly clicksMax: number
  readonly itemsMax: number
  readonly sessionClicksMax: number
}

/** @throws MillraceError `config_invalid` for event types that cannot be read */
export function createModelService(
  store: Pick<Store, 'events' | 'models'>,
  options: ModelOptions,
  clock: Clock,
): ModelService {
  const rules = readClickRules(options.eventTypes, options.boughtEventTypes)
  return {
    models: store.models,
    async list() {
      const served = (await store.models.served()) ?? null
      return { served, models: await store.models.list() }
    },
    build: (days) => buildModel(store, checkDays(days), rules, options, clock),
    publish: (version, isForced) =>
      publishModel(store, version, rules, { ...options, isForced }, clock()),
  }
}

const dayPattern = /^\d{4}-\d\d-\d\d$/
const daysMax = 366

/** @throws MillraceError `question_invalid` for days that no calendar has, or too many */
export function checkDays({ firstDay, lastDay }: ModelDays): ModelDays {
  for (const day of [firstDay, lastDay]) {
    const time = dayPattern.test(day) ? Date.parse(day) : Number.NaN
    if (Number.isNaN(time) || dayOf(time) !== day) {
      throw new MillraceError('question_invalid', `there is no day ${JSON.stringify(day)}`)
    }
  }
  const days = (Date.parse(lastDay) - Date.parse(firstDay)) / dayMs + 1
  if (days < 1 || days > daysMax) {
    throw new MillraceError('question_invalid', `a model is of 1 to ${daysMax} days`)
  }
  return { firstDay, lastDay }
}
