import type { Event } from '../event/event.ts'
import { toError } from '../lib/assert.ts'
import { type Clock, dayMs, minuteMs, secondMs } from '../lib/clock.ts'
import { backoffMs, waitMs } from '../lib/retry.ts'
import { type Store, sessionGapMs, type TimeRange } from '../store/store.ts'
import { askChain, type ChainItem, createChain, withPublished } from './chain.ts'
import { type ClickRules, clickOf, readClickRules, readClicks } from './clicks.ts'
import {
  type Click,
  createOpenSessions,
  type KnownSession,
  type OpenSessions,
} from './open-sessions.ts'
import { createPause } from './pause.ts'
import type { RecommendQuestion } from './question.ts'
import { createRebuild } from './rebuild.ts'
import type { Recommendation, Recommender } from './recommend.ts'
import { createRecommendationId } from './recommendation-id.ts'
import type { FileSession } from './session-file.ts'
import {
  buildIndex,
  clickCount,
  isExpired,
  itemCount,
  type SessionIndex,
  sessionCount,
} from './session-index.ts'
import { createSessions, type Sessions } from './sessions.ts'
import { readStoredSessions } from './stored-sessions.ts'
import { buildTrending } from './trending.ts'
import type { Visibility } from './visibility.ts'

/** Recommendations from the store, kept up with the log: what `millrace start` serves. */

/** The settings of `recommend` in the configuration. */
export interface RecommendOptions {
  readonly days: number
  readonly eventTypes: readonly string[]
  readonly boughtEventTypes: readonly string[]
  readonly refreshSeconds: number
  readonly rebuildMinutes: number
  readonly clicksMax: number
  readonly itemsMax: number
  readonly sessionClicksMax: number
  readonly itemDaysMax: number
}

export interface RecommendParts {
  readonly store: Pick<Store, 'events'>
  readonly clock: Clock
  /** Events from now on, as they come onto the log, until `signal` aborts. */
  readonly tail: (signal: AbortSignal) => AsyncIterable<Event>
  readonly visibility: Visibility
  /** The published model of the store, as it is now; see `followModel`. */
  readonly published?: () => Recommender | undefined
  /** Takes lines that an operator should see. */
  readonly onLine?: (line: string) => void
}

/** An answer to `RecommendQuestion`. */
export interface RecommendAnswer {
  /** 128 random bits in base64url: names this answer where it is shown and clicked. */
  readonly recommendationId: string
  /** That of the first item; `none` for an answer without items. */
  readonly model: string
  readonly items: readonly ChainItem[]
}

/** What was built. */
export interface BuildResult {
  readonly sessions: number
  readonly clicks: number
  readonly items: number
  /** Reading and indexing together, by the clock of the wall. */
  readonly milliseconds: number
}

/** Recommendations that follow the store and the log until they are stopped. */
export interface RecommendService {
  readonly visibility: Visibility
  /** @throws what `Store.events` throws, when a party's clicks have to be read */
  readonly recommend: (question: RecommendQuestion) => Promise<RecommendAnswer>
  /** The same without looking a party up. */
  readonly recommendSession: (question: RecommendQuestion) => RecommendAnswer
  /** What goes with each item, by each model that knows the item. */
  readonly neighbours: (itemId: string, limit: number) => readonly NeighbourAnswer[]
  /** Sessions of the store, to evaluate on. @throws what `Store.events` throws */
  readonly sessions: (range: TimeRange) => AsyncIterable<FileSession>
  /** Reads the store anew. While that is under way, the same promise for everyone. */
  readonly build: () => Promise<BuildResult>
  /** Indexes what has arrived since. */
  readonly refresh: () => Promise<void>
  /** The store got what is not on the log: it is read anew once nothing more comes. */
  readonly outdate: () => void
  /** Takes a party out: of sessions under way at once, of the models with the next refresh. */
  readonly forget: (partyId: string) => void
  readonly stop: () => Promise<void>
}

export interface NeighbourAnswer extends Recommendation {
  readonly model: string
}

const retry = { initialMs: secondMs, maxMs: minuteMs }
/** Most sessions under way: a party's last clicks, about 2 KB each. */
const openSessionsMax = 50_000
/** Clicks of the log kept while the store is read, to be put in after it. */
const arrivalsMax = 100_000
const finishEveryClicks = 1_000
/** Events of a party that are looked at when it has no session under way. */
const partyEventsMax = 50

/** Sessions as they are known now: replaced whole when the store is read anew. */
interface Knowledge {
  readonly sessions: Sessions
  readonly open: OpenSessions
}

/** What answers. */
interface Models {
  readonly index: SessionIndex | undefined
  readonly chain: readonly Recommender[]
  /** What they were made of, and at which of its revisions. */
  readonly knowledge?: Knowledge
  readonly revision?: number
}

