import { randomBytes } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { MillraceError } from '../event/error.ts'
import { type Clock, dayMs } from '../lib/clock.ts'
import {
  compareNeighbours,
  countModel,
  type ModelEngine,
  type ModelItem,
  type ModelNeighbour,
  type ModelStore,
  modelNeighboursMax,
  modelParts,
  type NewModel,
} from '../store/models.ts'
import type { Store, TimeRange } from '../store/store.ts'
import type { ClickRules } from './clicks.ts'
import { type ModelSessionOptions, readModelSessions } from './model-sessions.ts'
import {
  buildIndex,
  entriesEnd,
  entriesStart,
  entryItem,
  itemCount,
  type SessionIndex,
  sessionsWith,
} from './session-index.ts'
import { createSessions, type SessionsOptions } from './sessions.ts'

/**
 * Makes a model in this process: of each item, which others are in most of its sessions. The Spark
 * job of deploy/spark makes the same from the same events.
 */

export type ModelBuildOptions = SessionsOptions & ModelSessionOptions

/** Days that a model is made from; UTC, `YYYY-MM-DD`, both included. */
export interface ModelDays {
  readonly firstDay: string
  readonly lastDay: string
}

/** What a new model is called: its time comes first, so that versions sort by it. */
export function newModel(engine: ModelEngine, days: ModelDays, clock: Clock): NewModel {
  const startedAt = clock()
  const time = new Date(startedAt).toISOString().replace(/\.\d+Z$|[-:]/g, '')
  const version = `${time}-${engine}-${randomBytes(3).toString('hex')}`
  return { version, engine, startedAt, ...days }
}

/** The time of whole days. */
export function rangeOfDays({ firstDay, lastDay }: ModelDays): TimeRange {
  return { from: Date.parse(firstDay), to: Date.parse(lastDay) + dayMs }
}

/**
 * Reads the days and writes a complete model; nothing is served by that. A half-written one stays
 * when this throws, until it is dropped.
 * @throws MillraceError `model_empty` when no two items share a session; what the store throws
 */
export async function buildModel(
  store: Pick<Store, 'events' | 'models'>,
  days: ModelDays,
  rules: ClickRules,
  options: ModelBuildOptions,
  clock: Clock,
): Promise<NewModel> {
  const model = newModel('embedded', days, clock)
  const items = await collectItems(store, rangeOfDays(days), rules, options)
  await writeModel(store.models, model, items, clock)
  return model
}

/**
 * Writes a model in its parts, then what has to be in them.
 * @throws MillraceError `model_empty`; what the store throws
 */
export async function writeModel(
  models: Pick<ModelStore, 'begin' | 'put' | 'complete'>,
  model: NewModel,
  items: readonly ModelItem[],
  clock: Clock,
): Promise<void> {
  if (items.length === 0) {
    throw new MillraceError('model_empty', `${model.firstDay} to ${model.lastDay}`)
  }
  await models.begin(model)
  for (let part = 0; part < modelParts; part++) {
    const ofPart = items.filter((_, at) => at % modelParts === part)
    await models.put(model.version, part, ofPart)
  }
  await models.complete(model.version, countModel(items), clock())
}

async function collectItems(
  store: Pick<Store, 'events'>,
  range: TimeRange,
  rules: ClickRules,
  options: ModelBuildOptions,
): Promise<ModelItem[]> {
  const sessions = createSessions(options)
  for await (const { items, times } of readModelSessions(store, range, rules, options)) {
    const numbers = new Set(items.flatMap((item) => sessions.numberOf(item) ?? []))
    sessions.add({ items: [...numbers], timeMs: times.at(-1) ?? 0, owner: 0 })
  }
  const columns = sessions.copy()
  if (columns.count === 0) return []
  const index = await buildIndex(columns, () => nextTurn())
  const items: ModelItem[] = []
  const together = new Uint32Array(itemCount(index))
  for (let item = 0; item < itemCount(index); item++) {
    const neighbours = neighboursOf(index, item, together)
    // Counting an item takes a millisecond at most; others share the thread.
    if (item % 50 === 0) await nextTurn()
    if (neighbours.length === 0) continue
    items.push({
      itemId: index.itemIds[item] as string,
      sessions: sessionsWith(index, item),
      neighbours,
    })
  }
  return items
}

/** @param together a zero for each item, before and after */
function neighboursOf(index: SessionIndex, item: number, together: Uint32Array): ModelNeighbour[] {
  const { itemIds, postings, postingStarts, sessions } = index
  const others: number[] = []
  const end = postingStarts[item + 1] as number
  for (let at = postingStarts[item] as number; at < end; at++) {
    const session = postings[at] as number
    const last = entriesEnd(index, session)
    for (let entry = entriesStart(session); entry < last; entry++) {
      const other = entryItem(sessions[entry] as number)
      if (other === item) continue
      if (together[other] === 0) others.push(other)
      together[other] = (together[other] as number) + 1
    }
  }
  const neighbours = others.map((other) => ({
    itemId: itemIds[other] as string,
    sessions: together[other] as number,
  }))
  for (const other of others) together[other] = 0
  return neighbours.sort(compareNeighbours).slice(0, modelNeighboursMax)
}
