import { isMillraceError, MillraceError } from '../event/error.ts'
import { type Clock, dayMs } from '../lib/clock.ts'
import type { DeadLetter, Position, Row, Store } from '../store/store.ts'
import { decodeBatch, type ImportBatch } from './batch.ts'
import { checkEvent } from './event.ts'
import { importTopic, isImportLog } from './identity.ts'

/** Where imported rows go: the owner of the store. The command line reaches it through the API. */

export interface ImportBegin {
  readonly log: string
  /** The days (UTC, `YYYY-MM-DD`) that have rows. */
  readonly days: readonly string[]
  /** Keep days that retention would delete. */
  readonly outsideRetention: boolean
}

export interface ImportBegun {
  /** The first row that is not stored yet. */
  readonly next: number
}

export interface ImportWritten {
  /** Events that are new, all others were there already; null from a store that cannot tell. */
  readonly inserted: number | null
  /** Rows that the store refused; they are dead letters now. */
  readonly refused: readonly { readonly row: number; readonly reason: string }[]
}

export interface ImportTarget {
  /**
   * Begins an import, or goes on with one: nothing is written before its days are accepted.
   * @throws MillraceError `import_outside_retention`, `import_invalid`
   */
  begin(request: ImportBegin): Promise<ImportBegun>
  /**
   * Writes a batch of batch.ts, all of it or nothing; the same batch again changes nothing.
   * @throws MillraceError `store_unavailable`, `import_invalid`
   */
  write(body: Uint8Array): Promise<ImportWritten>
  /** Ends the keeping of days that were outside retention; the next retention deletes them. */
  forget(log: string): Promise<void>
}

export interface ImportTargetOptions {
  readonly store: Pick<Store, 'positions' | 'write' | 'keepDays' | 'forgetDays'>
  readonly clock: Clock
  readonly retentionDays: number
}

export function createImportTarget(options: ImportTargetOptions): ImportTarget {
  const { store, clock } = options
  const startAgain = async (log: string): Promise<void> => {
    const positions = [positionOf(log, 0)]
    await store.write({ rows: [], deadLetters: [], positions, setsBack: true })
  }
  return {
    async begin({ log, days, outsideRetention }) {
      checkLog(log)
      const outside = days.filter((day) => isOutside(day, options))
      if (outside.length > 0 && !outsideRetention) {
        throw new MillraceError('import_outside_retention', describeDays(outside))
      }
      // What was imported while these days were within it, retention may have deleted since.
      if (outside.length > 0 && (await store.keepDays(log, outside))) await startAgain(log)
      return { next: (await store.positions(log, importTopic)).get(0) ?? 0 }
    },
    async write(body) {
      const batch = decodeBatch(body)
      checkLog(batch.log)
      return writeBatch(store, batch, clock())
    },
    async forget(log) {
      checkLog(log)
      await store.forgetDays(log)
      // Its rows will go: whoever imports the file again wants them back.
      await startAgain(log)
    },
  }
}

function checkLog(log: string): void {
  if (!isImportLog(log)) throw new MillraceError('import_invalid', 'its log is none of an import')
}

/** Days of the future too: a clock was wrong, or a unit. */
function isOutside(day: string, { clock, retentionDays }: ImportTargetOptions): boolean {
  const dayStart = Date.parse(day)
  if (Number.isNaN(dayStart)) throw new MillraceError('import_invalid', 'a day is none')
  const today = Math.floor(clock() / dayMs) * dayMs
  return dayStart < today - (retentionDays - 1) * dayMs || dayStart > today + dayMs
}

function describeDays(days: readonly string[]): string {
  const sorted = [...days].sort()
  const [first, last] = [sorted[0], sorted.at(-1)]
  return days.length === 1 ? `${first}` : `${days.length} days from ${first} to ${last}`
}

function positionOf(log: string, offset: number): Position {
  return { log, topic: importTopic, partition: 0, offset }
}

async function writeBatch(
  store: ImportTargetOptions['store'],
  batch: ImportBatch,
  now: number,
): Promise<ImportWritten> {
  const { log } = batch
  const rows: Row[] = []
  const deadLetters = batch.refused.map((refused) => letterOf(log, refused, now))
  const refused: ImportWritten['refused'][number][] = []
  const refuse = (row: number, reason: string, text: string): void => {
    refused.push({ row, reason })
    deadLetters.push(letterOf(log, { row, reason, text }, now))
  }
  for (const { row, event } of batch.rows) {
    try {
      checkEvent(event)
      rows.push({ ...event, importedAt: now, position: positionOf(log, row) })
    } catch (thrown) {
      if (!isMillraceError(thrown)) throw thrown
      refuse(row, thrown.message, JSON.stringify(event))
    }
  }
  const positions = batch.next === null ? [] : [positionOf(log, batch.next)]
  try {
    const written = await store.write({ rows, deadLetters, positions })
    return { inserted: written?.inserted ?? null, refused }
  } catch (thrown) {
    if (!isMillraceError(thrown, 'record_invalid')) throw thrown
    const inserted = await writeApart(store, rows, (row, error) => {
      refuse(row.position.offset, error.message, JSON.stringify(row))
    })
    await store.write({ rows: [], deadLetters, positions })
    return { inserted, refused }
  }
}

/** Halves the rows until the refused ones stand alone; returns how many of the others were new. */
async function writeApart(
  store: ImportTargetOptions['store'],
  rows: readonly Row[],
  refuse: (row: Row, error: MillraceError) => void,
): Promise<number | null> {
  try {
    return (await store.write({ rows, deadLetters: [], positions: [] }))?.inserted ?? null
  } catch (thrown) {
    if (!isMillraceError(thrown, 'record_invalid')) throw thrown
    const [first] = rows
    if (rows.length === 1 && first !== undefined) {
      refuse(first, thrown)
      return 0
    }
    const middle = rows.length >> 1
    const before = await writeApart(store, rows.slice(0, middle), refuse)
    const after = await writeApart(store, rows.slice(middle), refuse)
    return before === null || after === null ? null : before + after
  }
}

/** By the import's clock, so that retention keeps it as long as any other dead letter. */
function letterOf(
  log: string,
  { row, reason, text }: ImportBatch['refused'][number],
  now: number,
): DeadLetter {
  return {
    position: positionOf(log, row),
    receivedAt: now,
    code: 'import_row',
    message: reason,
    source: 'import',
    value: Buffer.from(text),
    schema: '',
    replayable: false,
  }
}
