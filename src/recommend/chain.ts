import type { ModelName, Recommendation, Recommender, RecommendRequest } from './recommend.ts'

/** An answer, and the model that gave its first item. */
export interface ChainAnswer {
  /** `none` when nobody knew anything. */
  readonly model: ModelName | 'none'
  readonly items: readonly Recommendation[]
}

/**
 * Asks one model after the other until the answer is full: what the first ones know comes first, so
 * scores fall within one model's items only.
 */
export function askChain(chain: readonly Recommender[], request: RecommendRequest): ChainAnswer {
  const items: Recommendation[] = []
  const given = new Set<string>()
  let first: ModelName | 'none' = 'none'
  for (const { model, recommend } of chain) {
    const limit = request.limit - items.length
    if (limit === 0) break
    const isAllowed = (itemId: string): boolean => !given.has(itemId) && request.isAllowed(itemId)
    for (const item of recommend({ ...request, limit, isAllowed })) {
      if (first === 'none') first = model
      given.add(item.itemId)
      items.push(item)
    }
  }
  return { model: first, items }
}
