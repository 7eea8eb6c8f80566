import { setTimeout as sleep } from 'node:timers/promises'

/** How long to wait between tries. */
export interface Backoff {
  readonly initialMs: number
  readonly maxMs: number
}

/**
 * The wait before try number `attempt` (1 is the first retry): doubling from `initialMs` to
 * `maxMs`, half of it random, so that many waiters do not come back in step.
 */
export function backoffMs(
  attempt: number,
  backoff: Backoff,
  random: () => number = Math.random,
): number {
  const full = Math.min(backoff.maxMs, backoff.initialMs * 2 ** Math.min(attempt - 1, 30))
  return full / 2 + (full / 2) * random()
}

/** Waits, or returns early and silently when `signal` aborts. */
export async function waitMs(ms: number, signal?: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, signal ? { signal } : {})
  } catch (thrown) {
    if (signal?.aborted !== true) throw thrown
  }
}
