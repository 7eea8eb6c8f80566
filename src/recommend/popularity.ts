import { createRanking, rankingItemsMax } from './ranking.ts'
import type { Recommender } from './recommend.ts'
import { itemCount, type SessionIndex, sessionsWith } from './session-index.ts'
import { createTop } from './top.ts'

/** The items of most sessions: the same for everyone, what every other model has to beat. */
export function createPopularity(index: SessionIndex): Recommender {
  const top = createTop(rankingItemsMax)
  for (let item = 0; item < itemCount(index); item++) {
    if (sessionsWith(index, item) > 0) top.offer(item, sessionsWith(index, item))
  }
  const ranked = top.take().map((item) => ({
    itemId: index.itemIds[item] as string,
    score: sessionsWith(index, item),
    reason: `in ${sessionsWith(index, item)} sessions`,
  }))
  return createRanking('popularity', ranked)
}
