import { realpathSync, rmSync } from 'node:fs'
import { join, sep } from 'node:path'
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import { MillraceError } from '../../event/error.ts'
import { toError } from '../../lib/assert.ts'
import { secondMs } from '../../lib/clock.ts'
import { ensureFolder } from '../../lib/folder.ts'
import { quoted } from './closed-file.ts'
import { removeHalfCopy } from './compact.ts'
import { attachDays, createDaysFolder, type DaysFolder, sweepDaysFolder } from './days.ts'
import { readManifest } from './manifest.ts'
import { createModelTables } from './models.ts'
import { createTables, formatVersion } from './tables.ts'

export interface DatabaseOptions {
  /** Holds `store.duckdb`, its write-ahead log, `days` and `temp`. Made when it is not there. */
  readonly folder: string
  /** Memory for questions and writes; the rest spills to `temp`. */
  readonly memoryBytes: number
  /** 0 takes one for each core. */
  readonly threads: number
  /** How long a question may take. 30 s. */
  readonly questionMsMax?: number
}

/** DuckDB's file with a connection for writing and a few for questions. */
export interface Database {
  readonly file: string
  /** The files of closed days: all that DuckDB may touch beside its own. */
  readonly days: DaysFolder
  /** For one caller at a time. */
  readonly writer: DuckDBConnection
  /**
   * Runs a question in one snapshot of what is committed.
   * @throws MillraceError `question_too_large`, `store_unavailable`, `store_corrupt`
   */
  readonly ask: <Answer>(
    question: (connection: DuckDBConnection) => Promise<Answer>,
  ) => Promise<Answer>
  /**
   * Runs long work in one snapshot, on a connection of its own and without a limit of time; `close`
   * interrupts it.
   * @throws MillraceError `store_unavailable`, `store_corrupt`
   */
  readonly inLongSnapshot: <Answer>(
    work: (connection: DuckDBConnection) => Promise<Answer>,
  ) => Promise<Answer>
  /** Settled when everything that reads now has ended: files that are replaced are needed till then. */
  readonly questionsUnderWay: () => Promise<unknown>
  /** Waits for questions under way, checkpoints and lets go of the file. */
  readonly close: () => Promise<void>
  /** No question may be asked any more. */
  readonly isClosing: () => boolean
}

/**
 * DuckDB rewrites the tail of the tables at every checkpoint. At its default of 16 MiB that is two
 * thirds of the CPU of writing (measured: 23 µs a row against 12); replaying 64 MiB takes a second.
 */
const checkpointBytes = 64 * 1024 * 1024

/** Each question keeps a thread of libuv's four; two are left for writes and files. */
const readersMax = 2

/** Questions that wait for a reader; more are refused. */
const waitingMax = 256

/**
 * Files open in this process. DuckDB's lock is the process's, so it does not keep the process from
 * opening its own file twice, and closing one of the two would give up the lock of both.
 */
const openFiles = new Set<string>()

/**
 * Opens the file, or makes it.
 * @param known the days folder when it is opened again: a file on its way into the manifest may be there
 * @throws MillraceError `store_locked`, `store_version`, `store_corrupt`, `store_unavailable`
 */
export async function openDatabase(
  options: DatabaseOptions,
  known?: DaysFolder,
): Promise<Database> {
  const { folder, questionMsMax = 30 * secondMs } = options
  const file = join(makeFolder(folder), 'store.duckdb')
  if (openFiles.has(file)) {
    throw new MillraceError('store_locked', `${file} is open in this process already`)
  }
  openFiles.add(file)
  let instance: DuckDBInstance | undefined
  let writer: DuckDBConnection | undefined
  try {
    instance = await DuckDBInstance.create(file, settingsOf(options))
    // Only now is the file ours. What a killed process left behind is of no use to anybody.
    rmSync(join(folder, 'temp'), { recursive: true, force: true })
    removeHalfCopy(file)
    const days = known ?? createDaysFolder(makeFolder(join(folder, 'days')))
    writer = attachDays(await instance.connect(), days)
    await writer.run(
      // Without it every question reads the footers of all files again: 30 ms for 82.
      `SET parquet_metadata_cache = true;
       SET allowed_directories = [${quoted(join(days.path, sep))}];
       SET enable_external_access = false; SET lock_configuration = true`,
    )
    await checkFormat(writer, file)
    await writer.run(createModelTables)
    if (known === undefined) sweepDaysFolder(days.path, await readManifest(writer))
    return new OpenDatabase(file, days, instance, writer, questionMsMax)
  } catch (thrown) {
    writer?.closeSync()
    instance?.closeSync()
    openFiles.delete(file)
    throw openError(thrown, file)
  }
}

