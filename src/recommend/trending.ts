import type { Pause } from './pause.ts'
import { createRanking, rankingItemsMax } from './ranking.ts'
import type { Recommender } from './recommend.ts'
import {
  entriesEnd,
  entriesStart,
  entryItem,
  itemCount,
  type SessionIndex,
  sessionCount,
} from './session-index.ts'
import { createTop } from './top.ts'

const dayS = 86_400
/** What the last day is compared with. */
const daysBefore = 7
const stepSessions = 5_000
const stepItems = 2_000

/**
 * Items of a recent rise: how far the sessions of the last 24 hours exceed the daily mean of the 7
 * days before, in standard deviations of a count (its root). An item that is always in demand does
 * not rise; a new one that three people look at does.
 * @param at ms since 1970: the end of the last 24 hours
 */
export async function buildTrending(
  index: SessionIndex,
  at: number,
  pause: Pause,
): Promise<Recommender> {
  const atS = at / 1_000
  const recent = new Uint32Array(itemCount(index))
  const before = new Uint32Array(itemCount(index))
  for (let session = sessionCount(index) - 1; session >= 0; session--) {
    const place = index.sessionStarts[session] as number
    const ageS = atS - (index.sessions[place] as number)
    if (ageS > (1 + daysBefore) * dayS) break
    const counts = ageS <= dayS ? recent : before
    const end = entriesEnd(index, place)
    for (let at = entriesStart(place); at < end; at++) {
      const item = entryItem(index.sessions[at] as number)
      counts[item] = (counts[item] as number) + 1
    }
    if (session % stepSessions === 0) await pause()
  }
  const rise = (item: number): number => {
    const mean = (before[item] as number) / daysBefore
    return ((recent[item] as number) - mean) / Math.sqrt(mean + 1)
  }
  const top = createTop(rankingItemsMax)
  for (let item = 0; item < recent.length; item++) {
    const height = (recent[item] as number) > 0 ? rise(item) : 0
    if (height > 0) top.offer(item, height)
    if (item % stepItems === 0) await pause()
  }
  await pause()
  const ranked = top.take().map((item) => {
    const mean = (before[item] as number) / daysBefore
    return {
      itemId: index.itemIds[item] as string,
      score: rise(item),
      reason: `in ${recent[item]} sessions of the last day, ${mean.toFixed(1)} a day before`,
    }
  })
  return createRanking('trending', ranked)
}
