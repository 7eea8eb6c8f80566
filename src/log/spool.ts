import { isMillraceError, MillraceError } from '../event/error.ts'
import { fingerprintOf } from '../event/schema.ts'
import { toError } from '../lib/assert.ts'
import { backoffMs, waitMs } from '../lib/retry.ts'
import { drain, oldestRecord, spooledRecords, teachSchemas } from './drain.ts'
import type {
  AppendRecord,
  Log,
  LogBatch,
  Offset,
  PartitionLag,
  PartitionRange,
  ReadOptions,
} from './log.ts'

/** What a spool stands before, and what it does. */
export interface SpoolOptions {
  /** Opens the log; called again after a while when it rejects. */
  readonly openLog: () => Promise<Log>
  /** On a disk of this machine; nobody else reads or writes it. The spooled log closes it. */
  readonly spool: Log
  /** How long an append to the log may take before its records go to the spool. */
  readonly afterMs: number
  readonly drainPerSecondMax: number
  /** Largest record that the log takes, key and value together: the spool takes no larger ones. */
  readonly recordBytesMax: number
  /** The log must answer at the start: somebody reads it here, who cannot do without. */
  readonly isRequired?: boolean
  /** Takes lines for the operator: when spooling begins and ends, and why. */
  readonly onLine: (line: string) => void
}

/** A log with a spool before it. */
export interface SpooledLog extends Log {
  /** Why records go to the spool now; undefined while they go to the log. */
  readonly trouble: MillraceError | undefined
  /** Records that damage of the spool's files has cost since the start. */
  readonly lost: number
  /** Records that wait in the spool. */
  waiting(): Promise<number>
  /** The first of them. */
  oldest(): Promise<AppendRecord | undefined>
}

/** Shortest time between two lines that say the same. */
const lineIntervalMs = 60_000
/** Longest UTF-8 form of one UTF-16 code unit. */
const utf8BytesMax = 3
const retryBackoff = { initialMs: 200, maxMs: 2_000 }
/** How long a start waits to hear whether the log is there. */
const openWaitMs = 5_000
/** What a log that is only away throws; all else is a setting that somebody has to mend. */
const awayCodes = ['log_unavailable', 'registry_unavailable'] as const

/**
 * Puts a spool before a log: `append` resolves when the records are durable in either. Order holds
 * for a key only while nothing is spooled; a record may be in the log twice, the same bytes both
 * times.
 * @throws MillraceError what `openLog` throws: `log_unavailable` and `registry_unavailable` only when
 *   the log is required
 */
export async function openSpooledLog(options: SpoolOptions): Promise<SpooledLog> {
  const log = new Spool(options)
  const refusal = await log.start()
  if (refusal === undefined) return log
  await log.close()
  throw refusal
}

/**
 * Appends go straight to the log until one fails or takes too long. From then on they go to the
 * spool, at once, and those under way are taken along. Meanwhile the oldest spooled records are
 * tried: when the log takes them it is back, appends go there again, and the rest of the spool
 * follows behind them.
 */
class Spool implements SpooledLog {
  readonly topic: string
  lost = 0
  readonly #options: SpoolOptions
  /** Fingerprints of the schemas that this process writes with, and of those that the log has. */
  readonly #given = new Set<string>()
  readonly #taught = new Set<string>()
  /** What moves each append under way to the spool. */
  readonly #sending = new Set<() => void>()
  readonly #closing = new AbortController()
  #log: Log | undefined
  #trouble: MillraceError | undefined = new MillraceError('log_unavailable', 'it is not open yet')
  #isQuiet = true
  #said = { code: '', at: 0 }
  /** Something was spooled since the last look. */
  #isStirred = false
  #stir: () => void = () => {}
  /** Ends the wait of a start. */
  #tried: () => void = () => {}
  #running: Promise<void> | undefined
  #closed: Promise<void> | undefined

  constructor(options: SpoolOptions) {
    this.topic = options.spool.topic
    this.#options = options
  }

  get identity(): string {
    return this.#opened().identity
  }

  get trouble(): MillraceError | undefined {
    return this.#trouble
  }