function makeFolder(folder: string): string {
  try {
    ensureFolder(folder)
    return realpathSync(folder)
  } catch (thrown) {
    throw new MillraceError('store_unavailable', toError(thrown).message, { cause: thrown })
  }
}

function settingsOf({ folder, memoryBytes, threads }: DatabaseOptions): Record<string, string> {
  return {
    memory_limit: `${memoryBytes}B`,
    temp_directory: join(folder, 'temp'),
    max_temp_directory_size: `${8 * memoryBytes}B`,
    checkpoint_threshold: `${checkpointBytes}B`,
    // Rows are appended in the order of the log anyway, and questions say their order.
    preserve_insertion_order: 'false',
    // Nothing is ever downloaded.
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    ...(threads > 0 ? { threads: String(threads) } : {}),
  }
}

async function checkFormat(writer: DuckDBConnection, file: string): Promise<void> {
  const tables = await writer.runAndReadAll('SELECT table_name FROM duckdb_tables()')
  const names = tables.getRows().map(([name]) => name)
  if (names.length === 0) {
    await writer.run(
      `BEGIN TRANSACTION; ${createTables} INSERT INTO meta VALUES ('format', '${formatVersion}'), ('created', '${Date.now()}'); COMMIT`,
    )
    return
  }
  if (!names.includes('meta'))
    throw new MillraceError('store_corrupt', `${file} is no store of ours`)
  const format = await writer.runAndReadAll(`SELECT value FROM meta WHERE name = 'format'`)
  const version = format.getRows()[0]?.[0]
  if (version !== String(formatVersion)) {
    throw new MillraceError('store_version', `${file} has format ${version}, not ${formatVersion}`)
  }
}

/** What it means that a file could not be opened. */
export function openError(thrown: unknown, file: string): MillraceError {
  if (thrown instanceof MillraceError) return thrown
  const { message } = toError(thrown)
  const options = { cause: thrown }
  if (/lock on file|Conflicting lock/i.test(message)) {
    const owner = /PID (\d+)/.exec(message)?.[1]
    const detail = owner === undefined ? file : `${file} is held by process ${owner}`
    return new MillraceError('store_locked', detail, options)
  }
  if (/version number|newer version|storage version/i.test(message)) {
    return new MillraceError('store_version', message, options)
  }
  const isEnvironment =
    /Permission denied|No space left|Read-only file system|Too many open files|Out of Memory|Input\/output error/i
  if (isEnvironment.test(message)) return new MillraceError('store_unavailable', message, options)
  return new MillraceError('store_corrupt', `${file}: ${message}`, options)
}

/** What a failed question or write means; `store_corrupt` only where it can be told. */
function useError(thrown: unknown): MillraceError {
  if (thrown instanceof MillraceError) return thrown
  const { message } = toError(thrown)
  // The last two are of a closed day's file that was changed since it was checked.
  const isCorrupt = /Corrupt database file|No files found|No magic bytes/i
  const code = isCorrupt.test(message) ? 'store_corrupt' : 'store_unavailable'
  return new MillraceError(code, message, { cause: thrown })
}

/** True when DuckDB will not do anything more with this instance: it must be opened anew. */
export function isFatal(thrown: unknown): boolean {
  const { cause, message } = toError(thrown)
  return /FATAL|has been invalidated/.test(message) || (cause !== undefined && isFatal(cause))
}

