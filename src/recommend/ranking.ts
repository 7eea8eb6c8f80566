import type { ModelName, Recommendation, Recommender } from './recommend.ts'

/** Items kept of a list that is the same for everyone: an answer's most, and those hidden before it. */
export const rankingItemsMax = 2_000

/** A list made ahead, from which every request gets the first that it may have. */
export function createRanking(model: ModelName, ranked: readonly Recommendation[]): Recommender {
  return {
    model,
    recommend({ limit, isAllowed }) {
      const best: Recommendation[] = []
      for (const entry of ranked) {
        if (best.length >= limit) break
        if (isAllowed(entry.itemId)) best.push(entry)
      }
      return best
    },
  }
}
