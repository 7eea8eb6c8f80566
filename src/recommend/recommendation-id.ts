import { randomFillSync } from 'node:crypto'

const idBytes = 16
/** Asking the system for each id costs more than making the rest of an answer ready. */
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
