import { setImmediate as nextTurn } from 'node:timers/promises'

/** Called between two pieces of long work, so that whoever shares the thread gets a turn. */
export type Pause = () => Promise<void> | undefined

/** Longest stretch of work without giving others their turn. */
const sliceMs = 2

/** Gives others their turn when the last one is long enough ago; rejects once `signal` aborts. */
export function createPause(signal: AbortSignal): Pause {
  let since = performance.now()
  return () => {
    if (performance.now() - since < sliceMs) return
    return nextTurn().then(() => {
      signal.throwIfAborted()
      since = performance.now()
    })
  }
}
