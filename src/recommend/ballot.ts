import type { Recommendation, RecommendRequest } from './recommend.ts'
import {
  entriesEnd,
  entriesStart,
  entryItem,
  entryWeight,
  itemCount,
  type SessionIndex,
  sessionCount,
  sessionsWith,
} from './session-index.ts'
import type { SessionKnnOptions } from './session-knn.ts'
import { createTop } from './top.ts'
import { decay, placesMax, tableOf } from './weights.ts'

/** Neighbours give their items scores; the best of them are the answer. */
export interface Ballot {
  readonly vote: (vote: Vote) => void
  /** The answer; the ballot is empty afterwards. */
  readonly count: (limit: number, isAllowed: RecommendRequest['isAllowed']) => Recommendation[]
}

/** One neighbour's. */
export interface Vote {
  /** The place of its record. */
  readonly neighbour: number
  readonly likeness: number
  /** The newest item that it has in common with the session. */
  readonly common: number
}

/** More than are asked for, as some of the best are not allowed: the current one always. */
const spare = 4

/** Over one index; it keeps a score for each item, so it is not shared. */
export function createBallot(index: SessionIndex, options: SessionKnnOptions): Ballot {
  const { itemIds, sessions } = index
  const shares = createShares(index, options)
  // All that a vote touches: more of each item would not stay in the processor's cache.
  const scores = new Float64Array(itemCount(index))
  const rarities = raritiesOf(index, options)
  let named: number[] = []
  let votes: Vote[] = []

  /** The best that are allowed, best first; `isAllowed` costs more than a place in the heap. */
  function bestOf(limit: number, isAllowed: RecommendRequest['isAllowed']): number[] {
    for (let size = limit + spare; ; size *= 4) {
      const top = createTop(size)
      for (const item of named) top.offer(item, scores[item] as number)
      const allowed = top.take().filter((item) => isAllowed(itemIds[item] as string))
      if (allowed.length >= limit || size >= named.length) return allowed.slice(0, limit)
    }
  }

  return {
    vote(vote) {
      votes.push(vote)
      const place = shares.placeOf(vote)
      const end = entriesEnd(index, vote.neighbour)
      for (let at = entriesStart(vote.neighbour); at < end; at++) {
        const share = shares.shareOf(at, place, vote.likeness)
        if (share === 0) continue
        const item = entryItem(sessions[at] as number)
        const score = scores[item] as number
        if (score === 0) named.push(item)
        scores[item] = score + share
      }
    },
    count(limit, isAllowed) {
      for (const item of named) scores[item] = (scores[item] as number) * (rarities[item] as number)
      const best = bestOf(limit, isAllowed)
      const bestScores = best.map((item) => scores[item] as number)
      for (const item of named) scores[item] = 0
      const reasons = explain(index, shares, votes, best, scores)
      named = []
      votes = []
      return best.map((item, rank) => ({
        itemId: itemIds[item] as string,
        score: bestScores[rank] as number,
        reason: reasons[rank] as string,
      }))
    },
  }
}

/**
 * Looks at the best only, after the count: how many voted for each, and the item of the loudest.
 * @param ranks a zero for each item, before and after
 */
function explain(
  index: SessionIndex,
  { placeOf, shareOf }: Shares,
  votes: readonly Vote[],
  best: readonly number[],
  ranks: Float64Array,
): string[] {
  const counts = new Uint16Array(best.length)
  const loudest = new Float64Array(best.length)
  const because = new Uint32Array(best.length)
  for (const [at, item] of best.entries()) ranks[item] = at + 1
  for (const vote of votes) {
    const place = placeOf(vote)
    const end = entriesEnd(index, vote.neighbour)
    for (let at = entriesStart(vote.neighbour); at < end; at++) {
      const rank = (ranks[entryItem(index.sessions[at] as number)] as number) - 1
      const share = rank < 0 ? 0 : shareOf(at, place, vote.likeness)
      if (share === 0) continue
      counts[rank] = (counts[rank] as number) + 1
      if (share <= (loudest[rank] as number)) continue
      loudest[rank] = share
      because[rank] = vote.common
    }
  }
  for (const item of best) ranks[item] = 0
  return best.map(
    (_, rank) =>
      `in ${counts[rank]} similar sessions, with ${index.itemIds[because[rank] as number]}`,
  )
}

/** How a neighbour's likeness is shared out among its items. */
interface Shares {
  /** Where the item in common stands. */
  readonly placeOf: (vote: Vote) => number
  /** What the item of the entry at `at` gets. @param place of the item in common */
  readonly shareOf: (at: number, place: number, likeness: number) => number
}

function createShares(index: SessionIndex, options: SessionKnnOptions): Shares {
  const { sessions } = index
  const distanceWeights = tableOf(decay(options.distanceDecay))
  return {
    placeOf({ neighbour, common }) {
      // Not by indexOf, which costs more than the few items that it looks at.
      let place = entriesStart(neighbour)
      const end = entriesEnd(index, neighbour)
      while (place < end && entryItem(sessions[place] as number) !== common) place++
      return place
    },
    shareOf: (at, place, likeness) =>
      likeness *
      (distanceWeights[Math.min(Math.abs(at - place), placesMax - 1)] as number) *
      entryWeight(sessions[at] as number) *
      (at < place ? options.beforeWeight : 1),
  }
}

/** log(1 + sessions / those with the item) ^ rarityPower, of each item. */
function raritiesOf(index: SessionIndex, { rarityPower }: SessionKnnOptions): Float64Array {
  return Float64Array.from({ length: itemCount(index) }, (_, item) => {
    const seen = sessionsWith(index, item)
    if (seen === 0 || rarityPower === 0) return 1
    return Math.log(1 + sessionCount(index) / seen) ** rarityPower
  })
}
