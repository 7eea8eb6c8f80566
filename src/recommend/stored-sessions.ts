import { type Store, sessionGapMs, type TimeRange } from '../store/store.ts'
import { type ClickRules, readClicks } from './clicks.ts'
import type { FileSession } from './session-file.ts'

/** Sessions of the store as an evaluation needs them: every click in its order, nobody's name. */

interface Growing {
  readonly items: string[]
  readonly times: number[]
}

/** Sessions under way at once; the one that rests longest is given out early. */
const openMax = 50_000

/**
 * The sessions of a range with two clicks or more, in the order in which they ended.
 * @param clicksMax a session with more is a bot's and left out
 * @throws what `Store.events` throws
 */
export async function* readStoredSessions(
  store: Pick<Store, 'events'>,
  range: TimeRange,
  rules: ClickRules,
  clicksMax: number,
): AsyncGenerator<FileSession, void, undefined> {
  const open = new Map<string, Growing>()
  const isWhole = ({ items }: Growing): boolean => items.length > 1 && items.length <= clicksMax
  for await (const { key, itemId, timeMs } of readClicks(store, range, rules)) {
    // Insertion is by last click, so those that rest longest come first.
    for (const [resting, session] of open) {
      const isOver = (session.times.at(-1) as number) < timeMs - sessionGapMs
      if (!isOver && open.size < openMax) break
      open.delete(resting)
      if (isWhole(session)) yield session
    }
    const session = open.get(key) ?? { items: [], times: [] }
    open.delete(key)
    open.set(key, session)
    // Of a bot's a bounded part is kept: enough to know it.
    if (session.items.length <= clicksMax) session.items.push(itemId)
    session.times[session.items.length - 1] = timeMs
  }
  for (const session of open.values()) if (isWhole(session)) yield session
}
