import type { Recommender } from './recommend.ts'
import type { FileSession } from './session-file.ts'
import { buildIndex, itemCount, newestFirst, type SessionIndex } from './session-index.ts'
import { createSessions } from './sessions.ts'

/**
 * How good a model's answers are, by sessions that it has not learnt from: each click of a test
 * session is to be foreseen from those before it.
 */

/**
 * What counts as foreseen.
 * - `keep`: the next click, whatever it is; the current item may be returned.
 * - `nodup`: repeats of an item one after the other are removed, so that the next item is another
 *   one, and the current item is not returned: what the shelf of a shop needs.
 */
export type Protocol = 'keep' | 'nodup'

/** One line of the result. */
export interface EvaluateRow {
  readonly model: string
  readonly protocol: Protocol
  readonly predictions: number
  /** Share of the predictions with the next item among the first 20. */
  readonly hr20: number
  /** 95 % bootstrap interval over sessions. */
  readonly hr20Low: number
  readonly hr20High: number
  /** Mean of 1 / its place, 0 where it is not among the first 20. */
  readonly mrr20: number
  readonly mrr20Low: number
  readonly mrr20High: number
  /** Share of the items learnt that are in any answer. */
  readonly coverage20: number
  /** Mean popularity of the answers' items, from 0 (the rarest) to 1 (the most seen). */
  readonly popularity20: number
  readonly p90Micros: number
}

/** Answers that are looked at. */
const cutoff = 20

/** What is asked, and what came next. */
export interface Prediction {
  readonly session: number
  readonly items: readonly string[]
  /** ms since 1970: of the last of `items`. */
  readonly at: number
  readonly target: string
}

/** Indexes whole sessions; no bound is put on them, as the file is the user's own. */
export function indexSessions(sessions: readonly FileSession[]): Promise<SessionIndex> {
  const unbounded = Number.MAX_SAFE_INTEGER
  const columns = createSessions({ clicksMax: unbounded, itemsMax: unbounded })
  for (const { items, times, target } of sessions) {
    const whole = target === undefined ? items : [...items, target]
    const numbers = whole.map((item) => columns.numberOf(item) as number)
    const different = newestFirst(numbers, numbers.length).reverse()
    columns.add({ items: different, timeMs: times.at(-1) ?? 0, owner: 0 })
  }
  return buildIndex(columns.copy(), () => undefined)
}

/** Every next click of the sessions, by the protocol's rules. */
export function predictionsOf(
  sessions: readonly FileSession[],
  protocol: Protocol,
): readonly Prediction[] {
  return sessions.flatMap((given, session) => {
    const { items, times } = given.target === undefined ? given : withTarget(given)
    const kept = items.flatMap((item, at) =>
      protocol === 'nodup' && item === items[at - 1] ? [] : [at],
    )
    const predictions = kept.slice(1).map((at, before) => ({
      session,
      items: kept.slice(0, before + 1).map((place) => items[place] as string),
      at: times[kept[before] as number] as number,
      target: items[at] as string,
    }))
    if (given.target === undefined) return predictions
    const last = predictions.at(-1)
    // Under `nodup` the target may have gone as a repeat: then there is nothing to foresee.
    return last !== undefined && kept.at(-1) === items.length - 1 ? [last] : []
  })
}

function withTarget({ items, times, target }: FileSession): FileSession {
  return { items: [...items, target as string], times: [...times, times.at(-1) as number] }
}

/** Hits and reciprocal ranks of the predictions, in their order. */
export interface Outcome {
  /** The target's place from 1; 0 where it is not among the answers. */
  readonly ranks: Uint8Array
  readonly micros: Float64Array
  readonly returned: ReadonlyMap<string, number>
}

/** Asks a model for every prediction. */
export function askAll(
  model: Recommender,
  predictions: readonly Prediction[],
  protocol: Protocol,
): Outcome {
  const ranks = new Uint8Array(predictions.length)
  const micros = new Float64Array(predictions.length)
  const returned = new Map<string, number>()
  for (const [place, { items, at, target }] of predictions.entries()) {
    const current = items.at(-1)
    const isAllowed = (itemId: string): boolean => protocol === 'keep' || itemId !== current
    const startedAt = performance.now()
    const answer = model.recommend({ items, at, limit: cutoff, isAllowed })
    micros[place] = (performance.now() - startedAt) * 1_000
    ranks[place] = answer.findIndex(({ itemId }) => itemId === target) + 1
    for (const { itemId } of answer) returned.set(itemId, (returned.get(itemId) ?? 0) + 1)
  }
  return { ranks, micros, returned }
}

