import type { ModelItem } from '../store/models.ts'
import {
  type Recommendation,
  type Recommender,
  type RecommendRequest,
  sessionItemsUsed,
} from './recommend.ts'

/** What the item `n` items before the current one counts: decay ^ n. */
const decay = 0.8

/**
 * Recommends by a model of the store: the sessions that two items share, divided by the root of how
 * often both are seen, summed over the items of the session.
 */
export function createModelRecommender(
  version: string,
  items: ReadonlyMap<string, ModelItem>,
): Recommender {
  return {
    model: 'co-occurrence',
    recommend: (request) =>
      rankByModel(items, request).map(({ itemId, score, because }) => ({
        itemId,
        score,
        reason: `in the same sessions as ${because}, by model ${version}`,
      })),
  }
}

interface Ranked extends Pick<Recommendation, 'itemId' | 'score'> {
  /** The newest item of the session that speaks for it. */
  readonly because: string
}

/**
 * The best items for a session, best first; of equal scores the one whose id sorts first.
 * @param learnt items of a session that the model has learnt from: it is taken out of all counts, as
 *   if the model had been made without it
 */
export function rankByModel(
  items: ReadonlyMap<string, ModelItem>,
  request: RecommendRequest,
  learnt?: ReadonlySet<string>,
): Ranked[] {
  const scores = new Map<string, { score: number; because: string }>()
  lastDifferent(request.items, sessionItemsUsed).forEach((itemId, age) => {
    const item = items.get(itemId)
    if (item === undefined) return
    const isLearnt = learnt?.has(itemId) === true
    const own = item.sessions - (isLearnt ? 1 : 0)
    for (const neighbour of item.neighbours) {
      const isShared = isLearnt && learnt?.has(neighbour.itemId) === true
      const together = neighbour.sessions - (isShared ? 1 : 0)
      if (together <= 0 || !request.isAllowed(neighbour.itemId)) continue
      const known = items.get(neighbour.itemId)?.sessions ?? neighbour.sessions
      const other = known - (learnt?.has(neighbour.itemId) === true ? 1 : 0)
      const score = (decay ** age * together) / Math.sqrt(own * Math.max(other, together))
      const before = scores.get(neighbour.itemId)
      if (before === undefined) scores.set(neighbour.itemId, { score, because: itemId })
      else before.score += score
    }
  })
  return [...scores]
    .map(([itemId, scored]) => ({ itemId, ...scored }))
    .sort((a, b) => b.score - a.score || (a.itemId < b.itemId ? -1 : 1))
    .slice(0, request.limit)
}

/** Newest first. */
function lastDifferent(items: readonly string[], max: number): string[] {
  const different = new Set<string>()
  for (let at = items.length - 1; at >= 0 && different.size < max; at--) {
    different.add(items[at] as string)
  }
  return [...different]
}
