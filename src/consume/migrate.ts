import { MillraceError } from '../event/error.ts'
import { type Clock, dayMs, dayOf } from '../lib/clock.ts'
import type { HistorySource, HistoryTarget, Repeat } from '../store/history.ts'
import type { Position, Row, Store, TimeRange } from '../store/store.ts'
import { pagesOf } from './compare.ts'
import { type WriteOptions, writeUntilStored } from './write.ts'

/**
 * Moves what a store holds into another one: a day at a time, each event with all its receipts. That
 * a day is done is written behind its rows as a position of a log of the move's own, so that a second
 * run goes on where the first one ended, and copies again what has grown meanwhile.
 */

export interface MigrateParts {
  readonly source: Store & HistorySource
  readonly target: Store
  /** Names the source for the positions: the identity of its log. */
  readonly name: string
}

export interface MigrateOptions extends WriteOptions {
  /** Rows read and written at once. */
  readonly pageRows?: number
  /** Days (UTC, `YYYY-MM-DD`) to copy though they are done. */
  readonly again?: readonly string[]
  readonly signal: AbortSignal
  readonly onProgress?: (done: number, total: number) => void
  readonly onRetry?: (error: Error, attempt: number) => void
}

const pageRowsDefault = 4_000
/** Of the largest of the last days: what a day that is not over may have in the end. */
const growth = 10
const pastDays = 14
/** Of what a day that is over has: late events, and those of other collectors. */
const headroom = 2

/**
 * Tells the target how large its days will be, and what must not be stored any more; before it is
 * opened to write.
 * @throws MillraceError `migrate_refused` when there are days that it would expire at once
 */
export async function prepareTarget(
  { source }: Pick<MigrateParts, 'source'>,
  heir: HistoryTarget,
  retentionDays: number,
  clock: Clock,
): Promise<void> {
  const now = clock()
  // What the consumer has passed is all that an erasure could still be about.
  await source.settleErasures(now, now)
  const days = await source.days()
  const oldest = dayOf(Math.floor(now / dayMs) * dayMs - (retentionDays - 1) * dayMs)
  const outside = days.filter(({ day }) => day < oldest)
  if (outside.length > 0) {
    const range = `${outside[0]?.day} to ${outside.at(-1)?.day}`
    const advice = 'raise store.retentionDays (MILLRACE_RETENTION_DAYS), or forget their import'
    throw new MillraceError(
      'migrate_refused',
      `${outside.length} days (${range}) are older than ${retentionDays} days and would expire at once: ${advice}`,
    )
  }
  await heir.layOut(
    expectedEvents(
      days.map(({ day, ...rows }) => [day, countOf(rows)]),
      now,
    ),
  )
  const salt = await source.erasureSalt()
  if (salt !== undefined) await heir.adoptErasures(salt, await source.erasures())
}

function countOf(day: { readonly openRows: number; readonly closedRows: number }): number {
  return day.openRows + day.closedRows
}

/** What each day may have in the end. */
export function expectedEvents(
  days: readonly (readonly [day: string, events: number])[],
  now: number,
): Map<string, number> {
  const largest = Math.max(0, ...days.slice(-pastDays).map(([, events]) => events))
  const today = dayOf(now)
  return new Map(
    days.map(([day, events]) => [day, day < today ? headroom * events : growth * largest]),
  )
}

/** What was taken along. */
export interface Migrated {
  readonly events: number
  readonly repeats: number
  /** Days that an earlier run has done. */
  readonly daysBefore: number
  readonly days: number
}

/**
 * Copies the days that are not done yet.
 * @throws MillraceError `migrate_stopped` when `signal` aborts
 */
export async function migrateDays(parts: MigrateParts, options: MigrateOptions): Promise<Migrated> {
  const { source, target, name } = parts
  const log = `migrate:${name}`
  const done = await target.positions(log, migrateTopic)
  const days = await source.days()
  const total = days.reduce((sum, day) => sum + countOf(day), 0)
  let [events, repeats, daysBefore] = [0, 0, 0]
  for (const { day, ...rows } of days) {
    const from = Date.parse(`${day}T00:00:00Z`)
    const range = { from, to: from + dayMs }
    const copies = await source.countRepeats(range)
    const mark = {
      log,
      topic: migrateTopic,
      partition: from / dayMs,
      offset: countOf(rows) + copies,
    }
    const isDone = done.get(mark.partition) === mark.offset
    if (isDone && options.again?.includes(day) !== true) daysBefore++
    else
      await migrateDay(parts, range, mark, options, (read) =>
        options.onProgress?.(events + read, total),
      )
    events += countOf(rows)
    repeats += copies
    options.onProgress?.(events, total)
  }
  return { events, repeats, daysBefore, days: days.length }
}

const migrateTopic = 'migrate'