/** HR@20 and MRR@20. */
export function accuracyOf(ranks: Uint8Array): { readonly hr20: number; readonly mrr20: number } {
  let [hits, reciprocals] = [0, 0]
  for (const rank of ranks) {
    if (rank === 0) continue
    hits++
    reciprocals += 1 / rank
  }
  const count = Math.max(1, ranks.length)
  return { hr20: hits / count, mrr20: reciprocals / count }
}

/** One row of the result. */
export function evaluate(
  model: Recommender,
  name: string,
  index: SessionIndex,
  predictions: readonly Prediction[],
  protocol: Protocol,
): EvaluateRow {
  const { ranks, micros, returned } = askAll(model, predictions, protocol)
  const sorted = micros.slice().sort()
  return {
    model: name,
    protocol,
    predictions: predictions.length,
    ...accuracyOf(ranks),
    ...intervals(ranks, predictions),
    coverage20: returned.size / Math.max(1, itemCount(index)),
    popularity20: popularityOf(index, returned),
    p90Micros: Math.round(sorted[Math.floor(sorted.length * 0.9)] ?? 0),
  }
}

/** Mean place of the returned items in the order of how many sessions had them. */
function popularityOf(index: SessionIndex, returned: ReadonlyMap<string, number>): number {
  const counts = Array.from({ length: itemCount(index) }, (_, item) => {
    return (index.postingStarts[item + 1] as number) - (index.postingStarts[item] as number)
  })
  const sorted = Uint32Array.from(counts).sort()
  let [sum, total] = [0, 0]
  for (const [itemId, times] of returned) {
    const count = counts[index.itemNumbers.get(itemId) ?? -1] ?? 0
    sum += (times * lowerBound(sorted, count)) / Math.max(1, sorted.length - 1)
    total += times
  }
  return total === 0 ? 0 : sum / total
}

function lowerBound(sorted: Uint32Array, value: number): number {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((sorted[middle] as number) < value) low = middle + 1
    else high = middle
  }
  return low
}

const samples = 1_000
type Intervals = Pick<EvaluateRow, 'hr20Low' | 'hr20High' | 'mrr20Low' | 'mrr20High'>

/**
 * 95 % intervals by drawing whole sessions anew, 1,000 times: the predictions of one session go
 * together. The draws are the same in every run.
 */
function intervals(ranks: Uint8Array, predictions: readonly Prediction[]): Intervals {
  const groups = new Map<number, { count: number; hits: number; reciprocals: number }>()
  for (const [at, { session }] of predictions.entries()) {
    const group = groups.get(session) ?? { count: 0, hits: 0, reciprocals: 0 }
    const rank = ranks[at] as number
    group.count++
    group.hits += rank === 0 ? 0 : 1
    group.reciprocals += rank === 0 ? 0 : 1 / rank
    groups.set(session, group)
  }
  const all = [...groups.values()]
  const random = createRandom()
  const rates = new Float64Array(samples)
  const means = new Float64Array(samples)
  for (let sample = 0; sample < samples; sample++) {
    let [count, hits, reciprocals] = [0, 0, 0]
    for (let draw = 0; draw < all.length; draw++) {
      const group = all[Math.floor(random() * all.length)]
      if (group === undefined) continue
      count += group.count
      hits += group.hits
      reciprocals += group.reciprocals
    }
    rates[sample] = hits / Math.max(1, count)
    means[sample] = reciprocals / Math.max(1, count)
  }
  rates.sort()
  means.sort()
  const [low, high] = [Math.floor(samples * 0.025), Math.ceil(samples * 0.975) - 1]
  return {
    hr20Low: rates[low] as number,
    hr20High: rates[high] as number,
    mrr20Low: means[low] as number,
    mrr20High: means[high] as number,
  }
}

/** Mulberry32. */
function createRandom(): () => number {
  let state = 0x6d696c6c
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
