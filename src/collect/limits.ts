import type { Clock } from '../lib/clock.ts'

/** A bucket of tokens that fills at a steady rate up to its size. */
interface TokenBucket {
  tokens: number
  filledAt: number
}

/** Addresses that are remembered; one that is forgotten starts again with a full burst. */
const bucketsMax = 65_536

/**
 * Limits requests by key. Returns 0 when the request may pass, else the seconds after which the
 * next one may.
 */
export type RateLimit = (key: string) => number

/** @param perSecond 0 lets everything pass */
export function createRateLimit(perSecond: number, burst: number, clock: Clock): RateLimit {
  if (perSecond === 0) return () => 0
  // In order of the first request: the oldest are forgotten first.
  const buckets = new Map<string, TokenBucket>()
  return (key) => {
    const now = clock()
    let bucket = buckets.get(key)
    if (bucket === undefined) {
      if (buckets.size >= bucketsMax) forgetSome(buckets)
      bucket = { tokens: burst, filledAt: now }
      buckets.set(key, bucket)
    }
    const wait = take(bucket, 1, perSecond, burst, now)
    return wait === 0 ? 0 : Math.max(1, Math.ceil(wait))
  }
}

function forgetSome(buckets: Map<string, TokenBucket>): void {
  let left = bucketsMax / 16
  for (const key of buckets.keys()) {
    buckets.delete(key)
    if (--left <= 0) return
  }
}

/** Takes `count` tokens, or returns the seconds until they are there. */
function take(
  bucket: TokenBucket,
  count: number,
  perSecond: number,
  burst: number,
  now: number,
): number {
  // A clock that was set back fills nothing.
  const elapsedMs = Math.max(0, now - bucket.filledAt)
  bucket.tokens = Math.min(burst, bucket.tokens + (elapsedMs * perSecond) / 1000)
  bucket.filledAt = now
  if (bucket.tokens < count) return (count - bucket.tokens) / perSecond
  bucket.tokens -= count
  return 0
}

/** Whether one more refused request of so many bytes may be kept. */
export type Budget = (bytes: number) => boolean

/**
 * Keeps refused requests from filling the disk: at most `perSecondMax` of them and
 * `bytesPerSecondMax` bytes in a second, with a burst of as much as one second allows.
 */
export function createBudget(
  perSecondMax: number,
  bytesPerSecondMax: number,
  clock: Clock,
): Budget {
  const count: TokenBucket = { tokens: perSecondMax, filledAt: clock() }
  const bytes: TokenBucket = { tokens: bytesPerSecondMax, filledAt: clock() }
  return (size) => {
    const now = clock()
    if (take(count, 1, perSecondMax, perSecondMax, now) > 0) return false
    if (take(bytes, size, bytesPerSecondMax, bytesPerSecondMax, now) === 0) return true
    count.tokens += 1
    return false
  }
}
