import { buildIndex, type SessionIndex } from '../../src/recommend/session-index.ts'
import { createSessions } from '../../src/recommend/sessions.ts'

/** A session of a test: its items are different ones, oldest first. */
export interface TestSession {
  readonly items: readonly string[]
  readonly timeMs: number
  readonly weights?: readonly number[]
}

/** An index of these sessions. */
export function indexOf(sessions: readonly TestSession[]): Promise<SessionIndex> {
  const columns = createSessions({ clicksMax: 1_000_000, itemsMax: 1_000 })
  for (const { items, timeMs, weights } of sessions) {
    const numbers = items.map((item) => columns.numberOf(item) as number)
    columns.add({ items: numbers, timeMs, owner: 0, ...(weights && { weights }) })
  }
  return buildIndex(columns.copy(), () => undefined)
}

export function ask(
  items: readonly string[],
  at = 0,
  limit = 20,
): {
  items: readonly string[]
  at: number
  limit: number
  isAllowed: (itemId: string) => boolean
} {
  return { items, at, limit, isAllowed: () => true }
}

export const second = 1_000
export const day = 86_400 * second
