import { type Clock, dayMs } from '../lib/clock.ts'
import type { Log } from '../log/log.ts'
import type { ClosedDayResult, DayState, PartitionProgress, Store } from '../store/store.ts'

/**
 * When a day is closed. A record may be `lateness` late, so a day is over when every partition of
 * the log has passed its end plus that: its newest stored receipt lies beyond, or it is stored to
 * its end and the clock is beyond. Imports come through logs of their own and do not count. The
 * decision moves no row: one that comes later is stored like any other, beside the closed day.
 */

/** What a partition of the log holds, and what of it is stored. */
export interface PartitionState {
  /** The oldest offset that is kept, and the one not yet written. */
  readonly first: number
  readonly next: number
  /** Unknown where nothing of it was ever stored. */
  readonly progress: PartitionProgress | undefined
}

/**
 * The time that every partition has passed, in ms since 1970: what is received from now on was
 * received after it. `-Infinity` while a partition has never been stored.
 */
export function passedTime(partitions: readonly PartitionState[], now: number): number {
  return partitions.reduce((least, partition) => Math.min(least, passedBy(partition, now)), now)
}

function passedBy({ first, next, progress }: PartitionState, now: number): number {
  const offset = progress?.offset ?? first
  if (offset >= next) return now
  return progress?.receivedAt ?? Number.NEGATIVE_INFINITY
}

/** The days, oldest first, that are over at `passed` and have rows that are not in their file. */
export function dueDays(
  states: readonly DayState[],
  passed: number,
  latenessMs: number,
): DayState[] {
  return states.filter(({ day, openRows }) => {
    const end = Date.parse(`${day}T00:00:00Z`) + dayMs
    // Years beyond 9999 are no dates of this form.
    return openRows > 0 && !Number.isNaN(end) && passed > end + latenessMs
  })
}

export interface CloseParts {
  readonly events: Log
  readonly store: Store
  readonly clock: Clock
}

export interface CloseProgress {
  readonly day: string
  /** Days done before this one, and all that are due. */
  readonly done: number
  readonly total: number
}

export interface CloseOptions {
  readonly latenessMs: number
  readonly signal?: AbortSignal
  /** Told before each day, and once at the end. */
  readonly onProgress?: (progress: CloseProgress) => void
}

export interface CloseResult {
  /** Days that were written, and the rows in their files. */
  readonly days: number
  readonly rows: number
  readonly bytes: number
  /** False when it was ended before all were done. */
  readonly complete: boolean
}

/**
 * Closes the days that are due, one at a time.
 * @throws MillraceError of `Store.closeDay`; the days before it stay closed
 */
export async function closeDueDays(parts: CloseParts, options: CloseOptions): Promise<CloseResult> {
  return closeDays(parts.store, await findDueDays(parts, options.latenessMs), options)
}

/** The days that are due by what log and store hold now. */
export async function findDueDays(parts: CloseParts, latenessMs: number): Promise<DayState[]> {
  // The log first: what is appended after this look is received after it.
  const now = parts.clock()
  const partitions = await partitionStates(parts)
  return dueDays(await parts.store.days(), passedTime(partitions, now), latenessMs)
}

/** Every partition of the log of events, and what of it is stored. */
export async function partitionStates({
  events,
  store,
}: Omit<CloseParts, 'clock'>): Promise<PartitionState[]> {
  const ranges = await events.partitions()
  const progress = await store.progress(events.identity, events.topic)
  return ranges.map(({ partition, first, next }) => ({
    first,
    next,
    progress: progress.get(partition),
  }))
}

/** Closes these days, one at a time. */
export async function closeDays(
  store: Pick<Store, 'closeDay'>,
  due: readonly Pick<DayState, 'day'>[],
  { signal, onProgress }: CloseOptions,
): Promise<CloseResult> {
  const written: ClosedDayResult[] = []
  let done = 0
  for (const { day } of due) {
    if (signal?.aborted) break
    onProgress?.({ day, done, total: due.length })
    const result = await store.closeDay(day)
    if (result.isWritten) written.push(result)
    done++
  }
  const last = due.at(-1)
  if (last !== undefined && done === due.length) onProgress?.({ day: last.day, done, total: done })
  return {
    days: written.length,
    rows: written.reduce((sum, { rows }) => sum + rows, 0),
    bytes: written.reduce((sum, { bytes }) => sum + bytes, 0),
    complete: done === due.length,
  }
}

/**
 * For housekeeping: each call closes what is due and was as large at the call before. While an
 * import or a replay fills old days, they would be written again and again.
 */
export function createDayCloser(
  parts: CloseParts,
  options: CloseOptions,
): () => Promise<CloseResult> {
  let seen = new Map<string, number>()
  return async () => {
    const due = await findDueDays(parts, options.latenessMs)
    const settled = due.filter(({ day, openRows }) => seen.get(day) === openRows)
    seen = new Map(due.map(({ day, openRows }) => [day, openRows]))
    return closeDays(parts.store, settled, options)
  }
}
