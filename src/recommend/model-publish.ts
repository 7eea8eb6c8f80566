import { MillraceError } from '../event/error.ts'
import { dayMs, dayOf } from '../lib/clock.ts'
import type { ModelItem } from '../store/models.ts'
import type { Store } from '../store/store.ts'
import type { ClickRules } from './clicks.ts'
import { rangeOfDays } from './model-build.ts'
import { type ReadModel, readModel } from './model-read.ts'
import { rankByModel } from './model-recommender.ts'
import { type ModelSession, type ModelSessionOptions, readModelSessions } from './model-sessions.ts'

/**
 * Publishing: a model takes the place of the one in service only after it was compared with that one
 * on the newest sessions, and is not worse beyond chance. A model that has learnt from a session is
 * asked about it as if it had not: the session is taken out of its counts, which is exact.
 */

/** How well a model foresees the next item of the sessions looked at; see `evaluate.ts`, `nodup`. */
export interface ModelGoodness {
  readonly version: string
  readonly hr20: number
  readonly mrr20: number
}

export interface PublishResult {
  readonly isPublished: boolean
  /** Why, as a person reads it. */
  readonly reason: string
  readonly model: ModelGoodness
  /** The one that was in service; null when there was none, or when it cannot be read any more. */
  readonly served: ModelGoodness | null
  /** Next items that were asked for. */
  readonly predictions: number
}

export interface PublishOptions extends ModelSessionOptions {
  /** Publishes a worse one, too; never one that is not whole. */
  readonly isForced: boolean
}

/** Versions kept for looking into, the one in service beside them. */
const keptModels = 5
/** What is half written after so long was given up by its maker. */
const givenUpMs = 2 * dayMs
/** Newest sessions that are looked at. */
const sessionsMax = 5_000
/** Days that are looked for them, from the newest of the model on; more only while there are too few. */
const daysTried = [2, 7, 31]
const predictionsWanted = 500
const cutoff = 20

/**
 * Compares a model with the one in service and puts it in its place, unless it is worse; then old
 * ones are dropped.
 * @throws MillraceError `model_unknown`, `model_incomplete`; `model_changed` when another one was
 *   published meanwhile; what the store throws
 */
export async function publishModel(
  store: Pick<Store, 'events' | 'models'>,
  version: string,
  rules: ClickRules,
  options: PublishOptions,
  now: number,
): Promise<PublishResult> {
  const { models } = store
  const model = await readModel(models, version)
  const before = await models.served()
  const served = before === undefined ? undefined : await readServed(store, before)
  const sessions = await newestSessions(store, model, rules, options)
  const [ofModel, ofServed] = [model, served].map((each) => each && askSessions(each, sessions))
  const verdict = judge(ofModel as Outcome, before === version ? undefined : ofServed, options)
  if (verdict.isPublished && !(await models.serve(version, before))) {
    throw new MillraceError('model_changed', (await models.served()) ?? 'none')
  }
  if (verdict.isPublished) await dropOld(store, now)
  return {
    ...verdict,
    model: goodnessOf(version, ofModel as Outcome),
    served: ofServed === undefined || before === undefined ? null : goodnessOf(before, ofServed),
    predictions: (ofModel as Outcome).predictions,
  }
}

/** One that is not whole cannot be better than anything. */
async function readServed(
  { models }: Pick<Store, 'models'>,
  version: string,
): Promise<ReadModel | undefined> {
  try {
    return await readModel(models, version)
  } catch (thrown) {
    const { code } = thrown as MillraceError
    if (code === 'model_incomplete' || code === 'model_unknown') return
    throw thrown
  }
}

async function newestSessions(
  store: Pick<Store, 'events'>,
  { lastDay }: ReadModel,
  rules: ClickRules,
  options: ModelSessionOptions,
): Promise<readonly ModelSession[]> {
  let newest: ModelSession[] = []
  for (const days of daysTried) {
    const firstDay = dayOf(Date.parse(lastDay) - (days - 1) * dayMs)
    newest = []
    let predictions = 0
    const range = rangeOfDays({ firstDay, lastDay })
    for await (const session of readModelSessions(store, range, rules, options)) {
      if (session.items.length < 2) continue
      newest.push(session)
      predictions += session.items.length - 1
      if (newest.length > 2 * sessionsMax) newest = newest.slice(-sessionsMax)
    }
    if (predictions >= predictionsWanted) break
  }
  return newest.slice(-sessionsMax)
}

