/** How weights fall off, from tables: an exponential for each of thousands would cost more than the rest. */

/** Longer sessions and distances weigh as these do. */
export const placesMax = 256

/** exp(-n / length); 1 for all where `length` is 0. */
export function decay(length: number): (n: number) => number {
  return (n) => (length === 0 ? 1 : Math.exp(-n / length))
}

/** Of the numbers below `placesMax`. */
export function tableOf(value: (n: number) => number): Float64Array {
  return Float64Array.from({ length: placesMax }, (_, n) => value(n))
}

const fineBits = 10
const fineS = 1 << fineBits
/** Two years; what is older weighs as that. */
const coarseMax = 60_000

/**
 * The weight of a whole number of seconds: that of its multiple of 1,024 times that of the rest, from
 * two tables.
 * @param weight falls exponentially
 * @param maxS most seconds that will be asked for; more weigh as these do
 */
export function createAgeWeights(weight: (seconds: number) => number, maxS: number): typeof weight {
  const last = Math.min(coarseMax, Math.floor(maxS / fineS))
  const coarse = Float64Array.from({ length: last + 1 }, (_, n) => weight(n * fineS))
  const fine = Float64Array.from({ length: fineS }, (_, seconds) => weight(seconds))
  return (seconds) =>
    (coarse[Math.min(seconds >>> fineBits, last)] as number) *
    (fine[seconds & (fineS - 1)] as number)
}
