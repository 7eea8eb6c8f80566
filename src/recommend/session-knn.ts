import {
  type Recommendation,
  type Recommender,
  type RecommendRequest,
  sessionItemsUsed,
} from './recommend.ts'
import {
  itemCount,
  newestFirst,
  numbersOf,
  type SessionIndex,
  sessionCount,
  sessionsWith,
} from './session-index.ts'
import { createTop } from './top.ts'

/**
 * Session-based nearest neighbours: the sessions most like this one vote for what comes next.
 * VMIS-kNN (Kersbergen et al., SIGMOD 2022) finds them in bounded time; the weights are those of
 * STAN (Garg et al., SIGIR 2019) and V-STAN (Ludewig et al., UMUAI 2020), each of which can be off.
 */
export interface SessionKnnOptions {
  /** Of the sessions with an item only so many are looked at, the newest. */
  readonly sessionsMax: number
  /** Sessions that vote. */
  readonly neighbours: number
  /** An item `n` items before the current one counts exp(-n / itemDecay). */
  readonly itemDecay: number
  /** A neighbour of `n` items counts n ^ -lengthPower. */
  readonly lengthPower: number
  /** A neighbour `n` days old counts exp(-n / ageDays); 0: its age does not matter. */
  readonly ageDays: number
  /** An item `n` places from the one in common counts exp(-n / distanceDecay); 0: all the same. */
  readonly distanceDecay: number
  /** What an item before the one in common counts, where one after it counts 1. */
  readonly beforeWeight: number
  /** An item that is in `n` of all sessions counts log(1 + sessions / n) ^ rarityPower. */
  readonly rarityPower: number
  /** A neighbour whose newest item in common is `n` items old counts exp(-n / matchDecay); 0: off. */
  readonly matchDecay: number
}

/**
 * A compromise between two shops' sessions, chosen on parts of their training data only (see
 * `tune.ts`); `millrace recommend evaluate` finds better ones for other data.
 */
export const sessionKnnDefaults: SessionKnnOptions = {
  sessionsMax: 500,
  neighbours: 200,
  itemDecay: 2,
  lengthPower: 0.25,
  ageDays: 10,
  distanceDecay: 4,
  beforeWeight: 1,
  rarityPower: 1,
  matchDecay: 3,
}

const dayS = 86_400
/** Longer sessions and distances weigh as these do. */
const placesMax = 256

/** Over one index; it keeps some arrays of the index's size to count in, so it is not shared. */
export function createSessionKnn(index: SessionIndex, options: SessionKnnOptions): Recommender {
  const findNeighbours = createNeighbourSearch(index, options)
  const ballot = createBallot(index, options)
  return {
    model: 'session-knn',
    recommend({ items, at, limit, isAllowed }: RecommendRequest): readonly Recommendation[] {
      const session = newestFirst(numbersOf(index, items), sessionItemsUsed)
      findNeighbours(session, at / 1_000, ballot.vote)
      return ballot.count(limit, isAllowed)
    },
  }
}

/**
 * Takes a session, newest item first, and gives its neighbours to `vote` in no order.
 * @param atS when it is asked, s since 1970
 */
type NeighbourSearch = (session: readonly number[], atS: number, vote: Ballot['vote']) => void

function createNeighbourSearch(index: SessionIndex, options: SessionKnnOptions): NeighbourSearch {
  const { postings, postingStarts, sessionTimes } = index
  const { sessionsMax } = options
  const newestS = sessionTimes.at(-1) ?? 0
  // Of session s: at 2s what it has in common, 0 between questions; at 2s + 1 what it weighs. Side by
  // side, because fetching them from memory is most of the work.
  const sessions = weighSessions(index, options, newestS)
  const matchWeights = tableOf(decay(options.matchDecay))
  const itemWeights = tableOf(decay(options.itemDecay))
  const ageWeight = decay(options.ageDays)
  /** Those that have something in common, from the end on: the newest item's newest has the last place. */
  const found = new Uint32Array(sessionItemsUsed * sessionsMax)
  const ages = new Uint8Array(found.length)
  const likeness = new Float64Array(found.length)
  const top = createTop(options.neighbours)

  /** Adds up what each session has in common; returns the first place in use. */
  function addUp(session: readonly number[]): number {
    let first = found.length
    for (const [age, item] of session.entries()) {
      const weight = itemWeights[age] as number
      const end = postingStarts[item + 1] as number
      const start = Math.max(postingStarts[item] as number, end - sessionsMax)
      for (let at = end - 1; at >= start; at--) {
        const candidate = postings[at] as number
        const common = sessions[2 * candidate] as number
        if (common === 0) {
          found[--first] = candidate
          ages[first] = age
        }
        sessions[2 * candidate] = common + weight
      }
    }
    return first
  }

  return (session, atS, vote) => {
    const first = addUp(session)
    const passed = ageWeight(Math.max(0, atS - newestS) / dayS)
    for (let at = first; at < found.length; at++) {
      const candidate = found[at] as number
      const common = (sessions[2 * candidate] as number) * (sessions[2 * candidate + 1] as number)
      sessions[2 * candidate] = 0
      likeness[at] = common * (matchWeights[ages[at] as number] as number) * passed
      top.offer(at, likeness[at] as number)
    }
    for (const at of top.takeUnordered()) {
      vote(found[at] as number, likeness[at] as number, session[ages[at] as number] as number)
    }
  }
}

