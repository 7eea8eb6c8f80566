import {
  type Recommendation,
  type Recommender,
  type RecommendRequest,
  sessionItemsUsed,
} from './recommend.ts'
import {
  entriesEnd,
  entriesStart,
  entryItem,
  itemCount,
  newestFirst,
  numbersOf,
  type SessionIndex,
  sessionsWith,
} from './session-index.ts'
import { createTop } from './top.ts'

/** Items that were in the same sessions, counted when asked: a table of all pairs would be larger. */
export interface ItemToItemOptions {
  /** Of the sessions with an item only so many are counted, the newest. */
  readonly sessionsMax: number
  /** What the item `n` items before the current one counts: decay ^ n. 0: the current one alone. */
  readonly decay: number
  /** Divides by the root of how often both are seen (cosine), so that what all look at is no answer. */
  readonly cosine: boolean
}

/** What serving uses: plain co-occurrence with the current item. */
export const itemToItemDefaults: ItemToItemOptions = { sessionsMax: 2_000, decay: 0, cosine: false }

/** @param model `item-knn` for the whole session, `item-to-item` for the current item */
export function createItemToItem(
  index: SessionIndex,
  options: ItemToItemOptions,
  model: 'item-to-item' | 'item-knn' = 'item-to-item',
): Recommender {
  const { itemIds, postings, postingStarts, sessions } = index
  const together = new Uint32Array(itemCount(index))
  const scores = new Float64Array(itemCount(index))
  const because = new Uint32Array(itemCount(index))

  /** Counts the sessions that `item` shares with each other item; returns those others. */
  function countTogether(item: number): number[] {
    const others: number[] = []
    const end = postingStarts[item + 1] as number
    const start = Math.max(postingStarts[item] as number, end - options.sessionsMax)
    for (let at = start; at < end; at++) {
      const session = postings[at] as number
      const last = entriesEnd(index, session)
      for (let entry = entriesStart(session); entry < last; entry++) {
        const other = entryItem(sessions[entry] as number)
        if (other === item) continue
        if (together[other] === 0) others.push(other)
        together[other] = (together[other] as number) + 1
      }
    }
    return others
  }

  function closeness(item: number, other: number): number {
    const count = together[other] as number
    return options.cosine
      ? count / Math.sqrt(sessionsWith(index, item) * sessionsWith(index, other))
      : count
  }

  return {
    model,
    recommend({ items, limit, isAllowed }: RecommendRequest): readonly Recommendation[] {
      const used = options.decay === 0 ? 1 : sessionItemsUsed
      const named: number[] = []
      newestFirst(numbersOf(index, items), used).forEach((item, age) => {
        for (const other of countTogether(item)) {
          if (scores[other] === 0) {
            named.push(other)
            because[other] = item
          }
          scores[other] = (scores[other] as number) + options.decay ** age * closeness(item, other)
          together[other] = 0
        }
      })
      const top = createTop(limit)
      for (const item of named) {
        const score = scores[item] as number
        if (top.wants(item, score) && isAllowed(itemIds[item] as string)) top.offer(item, score)
      }
      const best = top.take().map((item) => ({
        itemId: itemIds[item] as string,
        score: scores[item] as number,
        reason: `in the same sessions as ${itemIds[because[item] as number]}`,
      }))
      for (const item of named) scores[item] = 0
      return best
    },
  }
}