  /** Resolves when the log is there, or away; with the error when it is not as it has to be. */
  async start(): Promise<MillraceError | undefined> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const waiting = new AbortController()
    this.#tried = resolve
    this.#running = this.#run()
    await Promise.race([promise, waitMs(openWaitMs, waiting.signal)])
    waiting.abort()
    const trouble = this.#trouble
    const isOnlyAway = isMillraceError(trouble, ...awayCodes) && this.#options.isRequired !== true
    if (trouble !== undefined && !isOnlyAway) return trouble
    this.#isQuiet = false
    this.#say()
    return
  }

  append(records: readonly AppendRecord[]): Promise<void> {
    if (this.#closed !== undefined) return Promise.reject(closedError())
    const log = this.#log
    return log === undefined || this.#trouble ? this.#keep(records) : this.#send(log, records)
  }

  async check(): Promise<void> {
    if (this.#closed !== undefined) throw closedError()
    if (this.#log !== undefined && this.#trouble === undefined) {
      const late = waitMs(this.#options.afterMs).then(() => false)
      const isThere = this.#log.check().then(
        () => true,
        () => false,
      )
      if (await Promise.race([isThere, late])) return
    }
    await this.#options.spool.check().catch(rethrowFull)
  }

  read(options: ReadOptions): AsyncIterable<LogBatch> {
    return this.#opened().read(options)
  }

  async partitions(): Promise<readonly PartitionRange[]> {
    return this.#reached().partitions()
  }

  async commit(group: string, partition: number, nextOffset: Offset): Promise<void> {
    await this.#opened().commit(group, partition, nextOffset)
  }

  async lag(group: string): Promise<readonly PartitionLag[]> {
    return this.#reached().lag(group)
  }

  /** Kept beside the records in the spool; the log gets it before it gets any of those. */
  async addSchema(text: string): Promise<void> {
    await this.#options.spool.addSchema(text)
    const fingerprint = fingerprintOf(text)
    this.#given.add(fingerprint)
    if (this.#log === undefined || this.#trouble !== undefined) return this.#wake()
    try {
      await this.#log.addSchema(text)
      this.#taught.add(fingerprint)
    } catch (thrown) {
      if (!isMillraceError(thrown, ...awayCodes)) throw thrown
      this.#leave(thrown)
    }
  }

  async schema(fingerprint: string): Promise<string | undefined> {
    const { spool } = this.#options
    return (await spool.schema(fingerprint)) ?? this.#log?.schema(fingerprint)
  }

  async retain(now: number): Promise<number> {
    const freed = await this.#options.spool.retain(now)
    return freed + ((await this.#log?.retain(now)) ?? 0)
  }

  waiting(): Promise<number> {
    return spooledRecords(this.#options.spool)
  }

  oldest(): Promise<AppendRecord | undefined> {
    return oldestRecord(this.#options.spool)
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  #send(log: Log, records: readonly AppendRecord[]): Promise<void> {
    return new Promise((resolve, reject) => {
      const sent = log.append(records)
      const end = (): boolean => {
        clearTimeout(timer)
        return this.#sending.delete(spoolInstead)
      }
      // What the log still takes is durable, should the spool be full.
      const spoolInstead = (): void => {
        end()
        this.#keep(records)
          .catch((thrown: unknown) => sent.catch(() => Promise.reject(thrown)))
          .then(resolve, reject)
      }
      const { afterMs } = this.#options
      const timer = setTimeout(() => {
        this.#leave(new MillraceError('log_unavailable', `no answer in ${afterMs} ms`))
      }, afterMs)
      this.#sending.add(spoolInstead)
      sent.then(
        () => {
          if (end()) resolve()
        },
        (thrown: unknown) => {
          if (!this.#sending.has(spoolInstead)) return
          if (!isMillraceError(thrown, 'record_too_large')) return this.#leave(thrown)
          end()
          reject(thrown)
        },
      )
    })
  }

  async #keep(records: readonly AppendRecord[]): Promise<void> {
    const { spool, recordBytesMax } = this.#options
    for (const { key, value, headers } of records) {
      const textLength = key.length + (headers === undefined ? 0 : JSON.stringify(headers).length)
      if (textLength * utf8BytesMax + value.byteLength <= recordBytesMax) continue
      throw new MillraceError('record_too_large', `${recordBytesMax}`)
    }
    await spool.append(records).catch(rethrowFull)
    this.#wake()
  }

  /** The log failed: from now on, until it has taken something, it gets only what is tried. */
  #leave(thrown: unknown): void {
    this.#trouble = isMillraceError(thrown)
      ? thrown
      : new MillraceError('log_unavailable', toError(thrown).message, { cause: thrown })
    this.#say()
    for (const spoolInstead of [...this.#sending]) spoolInstead()
    this.#wake()
  }

  /** A line for each reason, again after a while, not for each try. */
  #say(): void {
    if (this.#isQuiet || this.#trouble === undefined) return
    const { code, message } = this.#trouble
    if (this.#said.code === code && performance.now() - this.#said.at < lineIntervalMs) return
    this.#said = { code, at: performance.now() }
    this.#options.onLine(`${this.topic} go to the spool: ${message}`)
  }

  /** The log has taken something. */
  #return(): void {
    if (this.#trouble === undefined || this.#taught.size < this.#given.size) return
    this.#trouble = undefined
    this.#tried()
    if (this.#said.code !== '') this.#options.onLine(`${this.topic} go to the log again`)
    this.#said = { code: '', at: 0 }
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing
    for (let failures = 0; !signal.aborted; ) {
      this.#isStirred = false
      try {
        await this.#turn()
        failures = 0
        await this.#untilStirred()
      } catch (thrown) {
        if (signal.aborted) break
        failures++
        this.#leave(thrown)
        this.#tried()
        await waitMs(backoffMs(failures, retryBackoff), signal)
      }
    }
  }

  /** Finds out whether the log is there and gives it all that waits. */
  async #turn(): Promise<void> {
    const { spool, drainPerSecondMax, onLine } = this.#options
    const { signal } = this.#closing
    const log = this.#log ?? (await this.#open())
    let moved = 0
    const onBatch = (records: number): void => {
      moved += records
      this.#return()
    }
    const onLost = (records: number, { message }: Error): void => {
      this.lost += records
      onLine(`${records} ${this.topic} in the spool cannot be read and are left out: ${message}`)
    }
    const perSecondMax = drainPerSecondMax
    const options = { spool, log, perSecondMax, signal, onBatch, onLost }
    await teachSchemas(options, this.#given, this.#taught)
    await drain(options)
    if (moved > 0) {
      onLine(`${moved} ${this.topic} moved from the spool to the log`)
      await spool.retain(Date.now())
    }
    if (this.#trouble === undefined || signal.aborted) return
    await log.check()
    this.#return()
  }
  async #open(): Promise<Log> {
    const opening = this.#options.openLog()
    const log = await unlessAborted(opening, this.#closing.signal)
    if (log === undefined) {
      opening.then((late) => late.close()).catch(() => {})
      throw closedError()
    }
    this.#log = log
    return log
  }

  #wake(): void {
    this.#isStirred = true
    this.#stir()
  }

  async #untilStirred(): Promise<void> {
    if (this.#isStirred) return
    await new Promise<void>((resolve) => {
      this.#stir = resolve
    })
  }

  async #close(): Promise<void> {
    this.#closing.abort()
    this.#wake()
    // What the log does not take in its time goes to the spool, which is therefore closed last.
    await this.#log?.close()
    await this.#running
    await this.#log?.close()
    await this.#options.spool.close()
  }

  #opened(): Log {
    if (this.#log === undefined) throw this.#trouble ?? closedError()
    return this.#log
  }

  /** The log, for a question that would wait for long while it is away. */
  #reached(): Log {
    if (this.#trouble !== undefined) throw this.#trouble
    return this.#opened()
  }
}

/** A full spool is another fault than a full log, with another remedy. */
function rethrowFull(thrown: unknown): never {
  if (!isMillraceError(thrown, 'log_full')) throw thrown
  const detail = thrown.message.slice(thrown.message.indexOf(': ') + 2)
  throw new MillraceError('spool_full', detail, { cause: thrown })
}

function closedError(): MillraceError {
  return new MillraceError('log_unavailable', 'it is closed')
}

/** Undefined when `signal` aborts before the promise settles. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const abort = (): void => resolve(undefined)
    signal.addEventListener('abort', abort)
    const end = (): void => signal.removeEventListener('abort', abort)
    promise.finally(end).then(resolve, reject)
  })
}