/**
 * What each session weighs for a question at the newest one, in every second place; a later question
 * makes all of them smaller alike.
 */
function weighSessions(
  { sessionTimes, sessionStarts }: SessionIndex,
  options: SessionKnnOptions,
  newestS: number,
): Float64Array {
  const lengthWeights = tableOf((length) => Math.max(1, length) ** -options.lengthPower)
  const ageWeight = decay(options.ageDays)
  const sessions = new Float64Array(2 * sessionTimes.length)
  for (const [session, timeS] of sessionTimes.entries()) {
    const length = (sessionStarts[session + 1] as number) - (sessionStarts[session] as number)
    sessions[2 * session + 1] =
      (lengthWeights[Math.min(length, placesMax - 1)] as number) *
      ageWeight((newestS - timeS) / dayS)
  }
  return sessions
}

/** Neighbours give their items scores; the best of them are the answer. */
interface Ballot {
  /** @param common the newest item that the neighbour has in common with the session */
  readonly vote: (neighbour: number, likeness: number, common: number) => void
  /** The answer; the ballot is empty afterwards. */
  readonly count: (limit: number, isAllowed: RecommendRequest['isAllowed']) => Recommendation[]
}

function createBallot(index: SessionIndex, options: SessionKnnOptions): Ballot {
  const { sessionItems, sessionStarts, sessionWeights, itemIds } = index
  const scores = new Float64Array(itemCount(index))
  const votes = new Uint16Array(itemCount(index))
  /** The item in common that spoke loudest for an item, and how loud. */
  const because = new Uint32Array(itemCount(index))
  const loudest = new Float64Array(itemCount(index))
  const distanceWeights = tableOf(decay(options.distanceDecay))
  let named: number[] = []

  const rarities = Float64Array.from(scores, (_, item) => {
    const seen = sessionsWith(index, item)
    if (seen === 0 || options.rarityPower === 0) return 1
    return Math.log(1 + sessionCount(index) / seen) ** options.rarityPower
  })

  return {
    vote(neighbour, likeness, common) {
      const end = sessionStarts[neighbour + 1] as number
      const start = sessionStarts[neighbour] as number
      // Not by indexOf, which costs more than the few items that it looks at.
      let place = start
      while (place < end && sessionItems[place] !== common) place++
      for (let at = start; at < end; at++) {
        const item = sessionItems[at] as number
        const distance = Math.min(Math.abs(at - place), placesMax - 1)
        const share =
          likeness *
          (distanceWeights[distance] as number) *
          (sessionWeights[at] as number) *
          (at < place ? options.beforeWeight : 1)
        if (share === 0) continue
        if (votes[item] === 0) named.push(item)
        votes[item] = (votes[item] as number) + 1
        scores[item] = (scores[item] as number) + share
        if (share > (loudest[item] as number)) {
          loudest[item] = share
          because[item] = common
        }
      }
    },
    count(limit, isAllowed) {
      const top = createTop(limit)
      for (const item of named) {
        const score = (scores[item] as number) * (rarities[item] as number)
        scores[item] = score
        if (top.wants(item, score) && isAllowed(itemIds[item] as string)) top.offer(item, score)
      }
      const best = top.take().map((item) => ({
        itemId: itemIds[item] as string,
        score: scores[item] as number,
        reason: `in ${votes[item]} similar sessions, with ${itemIds[because[item] as number]}`,
      }))
      for (const item of named) {
        scores[item] = 0
        loudest[item] = 0
        votes[item] = 0
      }
      named = []
      return best
    },
  }
}

/** exp(-n / length); 1 for all where `length` is 0. */
function decay(length: number): (n: number) => number {
  return (n) => (length === 0 ? 1 : Math.exp(-n / length))
}

function tableOf(value: (n: number) => number): Float64Array {
  return Float64Array.from({ length: placesMax }, (_, n) => value(n))
}