class OpenDatabase implements Database {
  readonly file: string
  readonly days: DaysFolder
  readonly writer: DuckDBConnection
  readonly #instance: DuckDBInstance
  readonly #questionMsMax: number
  readonly #idle: DuckDBConnection[] = []
  readonly #waiting: (() => void)[] = []
  readonly #underWay = new Set<Promise<unknown>>()
  readonly #long = new Set<DuckDBConnection>()
  #asking = 0
  #isClosing = false

  constructor(
    file: string,
    days: DaysFolder,
    instance: DuckDBInstance,
    writer: DuckDBConnection,
    questionMsMax: number,
  ) {
    this.file = file
    this.days = days
    this.#instance = instance
    this.writer = writer
    this.#questionMsMax = questionMsMax
  }

  ask = async <Answer>(
    question: (connection: DuckDBConnection) => Promise<Answer>,
  ): Promise<Answer> => {
    await this.#enter()
    try {
      const reader = this.#idle.pop() ?? (await this.#connect())
      try {
        const asked = this.#limitTime(reader, () => inSnapshot(reader, question))
        const answer = await this.#tracked(asked)
        this.#idle.push(reader)
        return answer
      } catch (thrown) {
        // An interrupt may have hit its ROLLBACK: another question would find a transaction open.
        reader.closeSync()
        throw thrown
      }
    } finally {
      this.#asking--
      this.#waiting.shift()?.()
    }
  }

  inLongSnapshot = async <Answer>(
    work: (connection: DuckDBConnection) => Promise<Answer>,
  ): Promise<Answer> => {
    if (this.#isClosing) throw new MillraceError('store_unavailable', 'it is closing')
    const reader = await this.#connect()
    this.#long.add(reader)
    try {
      return await this.#tracked(inSnapshot(reader, work))
    } catch (thrown) {
      throw useError(thrown)
    } finally {
      this.#long.delete(reader)
      reader.closeSync()
    }
  }

  questionsUnderWay = (): Promise<unknown> => Promise.allSettled([...this.#underWay])

  isClosing = (): boolean => this.#isClosing

  close = async (): Promise<void> => {
    this.#isClosing = true
    for (const reader of this.#long) reader.interrupt()
    while (this.#long.size > 0) await this.questionsUnderWay()
    while (this.#asking > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      await this.writer.run('CHECKPOINT')
    } catch {
      // The write-ahead log has everything: the next one to open it will do this.
    }
    for (const connection of [...this.#idle, this.writer]) connection.closeSync()
    this.#instance.closeSync()
    openFiles.delete(this.file)
  }

  async #connect(): Promise<DuckDBConnection> {
    return attachDays(await this.#instance.connect(), this.days)
  }

  async #tracked<Answer>(answer: Promise<Answer>): Promise<Answer> {
    this.#underWay.add(answer)
    try {
      return await answer
    } finally {
      this.#underWay.delete(answer)
    }
  }

  async #enter(): Promise<void> {
    if (this.#waiting.length >= waitingMax) {
      throw new MillraceError('store_unavailable', `${waitingMax} questions are waiting`)
    }
    while (this.#asking >= readersMax) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
    this.#asking++
  }

  /** Interrupts again and again past the limit, as a question may be several statements. */
  async #limitTime<Answer>(reader: DuckDBConnection, work: () => Promise<Answer>): Promise<Answer> {
    const limitMs = this.#questionMsMax
    const end = performance.now() + limitMs
    const timer = setInterval(
      () => {
        if (performance.now() >= end) reader.interrupt()
      },
      Math.min(limitMs, 250),
    )
    try {
      return await work()
    } catch (thrown) {
      const { message } = toError(thrown)
      if (/INTERRUPT/i.test(message)) {
        throw new MillraceError('question_too_large', `it takes longer than ${limitMs} ms`)
      }
      if (/Out of Memory/i.test(message)) throw new MillraceError('question_too_large', message)
      throw useError(thrown)
    } finally {
      clearInterval(timer)
    }
  }
}

async function inSnapshot<Answer>(
  reader: DuckDBConnection,
  question: (connection: DuckDBConnection) => Promise<Answer>,
): Promise<Answer> {
  await reader.run('BEGIN TRANSACTION READ ONLY')
  try {
    return await question(reader)
  } finally {
    await reader.run('ROLLBACK')
  }
}
