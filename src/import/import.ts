import { isMillraceError, MillraceError } from '../event/error.ts'
import { dayMs, dayOf } from '../lib/clock.ts'
import { type Backoff, backoffMs, waitMs } from '../lib/retry.ts'
import { createBatchBuilder, type FullBatch } from './batch.ts'
import { type ImportReading, type ImportSource, isRefused } from './source.ts'
import type { ImportTarget, ImportWritten } from './target.ts'

/**
 * Imports history. The source is read twice: once to know what it is (its identity, its days, how
 * many rows), so that it is refused before anything is written, and once to send it, a batch at a
 * time, to the owner of the store.
 */

export interface ImportOptions {
  /** Keep days that retention would delete. */
  readonly outsideRetention: boolean
  /** Send all rows, also those that the owner has had already. */
  readonly again: boolean
  /** Ends the import after the batch under way; the next run goes on there. */
  readonly signal: AbortSignal
  readonly onProgress?: (progress: ImportProgress) => void
}

export interface ImportProgress {
  readonly phase: 'reading' | 'importing'
  /** Bytes while reading, rows while importing. */
  readonly done: number
  readonly total: number
}

export interface RefusedReason {
  readonly row: number
  readonly reason: string
}

export interface ImportResult {
  readonly log: string
  readonly rows: number
  /** Events that are new; null from a store that cannot tell. */
  readonly imported: number | null
  /** Rows whose events were there: from this file, from another one, or twice in this one. */
  readonly present: number | null
  /** Rows that cannot be events; each is a dead letter. */
  readonly refused: number
  /** The first of them. */
  readonly reasons: readonly RefusedReason[]
  /** Why the source could not be read to its end, or null. */
  readonly fault: MillraceError | null
  /** False when it was stopped. */
  readonly complete: boolean
}

const reasonsMax = 10
/** Each is a row in the table of dead letters: beyond, the columns or the format are wrong. */
const refusedMax = 100_000
/** Ten years of days and some: an event of each would touch every file there is. */
const daysMax = 20_000
/** A store that does not answer for about a minute. */
const attemptsMax = 10
const backoff: Backoff = { initialMs: 200, maxMs: 15_000 }

/**
 * Sends a source's rows to `target`. What is stored already stays as it is.
 * @throws MillraceError `import_empty`, `import_refused` when no row, or too few of them, can be an
 *   event; `import_outside_retention`; `import_changed` when the source is not what it was a moment
 *   ago; whatever the source and the target throw
 */
export async function importSource(
  source: ImportSource,
  target: ImportTarget,
  options: ImportOptions,
): Promise<ImportResult> {
  const scan = await scanSource(source, options)
  if (scan === undefined) return stoppedEarly
  checkScan(scan)
  const { outsideRetention } = options
  const { next } = await target.begin({ log: scan.log, days: scan.days, outsideRetention })
  return sendRows(source, target, scan, options.again ? 0 : next, options)
}

const stoppedEarly: ImportResult = {
  log: '',
  rows: 0,
  imported: 0,
  present: 0,
  refused: 0,
  reasons: [],
  fault: null,
  complete: false,
}

/**
 * The identity of a source, for `ImportTarget.forget`.
 * @throws MillraceError whatever the source throws
 */
export async function identifySource(source: ImportSource): Promise<string> {
  const reading = source.read()
  for await (const _items of reading.items) {
    // Only all of its bytes name it.
  }
  return reading.end().log
}

interface Scan {
  readonly log: string
  readonly rows: number
  readonly refused: number
  readonly reasons: readonly RefusedReason[]
  readonly days: readonly string[]
  readonly fault: MillraceError | null
}

async function scanSource(source: ImportSource, options: ImportOptions): Promise<Scan | undefined> {
  const reading = source.read()
  const days = new Set<number>()
  const reasons: RefusedReason[] = []
  let rows = 0
  let refused = 0
  for await (const items of reading.items) {
    if (options.signal.aborted) return undefined
    rows += items.length
    for (const item of items) {
      if (isRefused(item)) {
        refused++
        if (reasons.length < reasonsMax) reasons.push({ row: item.row, reason: item.reason })
      } else {
        days.add(Math.floor(item.event.eventTime / dayMs))
      }
    }
    tellReading(reading, options)
  }
  const { log, fault } = reading.end()
  return { log, fault, rows, refused, reasons, days: [...days].map((day) => dayOf(day * dayMs)) }
}

/** Until the last chunk is fetched; what is told of the end would be told for each of its pieces. */
function tellReading(reading: ImportReading, { onProgress }: ImportOptions): void {
  const [done, total] = [reading.done(), reading.total()]
  if (done < total) onProgress?.({ phase: 'reading', done, total })
}

function checkScan({ rows, refused, reasons, days }: Scan): void {
  if (rows === 0) throw new MillraceError('import_empty')
  const first = reasons[0]?.reason ?? ''
  if (refused === rows || refused > refusedMax) {
    throw new MillraceError('import_refused', `${refused} of ${rows}; the first: ${first}`)
  }
  if (days.length > daysMax) {
    throw new MillraceError(
      'import_refused',
      `they are of ${days.length} days, where ${daysMax} are the most`,
    )
  }
}

async function sendRows(
  source: ImportSource,
  target: ImportTarget,
  scan: Scan,
  from: number,
  options: ImportOptions,
): Promise<ImportResult> {
  const { signal, onProgress } = options
  const builder = createBatchBuilder(scan.log, !options.again)
  const reading = source.read()
  const reasons = [...scan.reasons]
  let imported: number | null = 0
  let [refused, sent] = [0, Math.min(from, scan.rows)]
  let writing: Promise<void> = Promise.resolve()

  /** The next batch is made while this one is written: two batches in memory, both cores at work. */
  async function send(batch: FullBatch): Promise<void> {
    await writing
    writing = writeBatch(target, batch, signal).then((written) => {
      imported = imported === null || written.inserted === null ? null : imported + written.inserted
      refused += written.refused.length
      reasons.push(...written.refused.slice(0, Math.max(0, reasonsMax - reasons.length)))
      sent += batch.rows
      onProgress?.({ phase: 'importing', done: sent, total: scan.rows })
    })
    // Awaited before the next batch; until then its failure is nobody's.
    writing.catch(() => {})
  }

  if (from < scan.rows) {
    for await (const items of reading.items) {
      if (signal.aborted) break
      for (const item of items) {
        if (item.row < from) continue
        const batch = builder.add(item)
        if (batch !== undefined) await send(batch)
      }
    }
    const rest = signal.aborted ? undefined : builder.end()
    if (rest !== undefined) await send(rest)
    await writing
    if (!signal.aborted && reading.end().log !== scan.log) throw new MillraceError('import_changed')
  }
  refused += scan.refused
  return {
    log: scan.log,
    rows: scan.rows,
    imported,
    present: imported === null ? null : Math.max(0, sent - imported - refused),
    refused,
    reasons,
    fault: scan.fault,
    complete: sent >= scan.rows,
  }
}

/** A store that is away for a moment is waited for: the same batch again changes nothing. */
async function writeBatch(
  target: ImportTarget,
  batch: FullBatch,
  signal: AbortSignal,
): Promise<ImportWritten> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await target.write(batch.body)
    } catch (thrown) {
      const isAway = isMillraceError(thrown, 'store_unavailable', 'api_unreachable')
      if (!isAway || attempt >= attemptsMax || signal.aborted) throw thrown
      await waitMs(backoffMs(attempt, backoff), signal)
    }
  }
}
