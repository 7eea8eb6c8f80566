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
  entryWeight,
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
    // Apart from the choice of the best, so that the processor fetches many records at once.
    for (let at = first; at < found.length; at++) {
      const candidate = found[at] as number
      const length = entriesEnd(index, candidate) - entriesStart(candidate)
      likeness[at] =
        (likeness[at] as number) *
        (lengthWeights[Math.min(length, placesMax - 1)] as number) *
        weightBefore(newestS - (sessions[candidate] as number)) *
        (matchWeights[ages[at] as number] as number) *
        passed
    }
    for (let at = first; at < found.length; at++) top.offer(at, likeness[at] as number)
    for (const at of top.takeUnordered()) {
      vote(found[at] as number, likeness[at] as number, session[ages[at] as number] as number)
    }
  }
}

const fineBits = 10
const fineS = 1 << fineBits
/** Two years; what is older weighs as that. */
const coarseMax = 60_000

/**
 * The weight of a whole number of seconds: that of its multiple of 1,024 times that of the rest, from
 * two tables, which costs a fraction of an exponential.
 */
function createAgeWeights(weight: (seconds: number) => number, maxS: number): typeof weight {
  const last = Math.min(coarseMax, Math.floor(maxS / fineS))
  const coarse = Float64Array.from({ length: last + 1 }, (_, n) => weight(n * fineS))
  const fine = Float64Array.from({ length: fineS }, (_, seconds) => weight(seconds))
  return (seconds) =>
    (coarse[Math.min(seconds >>> fineBits, last)] as number) *
    (fine[seconds & (fineS - 1)] as number)
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

/** Neighbours give their items scores; the best of them are the answer. */
interface Ballot {
  /** @param common the newest item that the neighbour has in common with the session */
  readonly vote: (neighbour: number, likeness: number, common: number) => void
  /** The answer; the ballot is empty afterwards. */
  readonly count: (limit: number, isAllowed: RecommendRequest['isAllowed']) => Recommendation[]
}

/** What is counted of an item lies side by side, as what is known of a session does: 32 bytes each. */
const countLength = 4
/** Numbers: the sum of its votes, how rare it is, the loudest vote. */
const [scoreAt, rarityAt, loudestAt] = [0, 1, 2]
/** In the place of the last number two whole ones: how many votes, and the item of the loudest. */
const [votesAt, becauseAt] = [6, 7]

function createBallot(index: SessionIndex, options: SessionKnnOptions): Ballot {
  const { sessions, itemIds } = index
  const numbers = weighItems(index, options)
  const wholes = new Uint32Array(numbers.buffer)
  const distanceWeights = tableOf(decay(options.distanceDecay))
  let named: number[] = []

  function add(item: number, share: number, common: number): void {
    const at = countLength * item
    if (wholes[2 * at + votesAt] === 0) named.push(item)
    wholes[2 * at + votesAt] = (wholes[2 * at + votesAt] as number) + 1
    numbers[at + scoreAt] = (numbers[at + scoreAt] as number) + share
    if (share <= (numbers[at + loudestAt] as number)) return
    numbers[at + loudestAt] = share
    wholes[2 * at + becauseAt] = common
  }

  function recommendationOf(item: number): Recommendation {
    const at = countLength * item
    const common = wholes[2 * at + becauseAt] as number
    return {
      itemId: itemIds[item] as string,
      score: numbers[at + scoreAt] as number,
      reason: `in ${wholes[2 * at + votesAt]} similar sessions, with ${itemIds[common]}`,
    }
  }

  return {
    vote(neighbour, likeness, common) {
      const end = entriesEnd(index, neighbour)
      const start = entriesStart(neighbour)
      // Not by indexOf, which costs more than the few items that it looks at.
      let place = start
      while (place < end && entryItem(sessions[place] as number) !== common) place++
      for (let at = start; at < end; at++) {
        const entry = sessions[at] as number
        const distance = Math.min(Math.abs(at - place), placesMax - 1)
        const share =
          likeness *
          (distanceWeights[distance] as number) *
          entryWeight(entry) *
          (at < place ? options.beforeWeight : 1)
        if (share !== 0) add(entryItem(entry), share, common)
      }
    },
    count(limit, isAllowed) {
      const top = createTop(limit)
      for (const item of named) {
        const at = countLength * item
        const score = (numbers[at + scoreAt] as number) * (numbers[at + rarityAt] as number)
        numbers[at + scoreAt] = score
        if (top.wants(item, score) && isAllowed(itemIds[item] as string)) top.offer(item, score)
      }
      const best = top.take().map(recommendationOf)
      for (const item of named) {
        const at = countLength * item
        numbers[at + scoreAt] = 0
        numbers[at + loudestAt] = 0
        wholes[2 * at + votesAt] = 0
      }
      named = []
      return best
    },
  }
}

/** Counts of 0 for all items, and how rare each is. */
function weighItems(index: SessionIndex, { rarityPower }: SessionKnnOptions): Float64Array {
  const numbers = new Float64Array(countLength * itemCount(index))
  for (let item = 0; item < itemCount(index); item++) {
    const seen = sessionsWith(index, item)
    const isWeighed = seen > 0 && rarityPower !== 0
    numbers[countLength * item + rarityAt] = isWeighed
      ? Math.log(1 + sessionCount(index) / seen) ** rarityPower
      : 1
  }
  return numbers
}

/** exp(-n / length); 1 for all where `length` is 0. */
function decay(length: number): (n: number) => number {
  return (n) => (length === 0 ? 1 : Math.exp(-n / length))
}

function tableOf(value: (n: number) => number): Float64Array {
  return Float64Array.from({ length: placesMax }, (_, n) => value(n))
}
