import { MillraceError } from '../event/error.ts'
import type { Clock } from '../lib/clock.ts'
import { waitMs } from '../lib/retry.ts'
import type { Log } from '../log/log.ts'
import type { Erasure, Store } from '../store/store.ts'

/**
 * Erasing a party while its events arrive. The store notes the erasure, deletes, and drops what was
 * received until then; what the log held at that time may still become a dead letter that names the
 * party. So it is deleted once more when the consumer has passed all of it, and only then final.
 */

export interface EraseParts {
  readonly events: Log
  readonly rejected: Log
  readonly store: Store
  readonly clock: Clock
}

/** How often it is asked how far the consumer is. */
const pollMs = 50

/**
 * Resolves to true when all is stored that the logs hold at the time of the call; to false when
 * that takes longer than `timeoutMs`, or `signal` aborts.
 */
export async function isCaughtUp(
  { events, rejected, store }: Omit<EraseParts, 'clock'>,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  const heads = await Promise.all(
    [events, rejected].map(async (log) => [log, await log.partitions()] as const),
  )
  const end = performance.now() + timeoutMs
  for (const [log, partitions] of heads) {
    for (;;) {
      const progress = await store.progress(log.identity, log.topic)
      const isPassed = partitions.every(
        ({ partition, first, next }) =>
          next === first || (progress.get(partition)?.offset ?? 0) >= next,
      )
      if (isPassed) break
      if (signal.aborted || performance.now() >= end) return false
      await waitMs(pollMs, signal)
    }
  }
  return true
}

/** @throws MillraceError `store_unavailable` when `isCaughtUp` is not */
export async function untilCaughtUp(
  parts: Omit<EraseParts, 'clock'>,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<void> {
  if (await isCaughtUp(parts, timeoutMs, signal)) return
  const seconds = Math.round(timeoutMs / 1_000)
  throw new MillraceError(
    'store_unavailable',
    `the log was not read to its end within ${seconds} s`,
  )
}

/** Erases a party; the receipt is final unless the consumer does not catch up within `timeoutMs`. */
export async function eraseParty(
  parts: EraseParts,
  partyId: string,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Erasure> {
  const erasure = await parts.store.erase(partyId, parts.clock())
  if (!(await settleErasures(parts, timeoutMs, signal))) return erasure
  return (await parts.store.erasures(partyId))[0] ?? erasure
}

/**
 * How old an erasure has to be before another process than the one that was told makes it final, in
 * ms: only `Store.erase` knows when every writer has heard of it.
 */
export const strangersAgeMs = 5_000

/**
 * Makes final what can be by now; to be called from time to time. False when the log is not read.
 * @param ageMs leaves those alone that are younger
 */
export async function settleErasures(
  parts: EraseParts,
  timeoutMs: number,
  signal: AbortSignal,
  ageMs = 0,
): Promise<boolean> {
  const { store, clock } = parts
  if ((await store.erasures()).every(({ finalAt }) => finalAt !== null)) return true
  const before = clock() - ageMs
  if (!(await isCaughtUp(parts, timeoutMs, signal))) return false
  await store.settleErasures(before, clock())
  return true
}
