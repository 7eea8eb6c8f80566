import type { Feed } from './feed.ts'

/** When answers are asked again: not for each of a thousand events, and not for a hidden page. */
export interface Changes {
  /** Says `change` when the answer to a question may be another one. */
  readonly answers: EventTarget
  /** Says `change` when it is time to look how everything is. */
  readonly health: EventTarget
  /** Asks every question again. */
  readonly ring: () => void
  /** Begins to listen. Returns what ends it. */
  readonly start: () => () => void
}

/** From the moment that an event is on the log until it is most likely in the store. */
const settleMs = 600
const healthIntervalMs = 5_000
/** What no event tells of: another day, an import, an erasure. */
const answersIntervalMs = 60_000

export function createChanges(feed: Feed): Changes {
  const answers = new EventTarget()
  const health = new EventTarget()
  const tell = (target: EventTarget): void => {
    if (!document.hidden) target.dispatchEvent(new Event('change'))
  }
  const ring = (): void => tell(answers)
  const ringAll = (): void => {
    tell(health)
    ring()
  }
  return {
    answers,
    health,
    ring,
    start() {
      const ending = new AbortController()
      let settling: ReturnType<typeof setTimeout> | undefined
      const settle = (): void => {
        settling ??= setTimeout(() => {
          settling = undefined
          ringAll()
        }, settleMs)
      }
      const timers = [
        setInterval(() => tell(health), healthIntervalMs),
        setInterval(ring, answersIntervalMs),
      ]
      feed.addEventListener('arrive', settle, { signal: ending.signal })
      document.addEventListener('visibilitychange', ringAll, { signal: ending.signal })
      return () => {
        ending.abort()
        clearTimeout(settling)
        for (const timer of timers) clearInterval(timer)
      }
    },
  }
}
