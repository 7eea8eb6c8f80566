import { randomFillSync } from 'node:crypto'

const idBytes = 16
/** One call for 256 ids: a call for each was a twentieth of an answer's CPU. */
const pool = Buffer.alloc(256 * idBytes)
let used = pool.length

/** 128 random bits in base64url. */
export function createRecommendationId(): string {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  used += idBytes
  return pool.toString('base64url', used - idBytes, used)
}
