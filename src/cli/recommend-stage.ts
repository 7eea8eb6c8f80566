import { join } from 'node:path'
import type { AnswerRecommendations } from '../collect/recommendations.ts'
import type { Config } from '../config.ts'
import { tailRows } from '../consume/consume.ts'
import type { TakeAlong } from '../export/take-along.ts'
import { systemClock } from '../lib/clock.ts'
import { parseRecommend, parseRecommendBody, recommendParameters } from '../recommend/question.ts'
import { openRecommendService, type RecommendService } from '../recommend/service.ts'
import { openVisibility } from '../recommend/visibility.ts'
import type { Store } from '../store/store.ts'
import type { Logs } from './backends.ts'
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
  const service = openRecommendService(config.recommend, {
    store,
    clock: systemClock,
    tail: (signal) => tailRows(logs.events, signal, logs.foreign),
    visibility: await openVisibility(join(config.data, 'recommend', 'hidden.json')),
    onLine: logLine,
  })
  lifecycle.onStop('recommendations', () => service.stop())
  return service
}

/** What the public port answers with: sessions only, no party can be asked about there. */
export function publicRecommendations(service: RecommendService): AnswerRecommendations {
  return ({ queryText, body }) =>
    service.recommendSession(
      body === undefined
        ? parseRecommend(queryText, recommendParameters)
        : parseRecommendBody(body),
    )
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
