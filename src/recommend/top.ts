/**
 * The best few of many candidates: a heap of fixed size over typed arrays, its worst on top. Of
 * equal scores the candidate with the greater number is the better one.
 */
export interface Top {
  /** Whether `offer` would keep it. */
  readonly wants: (candidate: number, score: number) => boolean
  readonly offer: (candidate: number, score: number) => void
  /** The candidates, best first; empties it. */
  readonly take: () => number[]
}

interface Heap {
  readonly candidates: Uint32Array
  readonly scores: Float64Array
  size: number
}

/** @param sizeMax candidates kept, from 1 */
export function createTop(sizeMax: number): Top {
  const candidates = new Uint32Array(sizeMax)
  const scores = new Float64Array(sizeMax)
  const heap: Heap = { candidates, scores, size: 0 }

  function wants(candidate: number, score: number): boolean {
    if (heap.size < sizeMax) return true
    const worst = scores[0] as number
    return score !== worst ? score > worst : candidate > (candidates[0] as number)
  }

  return {
    wants,
    offer(candidate, score) {
      if (!wants(candidate, score)) return
      const at = heap.size < sizeMax ? heap.size++ : 0
      candidates[at] = candidate
      scores[at] = score
      if (at === 0) sink(heap)
      else rise(heap, at)
    },
    take() {
      const best: number[] = []
      while (heap.size > 0) {
        best.push(candidates[0] as number)
        heap.size--
        candidates[0] = candidates[heap.size] as number
        scores[0] = scores[heap.size] as number
        sink(heap)
      }
      return best.reverse()
    },
  }
}

/** Whether the one at `a` is worse than the one at `b`. */
function isWorse({ candidates, scores }: Heap, a: number, b: number): boolean {
  const left = scores[a] as number
  const right = scores[b] as number
  return left !== right ? left < right : (candidates[a] as number) < (candidates[b] as number)
}

function swap({ candidates, scores }: Heap, a: number, b: number): void {
  const candidate = candidates[a] as number
  const score = scores[a] as number
  candidates[a] = candidates[b] as number
  scores[a] = scores[b] as number
  candidates[b] = candidate
  scores[b] = score
}

/** Moves the one on top down to its place. */
function sink(heap: Heap): void {
  let at = 0
  for (;;) {
    const left = 2 * at + 1
    if (left >= heap.size) return
    const right = left + 1
    const worse = right < heap.size && isWorse(heap, right, left) ? right : left
    if (!isWorse(heap, worse, at)) return
    swap(heap, worse, at)
    at = worse
  }
}

function rise(heap: Heap, from: number): void {
  let at = from
  while (at > 0) {
    const parent = (at - 1) >> 1
    if (!isWorse(heap, at, parent)) return
    swap(heap, at, parent)
    at = parent
  }
}

/**
 * The places of the `most` greatest values, the last first; of equal values the last ones. Quickselect
 * (Hoare, CACM 4:7, 1961): cheaper than a heap where much of what is offered is kept.
 * @param scratch as long as `values` or longer; written over
 */
export function chooseGreatest(
  values: Float64Array,
  most: number,
  scratch: Float64Array,
): number[] {
  const { length } = values
  if (most >= length) return Array.from(values, (_, at) => length - 1 - at)
  scratch.set(values)
  const cut = select(scratch, length, length - most)
  let ties = most
  for (let at = length - most; at < length; at++) if ((scratch[at] as number) > cut) ties--
  const chosen: number[] = []
  for (let at = length - 1; at >= 0; at--) {
    const value = values[at] as number
    if (value > cut || (value === cut && ties-- > 0)) chosen.push(at)
  }
  return chosen
}

/** The value at `place` if the first `count` were sorted; afterwards none before it is greater. */
function select(values: Float64Array, count: number, place: number): number {
  let [first, last] = [0, count - 1]
  while (first < last) {
    const pivot = values[(first + last) >> 1] as number
    let [low, high] = [first, last]
    while (low <= high) {
      while ((values[low] as number) < pivot) low++
      while ((values[high] as number) > pivot) high--
      if (low > high) break
      const value = values[low] as number
      values[low++] = values[high] as number
      values[high--] = value
    }
    if (place <= high) last = high
    else if (place >= low) first = low
    else break
  }
  return values[place] as number
}