/**
 * Begins to follow the log and builds in the background: answers are empty until the first is done.
 * @throws MillraceError `config_invalid` for event types that cannot be read
 */
export function openRecommendService(
  options: RecommendOptions,
  parts: RecommendParts,
): RecommendService {
  const rules = readClickRules(options.eventTypes, options.boughtEventTypes)
  const state: State = {
    options,
    parts,
    rules,
    knowledge: createKnowledge(options),
    models: { index: undefined, chain: [] },
    arrivals: undefined,
    forgotten: new Set(),
    stopping: new AbortController(),
    work: Promise.resolve(),
  }
  let building: Promise<BuildResult> | undefined
  const build = (): Promise<BuildResult> => {
    building ??= inTurn(state, () => readStore(state)).finally(() => {
      building = undefined
    })
    return building
  }
  const refresh = async (): Promise<void> => {
    await inTurn(state, async () => {
      await (isCurrent(state) ? renewTrending(state) : indexAnew(state))
    })
  }
  const following = follow(state)
  const keeping = keepUp(state, build, refresh)
  return {
    visibility: parts.visibility,
    recommendSession: (question) => answer(state, question, undefined),
    async recommend(question) {
      const { partyId } = question
      if (partyId === undefined) return answer(state, question, undefined)
      const known = state.knowledge.open.ofParty(partyId) ?? (await lastSession(state, partyId))
      return answer(state, question, known)
    },
    neighbours: (itemId, limit) => neighboursOf(state, itemId, limit),
    sessions: (range) => readStoredSessions(parts.store, range, rules, options.sessionClicksMax),
    build,
    refresh,
    outdate: createRebuild(
      // Not the reading that is under way: it may have passed what has come.
      () => inTurn(state, () => readStore(state)),
      (thrown) => sayNotBuilt(state, thrown),
      state.stopping.signal,
    ),
    forget(partyId) {
      state.forgotten.add(partyId)
      state.knowledge.open.forget(partyId)
      state.arrivals = state.arrivals?.filter(({ key }) => key !== partyId)
    },
    async stop() {
      state.stopping.abort()
      await Promise.allSettled([following, keeping, state.work])
    },
  }
}

interface State {
  readonly options: RecommendOptions
  readonly parts: RecommendParts
  readonly rules: ClickRules
  knowledge: Knowledge
  models: Models
  /** What came by the log while the store is being read; undefined while it is not. */
  arrivals: Click[] | undefined
  /** Parties that are to be left out of a reading under way. */
  readonly forgotten: Set<string>
  readonly stopping: AbortController
  work: Promise<unknown>
}

function createKnowledge(options: RecommendOptions): Knowledge {
  const sessions = createSessions(options)
  const { sessionClicksMax } = options
  const limits = { gapMs: sessionGapMs, sessionClicksMax, sessionsMax: openSessionsMax }
  return { sessions, open: createOpenSessions(sessions, limits) }
}

/** One piece of work at a time. */
function inTurn<Result>(state: State, work: () => Promise<Result>): Promise<Result> {
  const done = state.work.then(work)
  state.work = done.catch(() => {})
  return done
}

async function readStore(state: State): Promise<BuildResult> {
  const { options, parts, rules } = state
  const startedAt = performance.now()
  const pause = createPause(state.stopping.signal)
  const now = parts.clock()
  const knowledge = createKnowledge(options)
  state.arrivals = []
  state.forgotten.clear()
  try {
    // A clock that runs ahead by minutes is a client's right.
    const range = { from: now - options.days * dayMs, to: now + dayMs }
    let clicks = 0
    for await (const click of readClicks(parts.store, range, rules)) {
      knowledge.open.add(click)
      if (++clicks % finishEveryClicks === 0) knowledge.open.finish(click.timeMs)
      await pause()
    }
    for (const click of state.arrivals) knowledge.open.add(click)
    // What was asked to be erased meanwhile may have been read before it was deleted.
    for (const party of state.forgotten) knowledge.open.forget(party)
    state.knowledge = knowledge
  } finally {
    state.arrivals = undefined
  }
  const index = await indexAnew(state)
  return {
    sessions: index === undefined ? 0 : sessionCount(index),
    clicks: index === undefined ? 0 : clickCount(index),
    items: index === undefined ? 0 : itemCount(index),
    milliseconds: Math.round(performance.now() - startedAt),
  }
}

/** Whether nothing has come or gone since the models were made. */
function isCurrent({ models, knowledge }: State): boolean {
  return models.knowledge === knowledge && models.revision === knowledge.open.revision()
}

/** What rises depends on the time of day too. */
async function renewTrending(state: State): Promise<void> {
  const { models, parts, stopping } = state
  if (models.index === undefined) return
  const trending = await buildTrending(models.index, parts.clock(), createPause(stopping.signal))
  const chain = models.chain.map((one) => (one.model === trending.model ? trending : one))
  state.models = { ...models, chain }
}

