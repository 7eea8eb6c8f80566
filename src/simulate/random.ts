import { createHash } from 'node:crypto'

/** Randomness that is the same for the same seed: a simulation can be run again. */
export interface Random {
  /** From 0 to below 1. */
  readonly next: () => number
  /** A whole number from 0 to below `limit`. */
  readonly below: (limit: number) => number
  readonly chance: (probability: number) => boolean
  readonly bytes: (length: number) => Uint8Array
  readonly pick: <Item>(items: readonly Item[]) => Item
  /** A time with this mean; most are shorter, some much longer. */
  readonly exponential: (mean: number) => number
}

/** The generator sfc32 (Doty-Humphrey), seeded with 128 bits of a digest of `seed`. */
export function createRandom(seed: string): Random {
  const digest = createHash('sha256').update(seed).digest()
  let [a, b, c, counter] = [0, 4, 8, 12].map((at) => digest.readInt32LE(at)) as [
    number,
    number,
    number,
    number,
  ]
  const next32 = (): number => {
    const sum = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (((c << 21) | (c >>> 11)) + sum) | 0
    return sum >>> 0
  }
  for (let round = 0; round < 12; round++) next32()
  const next = (): number => next32() / 2 ** 32
  const below = (limit: number): number => Math.floor(next() * limit)
  return {
    next,
    below,
    chance: (probability) => next() < probability,
    bytes(length) {
      const bytes = new Uint8Array(length)
      for (let at = 0; at < length; at += 4) {
        let word = next32()
        for (let byte = at; byte < Math.min(at + 4, length); byte++) {
          bytes[byte] = word & 255
          word >>>= 8
        }
      }
      return bytes
    },
    pick: (items) => items[below(items.length)] as (typeof items)[number],
    exponential: (mean) => -mean * Math.log(1 - next()),
  }
}

/** Draws from `weights`: the index of one, as often as its weight says. */
export function createDraw(weights: readonly number[]): (random: Random) => number {
  const sums = new Float64Array(weights.length)
  let total = 0
  weights.forEach((weight, at) => {
    total += weight
    sums[at] = total
  })
  return (random) => {
    const wanted = random.next() * total
    let [low, high] = [0, sums.length - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((sums[middle] as number) > wanted) high = middle
      else low = middle + 1
    }
    return low
  }
}
