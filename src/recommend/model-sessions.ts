import { type Store, sessionGapMs, type TimeRange } from '../store/store.ts'
import { type ClickRules, readClicks } from './clicks.ts'

/** A session as models learn from it, and as they are compared by it. */
export interface ModelSession {
  /** Each click's item, in the order of time. */
  readonly items: readonly string[]
  /** Of each click, ms since 1970. */
  readonly times: readonly number[]
}

export interface ModelSessionOptions {
  /** A session with more clicks is taken for a bot's and left out. */
  readonly sessionClicksMax: number
}

/** Sessions under way that are looked through at once: those that have ended are handed over. */
const lookEveryClicks = 10_000

/**
 * The sessions of a range: clicks of one party, or of a session without one, that follow each other
 * within 30 minutes. The same click again, by item and time, is one. They come as they end.
 * @throws what `Store.events` throws
 */
export async function* readModelSessions(
  store: Pick<Store, 'events'>,
  range: TimeRange,
  rules: ClickRules,
  { sessionClicksMax }: ModelSessionOptions,
): AsyncGenerator<ModelSession, void, undefined> {
  const open = new Map<string, OpenSession>()
  let clicks = 0
  for await (const { key, itemId, timeMs } of readClicks(store, range, rules)) {
    const before = open.get(key)
    const hasEnded = before !== undefined && timeMs > before.lastMs + sessionGapMs
    if (before !== undefined && hasEnded && isLearnt(before, sessionClicksMax)) yield before
    const session =
      before === undefined || hasEnded ? { items: [], times: [], lastMs: timeMs } : before
    open.set(key, session)
    addClick(session, itemId, timeMs, sessionClicksMax)
    if (++clicks % lookEveryClicks !== 0) continue
    for (const [ended, resting] of open) {
      if (resting.lastMs + sessionGapMs >= timeMs) continue
      open.delete(ended)
      if (isLearnt(resting, sessionClicksMax)) yield resting
    }
  }
  for (const session of open.values()) if (isLearnt(session, sessionClicksMax)) yield session
}

interface OpenSession {
  readonly items: string[]
  readonly times: number[]
  lastMs: number
}

function isLearnt({ items }: OpenSession, clicksMax: number): boolean {
  return items.length <= clicksMax
}

function addClick(session: OpenSession, itemId: string, timeMs: number, clicksMax: number): void {
  const { items, times } = session
  session.lastMs = timeMs
  for (let at = items.length - 1; at >= 0 && times[at] === timeMs; at--) {
    if (items[at] === itemId) return
  }
  // One more than may be says enough of a bot.
  if (items.length > clicksMax) return
  items.push(itemId)
  times.push(timeMs)
}