/** Makes the models anew from what is known, then puts them in the place of the old ones at once. */
async function indexAnew(state: State): Promise<SessionIndex | undefined> {
  const { sessions, open } = state.knowledge
  const now = state.parts.clock()
  const pause = createPause(state.stopping.signal)
  const revision = open.revision()
  open.finish(now)
  const columns = sessions.copy(open.unfinished())
  await pause()
  const index = columns.count === 0 ? undefined : await buildIndex(columns, pause)
  const chain = index === undefined ? [] : await createChain(index, now, pause)
  state.models = { index, chain, knowledge: state.knowledge, revision }
  return index
}

/** Reads the store from time to time, and indexes what arrives more often. */
async function keepUp(
  state: State,
  build: () => Promise<unknown>,
  refresh: () => Promise<unknown>,
): Promise<void> {
  const { options, stopping } = state
  const { signal } = stopping
  let attempt = 0
  let builtAt = Number.NEGATIVE_INFINITY
  while (!signal.aborted) {
    const isDue = performance.now() - builtAt >= options.rebuildMinutes * minuteMs
    try {
      await (isDue ? build() : refresh())
      if (isDue) builtAt = performance.now()
      attempt = 0
      await waitMs(options.refreshSeconds * secondMs, signal)
    } catch (thrown) {
      if (signal.aborted) return
      sayNotBuilt(state, thrown)
      await waitMs(backoffMs(++attempt, retry), signal)
    }
  }
}

function sayNotBuilt({ parts }: State, thrown: unknown): void {
  parts.onLine?.(`recommendations were not built: ${toError(thrown).message}`)
}

/** Takes clicks as they come onto the log: the session of a second ago is known. */
async function follow(state: State): Promise<void> {
  const { parts, rules, stopping } = state
  const { signal } = stopping
  let attempt = 0
  while (!signal.aborted) {
    try {
      for await (const event of parts.tail(signal)) {
        attempt = 0
        const click = clickOf(event, rules)
        if (click === undefined) continue
        state.knowledge.open.add(click)
        if (state.arrivals !== undefined && state.arrivals.length < arrivalsMax) {
          state.arrivals.push(click)
        }
      }
    } catch (thrown) {
      if (signal.aborted) return
      parts.onLine?.(`recommendations do not follow the log: ${toError(thrown).message}`)
    }
    await waitMs(backoffMs(++attempt, retry), signal)
  }
}

/** What the store knows of a party that has no session under way here. */
async function lastSession(state: State, partyId: string): Promise<KnownSession | undefined> {
  const { parts, options, rules } = state
  const now = parts.clock()
  const rows = await parts.store.events(
    { from: now - options.days * dayMs, to: now + dayMs },
    { bots: 'exclude', partyId },
    { order: 'desc', limit: partyEventsMax },
  )
  // Erased while it was read.
  if (state.forgotten.has(partyId)) return
  const clicks = rows.flatMap((row) => clickOf(row, rules) ?? []).reverse()
  const bought = clicks.filter(({ isBought }) => isBought).map(({ itemId }) => itemId)
  return { items: clicks.map(({ itemId }) => itemId), bought }
}

function answer(
  state: State,
  question: RecommendQuestion,
  ofParty: KnownSession | undefined,
): RecommendAnswer {
  const { parts, options, models, knowledge } = state
  const at = parts.clock()
  const { sessionId } = question
  const ofSession = sessionId === undefined ? undefined : knowledge.open.ofSession(sessionId)
  const items = [...(ofParty?.items ?? []), ...(ofSession?.items ?? []), ...question.items]
  const current = items.at(-1)
  const left = new Set([
    ...question.exclude,
    ...(ofParty?.bought ?? []),
    ...(ofSession?.bought ?? []),
  ])
  const isAllowed = (itemId: string): boolean =>
    itemId !== current &&
    !left.has(itemId) &&
    !parts.visibility.isHidden(itemId, at) &&
    !isExpired(models.index, itemId, at, options.itemDaysMax)
  const { model, items: best } = askChain(withPublished(models.chain, parts.published?.()), {
    items,
    at,
    limit: question.limit,
    isAllowed,
  })
  return { recommendationId: createRecommendationId(), model, items: best }
}

function neighboursOf(state: State, itemId: string, limit: number): readonly NeighbourAnswer[] {
  const at = state.parts.clock()
  const isAllowed = (other: string): boolean =>
    other !== itemId && !state.parts.visibility.isHidden(other, at)
  const known = ['session-knn', 'item-to-item', 'co-occurrence']
  return withPublished(state.models.chain, state.parts.published?.())
    .filter(({ model }) => known.includes(model))
    .flatMap(({ model, recommend }) =>
      recommend({ items: [itemId], at, limit, isAllowed }).map((entry) => ({ ...entry, model })),
    )
}
