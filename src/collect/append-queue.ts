import { isMillraceError, MillraceError } from '../event/error.ts'
import { toError } from '../lib/assert.ts'
import type { AppendRecord, Log } from '../log/log.ts'

/** Called once for what was pushed: with nothing when it is durable, else with the reason. */
export type Settle = (failure?: MillraceError) => void

/** Events on their way into the log. */
export interface AppendQueue {
  /** The error that `count` more events would get now, or undefined when they may come. */
  readonly refusal: (count: number) => MillraceError | undefined
  readonly push: (records: readonly AppendRecord[], settle: Settle) => void
  readonly waitingEvents: () => number
  readonly waitingBytes: () => number
}

/** Bounds of what may wait, and who wants to know how it went. */
export interface AppendQueueOptions {
  readonly queueEventsMax: number
  readonly queueBytesMax: number
  /** After each append: the seconds it took, the number of events, and the failure if it failed. */
  readonly onAppend: (seconds: number, events: number, failure: MillraceError | undefined) => void
}

/** What a waiting event costs besides its value: key, response, socket buffers. */
const entryBytes = 512

/**
 * Gathers what the requests of one turn of the event loop bring and hands it to the log at once:
 * one promise for many requests, and never a wait, as the turn ends anyway.
 */
export function createAppendQueue(log: Log, options: AppendQueueOptions): AppendQueue {
  let records: AppendRecord[] = []
  let settles: Settle[] = []
  /** How many of `records` each of `settles` waits for. */
  let counts: number[] = []
  let gatheredBytes = 0
  let waitingEvents = 0
  let waitingBytes = 0

  async function flush(): Promise<void> {
    const batch = records
    const waiting = settles
    const sizes = counts
    const bytes = gatheredBytes
    records = []
    settles = []
    counts = []
    gatheredBytes = 0
    const startedAt = performance.now()
    const failure = await append(log, batch)
    const isApart = failure?.code === 'record_too_large' && waiting.length > 1
    const failures = isApart ? await appendApart(log, batch, sizes) : undefined
    waitingEvents -= batch.length
    waitingBytes -= bytes
    options.onAppend((performance.now() - startedAt) / 1000, batch.length, failure)
    for (const [index, settle] of waiting.entries()) settle(failures ? failures[index] : failure)
  }

  return {
    refusal: (count) => {
      if (waitingEvents + count > options.queueEventsMax) {
        return new MillraceError('overloaded', `${waitingEvents} events`)
      }
      if (waitingBytes < options.queueBytesMax) return
      return new MillraceError('overloaded', `${waitingBytes} bytes`)
    },
    push: (added, settle) => {
      if (records.length === 0) setImmediate(() => void flush())
      for (const record of added) {
        records.push(record)
        gatheredBytes += record.value.length + entryBytes
        waitingBytes += record.value.length + entryBytes
      }
      waitingEvents += added.length
      settles.push(settle)
      counts.push(added.length)
    },
    waitingEvents: () => waitingEvents,
    waitingBytes: () => waitingBytes,
  }
}

async function append(
  log: Log,
  records: readonly AppendRecord[],
): Promise<MillraceError | undefined> {
  try {
    await log.append(records)
    return
  } catch (thrown) {
    return toFailure(thrown)
  }
}

/** A record that is too large for the log is the fault of its request alone. */
async function appendApart(
  log: Log,
  records: readonly AppendRecord[],
  sizes: readonly number[],
): Promise<readonly (MillraceError | undefined)[]> {
  const failures: (MillraceError | undefined)[] = []
  let from = 0
  for (const size of sizes) {
    failures.push(await append(log, records.slice(from, from + size)))
    from += size
  }
  return failures
}

function toFailure(thrown: unknown): MillraceError {
  if (isMillraceError(thrown)) return thrown
  return new MillraceError('log_unwritable', toError(thrown).message, { cause: thrown })
}
