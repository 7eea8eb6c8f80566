import { join } from 'node:path'
import type { AnswerRecommendations, RecommendationsRequest } from '../collect/recommendations.ts'
import type { Config } from '../config.ts'
import { tailRows } from '../consume/consume.ts'
import { MillraceError } from '../event/error.ts'
import type { TakeAlong } from '../export/take-along.ts'
import type { ImportTarget } from '../import/target.ts'
import { toError } from '../lib/assert.ts'
import { systemClock } from '../lib/clock.ts'
import { followModel } from '../recommend/model-follower.ts'
import {
  parseRecommend,
  parseRecommendBody,
  type RecommendQuestion,
  recommendParameters,
} from '../recommend/question.ts'
import { openRecommendService, type RecommendService } from '../recommend/service.ts'
import { openVisibility } from '../recommend/visibility.ts'
import type { Store } from '../store/store.ts'
import type { Logs } from './backends.ts'
import { type ApiClient, connectApi } from './client.ts'
import type { Lifecycle } from './lifecycle.ts'
import { logLine } from './terminal.ts'

/** Recommendations in the process that owns the store; undefined where they are switched off. */
export async function openRecommendStage(
  config: Config,
  logs: Logs,
  store: Store,
  lifecycle: Lifecycle,
): Promise<RecommendService | undefined> {
  if (!config.recommend.enabled) return
  const { refreshSeconds } = config.recommend
  const follower = followModel(store.models, { refreshSeconds, onLine: logLine })
  lifecycle.onStop('published model', () => follower.stop())
  const service = openRecommendService(config.recommend, {
    store,
    published: follower.recommender,
    clock: systemClock,
    tail: (signal) => tailRows(logs.events, signal, logs.foreign),
    visibility: await openVisibility(join(config.data, 'recommend', 'hidden.json')),
    onLine: logLine,
  })
  lifecycle.onStop('recommendations', () => service.stop())
  return service
}

/**
 * What the public port answers with: sessions only, no party can be asked about there. A collector
 * apart from the store has no models and asks who owns the store; nothing where they are switched off.
 */
export function publicRecommendations(
  config: Config,
  service: RecommendService | undefined,
): { readonly recommendations?: AnswerRecommendations } {
  if (!config.recommend.enabled) return {}
  if (service === undefined) return { recommendations: forwardedRecommendations(config) }
  return { recommendations: (request) => service.recommendSession(questionOf(request)) }
}

function questionOf({ queryText, body }: RecommendationsRequest): RecommendQuestion {
  return body === undefined
    ? parseRecommend(queryText, recommendParameters)
    : parseRecommendBody(body)
}

/** A page shows its own choice by then. */
const forwardMs = 1_000
/** Requests under way at the API; more would wait longer than a page does. */
const forwardsMax = 200

/**
 * Asks the API as commands find it: `MILLRACE_API_URL`, or the owner of the data folder. What is
 * asked was checked here, so the refusals of the API are ours to explain, not the page's.
 */
function forwardedRecommendations(config: Config): AnswerRecommendations {
  let api: Promise<ApiClient> | undefined
  let underWay = 0

  async function ask(body: string): Promise<object> {
    api ??= connectApi(config)
    const used = api
    try {
      const signal = AbortSignal.timeout(forwardMs)
      return await (await used).json<object>('/api/recommendations', {
        method: 'POST',
        body,
        signal,
      })
    } catch (thrown) {
      // The owner may be another process by now, with another address and token.
      if (api === used) api = undefined
      throw thrown
    }
  }

  return async (request) => {
    const { items, exclude, limit, sessionId } = questionOf(request)
    const session = sessionId === undefined ? {} : { session: sessionId }
    const body = JSON.stringify({ items, exclude, limit, ...session })
    if (underWay >= forwardsMax) throw new MillraceError('recommendations_away')
    underWay++
    try {
      return await ask(body).catch((thrown) => {
        if (toError(thrown).name === 'TimeoutError') throw thrown
        return ask(body)
      })
    } catch (cause) {
      throw new MillraceError('recommendations_away', undefined, { cause })
    } finally {
      underWay--
    }
  }
}

/** An erased party is gone from serving at once, and what came of it meanwhile too. */
export function forgetting(takeAlong: TakeAlong, service: RecommendService | undefined): TakeAlong {
  if (service === undefined) return takeAlong
  return {
    ...takeAlong,
    async erase(partyId) {
      service.forget(partyId)
      const receipt = await takeAlong.erase(partyId)
      service.forget(partyId)
      return receipt
    },
  }
}

/** What is imported is on no log that the recommender follows. */
export function learning(
  target: ImportTarget,
  service: RecommendService | undefined,
): ImportTarget {
  if (service === undefined) return target
  return {
    ...target,
    async write(body) {
      const written = await target.write(body)
      if (written.inserted !== 0) service.outdate()
      return written
    },
  }
}