async function migrateDay(
  parts: MigrateParts,
  range: TimeRange,
  mark: Position,
  options: MigrateOptions,
  onRows: (read: number) => void,
): Promise<void> {
  let read = 0
  const { pageRows = pageRowsDefault } = options
  for await (const rows of pagesOf(parts.source, range, pageRows)) {
    await write(parts.target, rows, [], options)
    await migrateRepeats(parts, rows, options)
    read += rows.length
    onRows(read)
  }
  await write(parts.target, [], [mark], options)
}

/** The repeats of a page of events, as receipts of their own: only time and position differ. */
async function migrateRepeats(
  { source, target }: MigrateParts,
  rows: readonly Row[],
  options: MigrateOptions,
): Promise<void> {
  const [first, last] = [rows[0], rows.at(-1)]
  if (first === undefined || last === undefined) return
  const range = { from: first.eventTime, to: last.eventTime + 1 }
  const byKey = new Map(rows.map((row) => [keyOf({ ...row, partyId: row.partyId ?? '' }), row]))
  const { pageRows = pageRowsDefault } = options
  let after: Repeat | undefined
  for (;;) {
    const page = await source.repeats(range, pageRows, after)
    const receipts = page.flatMap((repeat) => {
      const { receivedAt, position } = repeat
      // At both ends of the page, other events of the same millisecond may be on the next one.
      const row = byKey.get(keyOf(repeat))
      return row === undefined ? [] : [{ ...row, receivedAt, position }]
    })
    if (receipts.length > 0) await write(target, receipts, [], options)
    after = page.at(-1)
    if (page.length < pageRows) return
  }
}

function keyOf({ eventTime, eventId, partyId }: Pick<Repeat, 'eventTime' | 'eventId' | 'partyId'>) {
  return `${eventTime}\n${partyId}\n${eventId}`
}

async function write(
  target: Store,
  rows: readonly Row[],
  positions: readonly Position[],
  { onRetry = () => {}, ...options }: MigrateOptions,
): Promise<void> {
  const batch = { rows, deadLetters: [], positions }
  if (await writeUntilStored(target, batch, { ...options, onRetry })) return
  throw new MillraceError('migrate_stopped', 'it was stopped')
}

/**
 * Deletes from the target what an earlier run has copied of parties that the source has erased
 * since; returns how many of `partyIds` those are.
 */
export async function eraseCopied(
  { source, target }: Pick<MigrateParts, 'source' | 'target'>,
  partyIds: Iterable<string>,
  clock: Clock,
): Promise<number> {
  let erased = 0
  for (const partyId of partyIds) {
    const [newest] = await source.erasures(partyId)
    if (newest === undefined) continue
    await target.erase(partyId, newest.at)
    erased++
  }
  if (erased > 0) await target.settleErasures(clock(), clock())
  return erased
}

const letterPage = 500

/** Copies all dead letters; returns how many, and the fingerprints of their schemas. */
export async function migrateDeadLetters(
  { source, target }: Pick<MigrateParts, 'source' | 'target'>,
  { onRetry = () => {}, ...options }: MigrateOptions,
): Promise<{ readonly letters: number; readonly schemas: ReadonlySet<string> }> {
  const schemas = new Set<string>()
  let letters = 0
  let after: Position | undefined
  do {
    const page = await source.deadLetters({ limit: letterPage, ...(after && { after }) })
    const batch = { rows: [], deadLetters: page, positions: [] }
    if (!(await writeUntilStored(target, batch, { ...options, onRetry }))) {
      throw new MillraceError('migrate_stopped', 'it was stopped')
    }
    for (const { position, schema, replayedAt } of page) {
      schemas.add(schema)
      if (replayedAt !== null) await target.markReplayed(position, replayedAt)
      if ((await target.deadLetter(position)) === undefined) {
        const { topic, partition, offset } = position
        throw new MillraceError('migrate_differs', `no dead letter ${topic}/${partition}/${offset}`)
      }
    }
    letters += page.length
    after = page.length < letterPage ? undefined : page.at(-1)?.position
  } while (after !== undefined)
  return { letters, schemas }
}

/**
 * Copies where the source stands in its logs, so that imports go on and a log that stays is read on
 * from there. Never set back: the target may have gone on since an earlier run.
 */
export async function migratePositions(
  { source, target }: Pick<MigrateParts, 'source' | 'target'>,
  topics: readonly string[],
): Promise<void> {
  for (const topic of topics) {
    for (const log of await source.logs(topic)) {
      const known = await target.positions(log, topic)
      const positions = [...(await source.positions(log, topic))]
        .filter(([partition, offset]) => (known.get(partition) ?? -1) < offset)
        .map(([partition, offset]) => ({ log, topic, partition, offset }))
      if (positions.length > 0) await target.write({ rows: [], deadLetters: [], positions })
    }
  }
}
