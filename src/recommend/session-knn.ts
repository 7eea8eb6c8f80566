import { type Ballot, createBallot } from './ballot.ts'
import {
  type Recommendation,
  type Recommender,
  type RecommendRequest,
  sessionItemsUsed,
} from './recommend.ts'
import {
  entriesEnd,
  entriesStart,
  newestFirst,
  numbersOf,
  type SessionIndex,
  sessionsWith,
} from './session-index.ts'
import { chooseGreatest } from './top.ts'
import { createAgeWeights, decay, placesMax, tableOf } from './weights.ts'

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

/** Over one index; it keeps some arrays of its items' number to count in, so it is not shared. */
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
  const { postings, postingStarts, sessions } = index
  const { sessionsMax } = options
  const newestS = sessions[index.sessionStarts.at(-1) ?? 0] ?? 0
  const oldestS = sessions[0] ?? 0
  const matchWeights = tableOf(decay(options.matchDecay))
  const itemWeights = tableOf(decay(options.itemDecay))
  const lengthWeights = tableOf((length) => Math.max(1, length) ** -options.lengthPower)
  const ageWeight = decay(options.ageDays * dayS)
  const weightBefore = createAgeWeights(ageWeight, newestS - oldestS)
  /** Those that have something in common, from the end on: the newest item's newest has the last place. */
  const found = new Uint32Array(sessionItemsUsed * sessionsMax)
  const ages = new Uint8Array(found.length)
  const likeness = new Float64Array(found.length)
  const slots = createSlots(found)
  const scratch = new Float64Array(found.length)
  const times = new Uint32Array(found.length)
  const lengths = new Uint32Array(found.length)

  /** Adds up what each session has in common; returns the first place in use. */
  function addUp(session: readonly number[]): number {
    let first = found.length
    for (const [age, item] of session.entries()) {
      const weight = itemWeights[age] as number
      const end = postingStarts[item + 1] as number
      const start = Math.max(postingStarts[item] as number, end - sessionsMax)
      for (let at = end - 1; at >= start; at--) {
        const candidate = postings[at] as number
        const place = slots.place(candidate, first - 1)
        if (place === first - 1) {
          found[--first] = candidate
          ages[first] = age
          likeness[first] = weight
        } else likeness[place] = (likeness[place] as number) + weight
      }
    }
    return first
  }

  return (session, atS, vote) => {
    slots.empty(
      session.reduce((sum, item) => sum + Math.min(sessionsMax, sessionsWith(index, item)), 0),
    )
    const first = addUp(session)
    const passed = ageWeight(Math.max(0, atS - newestS))
    // Nothing else is done meanwhile, so that the processor fetches several records at once.
    for (let at = first; at < found.length; at++) {
      const candidate = found[at] as number
      times[at] = sessions[candidate] as number
      lengths[at] = entriesEnd(index, candidate) - entriesStart(candidate)
    }
    for (let at = first; at < found.length; at++) {
      likeness[at] =
        (likeness[at] as number) *
        (lengthWeights[Math.min(lengths[at] as number, placesMax - 1)] as number) *
        weightBefore(newestS - (times[at] as number)) *
        (matchWeights[ages[at] as number] as number) *
        passed
    }
    const chosen = chooseGreatest(likeness.subarray(first), options.neighbours, scratch)
    for (const n of chosen) {
      const at = first + n
      vote({
        neighbour: found[at] as number,
        likeness: likeness[at] as number,
        common: session[ages[at] as number] as number,
      })
    }
  }
}

/** Where the candidates of one question stand. */
interface Slots {
  /** Forgets all. @param most as many will be asked for */
  readonly empty: (most: number) => void
  /** The place of a candidate; `next`, which it has from then on, when it is new. */
  readonly place: (candidate: number, next: number) => number
}

/**
 * A hash table that is as small as the question: one entry for each session of the index would be
 * simpler, but is fetched from memory each time.
 * @param found the candidates by their places
 */
function createSlots(found: Uint32Array): Slots {
  const placesAndOne = new Uint32Array(4 * found.length)
  let bits = 0
  return {
    empty(most) {
      // Half of it stays free.
      bits = Math.ceil(Math.log2(2 * Math.max(1, most)))
      placesAndOne.fill(0, 0, 1 << bits)
    },
    place(candidate, next) {
      // Fibonacci hashing (Knuth, The Art of Computer Programming 3, 6.4): the golden ratio of 2^32.
      let slot = Math.imul(candidate, 0x9e37_79b1) >>> (32 - bits)
      for (;;) {
        const place = (placesAndOne[slot] as number) - 1
        if (place < 0) {
          placesAndOne[slot] = next + 1
          return next
        }
        if (found[place] === candidate) return place
        slot = (slot + 1) & ((1 << bits) - 1)
      }
    },
  }
}
