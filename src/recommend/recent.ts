import { createRanking, rankingItemsMax } from './ranking.ts'
import type { Recommendation, Recommender } from './recommend.ts'
import { type SessionIndex, sessionCount } from './session-index.ts'

/** The items of the newest sessions, the last clicked first: there is one as soon as anybody clicks. */
export function createRecent(index: SessionIndex): Recommender {
  const seen = new Set<number>()
  const ranked: Recommendation[] = []
  for (let at = index.sessionItems.length - 1; at >= 0 && seen.size < rankingItemsMax; at--) {
    const item = index.sessionItems[at] as number
    if (seen.has(item)) continue
    seen.add(item)
    ranked.push({
      itemId: index.itemIds[item] as string,
      score: 1 / (1 + ranked.length),
      reason: `in one of the last ${sessionCount(index) - sessionAt(index, at)} sessions`,
    })
  }
  return createRanking('recent', ranked)
}

/** The session whose item stands at `place`. */
function sessionAt(index: SessionIndex, place: number): number {
  let [low, high] = [0, sessionCount(index) - 1]
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if ((index.sessionStarts[middle] as number) <= place) low = middle
    else high = middle - 1
  }
  return low
}
