import { createItemToItem, itemToItemDefaults } from './item-to-item.ts'
import type { Pause } from './pause.ts'
import { createRecent } from './recent.ts'
import type { ModelName, Recommendation, Recommender, RecommendRequest } from './recommend.ts'
import type { SessionIndex } from './session-index.ts'
import { createSessionKnn, sessionKnnDefaults } from './session-knn.ts'
import { buildTrending } from './trending.ts'

/** An answer, and the model that gave its first item. */
export interface ChainAnswer {
  /** `none` when nobody knew anything. */
  readonly model: ModelName | 'none'
  readonly items: readonly ChainItem[]
}

/** With the model that gave it: the first ones of a chain may not know enough. */
export interface ChainItem extends Recommendation {
  readonly model: ModelName
}

/** The models over an index, the best first. @param at ms since 1970: what rises, rises then */
export async function createChain(
  index: SessionIndex,
  at: number,
  pause: Pause,
): Promise<Recommender[]> {
  const nearest = createSessionKnn(index, sessionKnnDefaults)
  await pause()
  const next = createItemToItem(index, itemToItemDefaults)
  return [nearest, next, await buildTrending(index, at, pause), createRecent(index)]
}

/**
 * A chain with the store's published model in its second place: the first one knows the session of a
 * second ago, the model knows months, and what comes after it are the chain's substitutes.
 */
export function withPublished(
  chain: readonly Recommender[],
  published: Recommender | undefined,
): readonly Recommender[] {
  if (published === undefined) return chain
  return [...chain.slice(0, 1), published, ...chain.slice(1)]
}

/**
 * Asks one model after the other until the answer is full: what the first ones know comes first, so
 * scores fall within one model's items only.
 */
export function askChain(chain: readonly Recommender[], request: RecommendRequest): ChainAnswer {
  const items: ChainItem[] = []
  const given = new Set<string>()
  let first: ModelName | 'none' = 'none'
  for (const { model, recommend } of chain) {
    const limit = request.limit - items.length
    if (limit === 0) break
    const isAllowed = (itemId: string): boolean => !given.has(itemId) && request.isAllowed(itemId)
    for (const item of recommend({ ...request, limit, isAllowed })) {
      if (first === 'none') first = model
      given.add(item.itemId)
      items.push({ ...item, model })
    }
  }
  return { model: first, items }
}
