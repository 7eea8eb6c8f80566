import { createRanking, rankingItemsMax } from './ranking.ts'
import type { Recommendation, Recommender } from './recommend.ts'
import {
  entriesEnd,
  entriesStart,
  entryItem,
  type SessionIndex,
  sessionCount,
} from './session-index.ts'

/** The items of the newest sessions, the last clicked first: there is one as soon as anybody clicks. */
export function createRecent(index: SessionIndex): Recommender {
  const seen = new Set<number>()
  const ranked: Recommendation[] = []
  for (let last = 1; last <= sessionCount(index) && seen.size < rankingItemsMax; last++) {
    const place = index.sessionStarts.at(-last) as number
    const start = entriesStart(place)
    for (let at = entriesEnd(index, place) - 1; at >= start; at--) {
      const item = entryItem(index.sessions[at] as number)
      if (seen.has(item) || seen.size === rankingItemsMax) continue
      seen.add(item)
      ranked.push({
        itemId: index.itemIds[item] as string,
        score: 1 / (1 + ranked.length),
        reason: `in one of the last ${last} sessions`,
      })
    }
  }
  return createRanking('recent', ranked)
}