/** Of each session: next items asked for, hits, and the sum of 1 / place. */
interface Outcome {
  readonly hits: readonly number[]
  readonly reciprocals: readonly number[]
  readonly predictions: number
}

function askSessions(model: ReadModel, sessions: readonly ModelSession[]): Outcome {
  const range = rangeOfDays(model)
  const hits: number[] = []
  const reciprocals: number[] = []
  let predictions = 0
  for (const session of sessions) {
    let [sessionHits, sessionReciprocals] = [0, 0]
    for (const [rank, asked] of ranksOf(model.items, session, range.from, range.to)) {
      predictions += asked
      sessionHits += rank > 0 ? 1 : 0
      sessionReciprocals += rank > 0 ? 1 / rank : 0
    }
    hits.push(sessionHits)
    reciprocals.push(sessionReciprocals)
  }
  return { hits, reciprocals, predictions }
}

/** The place of each next item among the answers, 0 for none. Repeats of an item are one click. */
function* ranksOf(
  items: ReadonlyMap<string, ModelItem>,
  session: ModelSession,
  from: number,
  to: number,
): Generator<[rank: number, asked: 1]> {
  const clicked = session.items.filter((item, at) => item !== session.items[at - 1])
  const isLearnt = (time: number | undefined): boolean =>
    time !== undefined && time >= from && time < to
  const learnt = new Set(session.items.filter((_, at) => isLearnt(session.times[at])))
  for (let at = 1; at < clicked.length; at++) {
    const before = clicked.slice(0, at)
    const current = before.at(-1)
    const isAllowed = (itemId: string): boolean => itemId !== current
    const request = { items: before, at: 0, limit: cutoff, isAllowed }
    const answer = rankByModel(items, request, learnt)
    yield [answer.findIndex(({ itemId }) => itemId === clicked[at]) + 1, 1]
  }
}

function goodnessOf(version: string, { hits, reciprocals, predictions }: Outcome): ModelGoodness {
  const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0)
  const count = Math.max(1, predictions)
  return { version, hr20: sum(hits) / count, mrr20: sum(reciprocals) / count }
}

function judge(
  model: Outcome,
  served: Outcome | undefined,
  { isForced }: PublishOptions,
): Pick<PublishResult, 'isPublished' | 'reason'> {
  const found = goodnessOf('', model)
  if (served === undefined) return { isPublished: true, reason: 'there is none to compare it with' }
  if (model.predictions === 0) {
    const reason = 'there are no sessions to compare it by'
    return { isPublished: isForced, reason }
  }
  const before = goodnessOf('', served)
  const worse = likelyLoss(model, served)
  const figures = `HR@20 + MRR@20 ${(found.hr20 + found.mrr20).toFixed(3)}, in service ${(before.hr20 + before.mrr20).toFixed(3)}`
  if (worse <= 0) return { isPublished: true, reason: `not worse: ${figures}` }
  return { isPublished: isForced, reason: `worse: ${figures}` }
}

const samples = 1_000

/**
 * What the model surely loses, of HR@20 + MRR@20: the lower end of a one-sided 97.5 % interval of
 * the difference, from sessions drawn anew 1,000 times. At 0 or below the difference may be chance.
 */
function likelyLoss(model: Outcome, served: Outcome): number {
  const losses = model.hits.map(
    (hits, at) =>
      (served.hits[at] as number) +
      (served.reciprocals[at] as number) -
      hits -
      (model.reciprocals[at] as number),
  )
  const random = createRandom()
  const sums = Array.from({ length: samples }, () => {
    let sum = 0
    for (let draw = 0; draw < losses.length; draw++) {
      sum += losses[Math.floor(random() * losses.length)] as number
    }
    return sum / model.predictions
  }).sort((a, b) => a - b)
  return sums[Math.floor(samples * 0.025)] as number
}

/** xorshift32: the same draws in every run. */
function createRandom(): () => number {
  let state = 20_260_310
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
}

async function dropOld({ models }: Pick<Store, 'models'>, now: number): Promise<void> {
  let complete = 0
  for (const { version, completedAt, startedAt } of await models.list()) {
    const isKept = completedAt === null ? now - startedAt < givenUpMs : ++complete <= keptModels
    if (!isKept) await models.drop(version)
  }
}
