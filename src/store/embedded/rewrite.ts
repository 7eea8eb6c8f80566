import { rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { DuckDBConnection, DuckDBValue } from '@duckdb/node-api'
import { MillraceError } from '../../event/error.ts'
import { dayMs } from '../../lib/clock.ts'
import { syncPath } from '../../lib/sync.ts'
import { quoted, selectForFile, selectFromFiles } from './closed-file.ts'
import type { Database } from './database.ts'
import { checksumOf, type DaysFolder, daysOf, unfinishedSuffix } from './days.ts'
import { type ClosedDay, dayName, fileNameOf, readManifest, replaceEntry } from './manifest.ts'
import { isWithin } from './relation.ts'
import { rowsOf } from './sql.ts'

/**
 * Writes the file of a day: a new version that holds what the old one held and the open rows. The
 * file is whole and durable before one transaction puts it into the manifest and takes the rows out
 * of the open table; so after a crash at any moment every row is in exactly one of the two. Writing
 * is done in a snapshot beside the writer: what comes meanwhile stays in the open table.
 */

/** What is done when `onStep` is called; tests end the process there. */
export type RewriteStep = 'copied' | 'synced' | 'renamed' | 'folderSynced' | 'committed' | 'retired'

/** What the writing of a day needs of the store. */
export interface RewriteContext {
  readonly database: () => Promise<Database>
  /** Runs after the changes that were asked for before it; rolled back when it throws. */
  readonly change: <Answer>(
    change: (writer: DuckDBConnection) => Promise<Answer>,
  ) => Promise<Answer>
  readonly onStep?: ((step: RewriteStep) => void | Promise<void>) | undefined
}

export interface RewriteOptions {
  /**
   * A condition over the columns of `events`: the rows for which it is true are left out of the new
   * version, and go from the open table. Without it a day that has no open rows is left as it is.
   */
  readonly without?: string
  /** What the condition binds as `$1`, `$2`… */
  readonly parameters?: readonly DuckDBValue[]
}

/** What became of a day. */
export interface RewrittenDay {
  /** Rows in its file before. */
  readonly rowsBefore: number
  /** Rows in its file now; without any there is no file. */
  readonly rows: number
  readonly bytes: number
  /** 0 when there is no file. */
  readonly version: number
}

/** Rows that come while their day is copied cost another try only when rows went, too. */
const triesMax = 3

/**
 * Writes the day anew, or closes it. A day whose rows were stored unseen by its file is settled: what
 * is in both becomes one. Undefined when there was nothing to do: no open rows and no
 * condition, or a condition for a day that is not closed. Not to be called within `change`.
 * @throws MillraceError `store_corrupt` when the old version's file cannot be read,
 *   `store_unavailable` when it can't be done now
 */
export async function rewriteDay(
  context: RewriteContext,
  day: number,
  options: RewriteOptions = {},
): Promise<RewrittenDay | undefined> {
  const { days } = await context.database()
  return days.exclusively(async () => {
    for (let tries = 1; ; tries++) {
      const written = await writeFile(context, day, options)
      if (written === undefined) return
      if (await putInPlace(context, written, options)) return resultOf(written)
      if (written.file !== undefined) await rm(written.file, { force: true })
      if (tries === triesMax) {
        throw new MillraceError('store_unavailable', `${dayName(day)} keeps changing`)
      }
    }
  })
}

/** A version that is on disk, if it has rows, and not yet in the manifest. */
interface Written {
  readonly day: number
  readonly before: ClosedDay | undefined
  /** The open rows that are in it, or were left out of it. */
  readonly open: Fingerprint
  readonly after: ClosedDay | undefined
  readonly file: string | undefined
}

/** Tells one set of keys from another. */
interface Fingerprint {
  readonly rows: number
  readonly keys: string
}

/** Only for rows of `events`; a key is there once. */
async function fingerprintOf(connection: DuckDBConnection, day: number): Promise<Fingerprint> {
  const [row = []] = await rowsOf(
    connection,
    `SELECT count(*), coalesce(bit_xor(hash(event_time, event_id, party_id)), 0)::VARCHAR
     FROM events WHERE ${isOfDay(day)}`,
  )
  return { rows: row[0] as number, keys: row[1] as string }
}

async function writeFile(
  context: RewriteContext,
  day: number,
  { without, parameters = [] }: RewriteOptions,
): Promise<Written | undefined> {
  const database = await context.database()
  const { days } = database
  return database.inLongSnapshot(async (reader) => {
    const [before] = await readManifest(reader, day, day)
    const open = await fingerprintOf(reader, day)
    const isSettled = open.rows === 0 && before?.isUnchecked !== true
    if (without === undefined ? isSettled : before === undefined) return
    const relation = await sourceOf(days, day, before)
    const left = without === undefined ? 'true' : `NOT coalesce((${without}), false)`
    const [count = []] = await rowsOf(
      reader,
      `SELECT count(*), max(received_at) FROM ${relation} AS source WHERE ${left}`,
      [...parameters],
    )
    const [rows, lastReceivedAt] = count as [number, number | null]
    if (rows === 0) return { day, before, open, after: undefined, file: undefined }
    const version = freeVersion(days, day, (before?.version ?? 0) + 1)
    const file = join(days.path, fileNameOf({ day, version }))
    const unfinished = `${file}${unfinishedSuffix}`
    const select = selectForFile(`(SELECT * FROM ${relation} AS source WHERE ${left})`, day)
    const options = 'FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false'
    try {
      await reader.run(`COPY (${select}) TO ${quoted(unfinished)} (${options})`, [...parameters])
      const { bytes, checksum } = await makeDurable(context, unfinished, file)
      const after = { day, version, rows, bytes, checksum, lastReceivedAt: lastReceivedAt ?? 0 }
      return { day, before, open, after: { ...after, isUnchecked: false }, file }
    } catch (thrown) {
      await Promise.all([unfinished, file].map((path) => rm(path, { force: true })))
      throw thrown
    }
  })
}

/** Retention may have taken the day a moment ago: the name of its file is not free before it goes. */
function freeVersion(days: DaysFolder, day: number, first: number): number {
  let version = first
  while (days.isRetiring(join(days.path, fileNameOf({ day, version })))) version++
  return version
}

/** The rows of a day, each once. */
async function sourceOf(
  days: DaysFolder,
  day: number,
  before: ClosedDay | undefined,
): Promise<string> {
  const open = `SELECT * FROM events WHERE ${isOfDay(day)}`
  if (before === undefined) return `(${open})`
  const closed = `SELECT * EXCLUDE (day) FROM (${selectFromFiles([await days.check(before)])})`
  if (!before.isUnchecked) return `(${closed} UNION ALL BY NAME ${open})`
  return `(${closed} UNION ALL BY NAME
    SELECT * FROM (${open}) AS late ANTI JOIN (${closed}) AS closed USING (event_time, event_id, party_id))`
}

async function makeDurable(
  { onStep }: RewriteContext,
  unfinished: string,
  file: string,
): Promise<{ bytes: number; checksum: number }> {
  await onStep?.('copied')
  await syncPath(unfinished)
  await onStep?.('synced')
  const { size: bytes } = await stat(unfinished)
  const checksum = await checksumOf(unfinished)
  await rename(unfinished, file)
  await onStep?.('renamed')
  await syncPath(join(file, '..'))
  await onStep?.('folderSynced')
  return { bytes, checksum }
}

/** False when the day has lost rows since, or has another version: what was written is outdated. */
async function putInPlace(
  context: RewriteContext,
  { day, before, open, after }: Written,
  options: RewriteOptions,
): Promise<boolean> {
  const isDone = await context.change(async (writer) => {
    await writer.run('BEGIN TRANSACTION')
    const [now] = await readManifest(writer, day, day)
    const isSame = now?.version === before?.version && now?.isUnchecked === before?.isUnchecked
    const isThere = after === undefined || daysOf(writer).findMissing([after]).length === 0
    if (!isSame || !isThere || !(await takeOut(writer, { day, before, open, after }, options))) {
      await writer.run('ROLLBACK')
      return false
    }
    await replaceEntry(writer, day, after)
    await writer.run('COMMIT')
    return true
  })
  if (!isDone) return false
  await context.onStep?.('committed')
  const database = await context.database()
  if (before !== undefined) {
    database.days.retire(join(database.days.path, fileNameOf(before)), database.questionsUnderWay())
  }
  await context.onStep?.('retired')
  return true
}

/** Takes the rows that the file took over out of the open table; false when some are gone by now. */
async function takeOut(
  writer: DuckDBConnection,
  { day, before, open, after }: Omit<Written, 'file'>,
  { without }: RewriteOptions,
): Promise<boolean> {
  const days = daysOf(writer)
  const now = await fingerprintOf(writer, day)
  if (now.rows === open.rows && now.keys === open.keys) {
    if (before?.isUnchecked) await keepRepeats(writer, await days.check(before), day)
    await writer.run(`DELETE FROM events WHERE ${isOfDay(day)}`)
    return true
  }
  // Rows have come meanwhile: they stay. Where rows went too, the file holds what is no longer true.
  if (after === undefined || without !== undefined || before?.isUnchecked) return false
  const file = selectFromFiles([join(days.path, fileNameOf(after))])
  const sameKey = ['event_time', 'event_id', 'party_id']
    .map((name) => `events.${name} = closed.${name}`)
    .join(' AND ')
  const { rowsChanged } = await writer.run(
    `DELETE FROM events USING (${file}) AS closed WHERE ${isOfDay(day, 'events.')} AND ${sameKey}`,
  )
  return rowsChanged === open.rows
}

/** Open rows that are in the file already were further receipts of their events. */
async function keepRepeats(writer: DuckDBConnection, file: string, day: number): Promise<void> {
  await writer.run(
    `INSERT INTO repeats
     SELECT event_time, event_id, party_id, late.received_at, late.partition_id, late."offset"
     FROM (SELECT * FROM events WHERE ${isOfDay(day)}) AS late
     JOIN (${selectFromFiles([file])}) AS closed USING (event_time, event_id, party_id)
     WHERE late.received_at <> closed.received_at AND NOT EXISTS (
       SELECT 1 FROM repeats AS known WHERE known.event_time = late.event_time
         AND known.event_id = late.event_id AND known.party_id = late.party_id
         AND known.received_at = late.received_at)`,
  )
}

function isOfDay(day: number, prefix = ''): string {
  return isWithin(`${prefix}event_time`, { from: day * dayMs, to: (day + 1) * dayMs })
}

function resultOf({ before, after }: Written): RewrittenDay {
  const { rows = 0, bytes = 0, version = 0 } = after ?? {}
  return { rowsBefore: before?.rows ?? 0, rows, bytes, version }
}
