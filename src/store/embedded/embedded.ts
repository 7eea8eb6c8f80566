import { statSync } from 'node:fs'
import { join } from 'node:path'
import type { DuckDBConnection } from '@duckdb/node-api'
import { type ErrorCode, isMillraceError, MillraceError } from '../../event/error.ts'
import { toError } from '../../lib/assert.ts'
import { type Clock, systemClock } from '../../lib/clock.ts'
import type { HistorySource } from '../history.ts'
import type { Store } from '../store.ts'
import { accountFor } from './accounting.ts'
import { joinExposures } from './click-through.ts'
import { loadClosedKeys } from './closed-keys.ts'
import { type DatabaseOptions, isFatal, openError } from './database.ts'
import { readDays } from './day-states.ts'
import { daysOf } from './days.ts'
import { readDeadLetter, readDeadLetters, setReplayed } from './dead-letters.ts'
import { countParty, readErasures, readSalt } from './erase.ts'
import { beginErasure, type ErasingContext, settleErasures } from './erasing.ts'
import { readEvents } from './event-pages.ts'
import { countSteps } from './funnel.ts'
import { countRepeats, readRepeats } from './history.ts'
import { addKeptDays, removeKeptDays } from './kept-days.ts'
import { dayName, dayNumber, fileNameOf, readManifest } from './manifest.ts'
import { createEmbeddedModels } from './models.ts'
import { countEvents, countRows, readLogs, readProgress } from './questions.ts'
import { openReopening, type Reopening } from './reopening.ts'
import { deleteBefore, oldestKept } from './retention.ts'
import { followCohorts } from './retention-cohorts.ts'
import { type RewriteContext, type RewriteStep, rewriteDay } from './rewrite.ts'
import { countSessions } from './sessions.ts'
import { copyStore } from './snapshot.ts'
import { findTop } from './top.ts'
import { countParties, readExtent } from './uniques.ts'
import { loadMemory, type WriterMemory, writeBatch } from './write.ts'

export interface EmbeddedStoreOptions extends DatabaseOptions {
  /** For `lastWrittenAt` only: no clock decides where a row goes. */
  readonly clock?: Clock
  /** Called after each step of writing a closed day; tests end the process there. */
  readonly onRewriteStep?: (step: RewriteStep) => void | Promise<void>
}

/**
 * Opens the store of a folder, or makes it: one DuckDB file, owned by this process. What was
 * committed before a crash is replayed from the write-ahead log.
 * @throws MillraceError `store_locked` with the owner's process id, `store_version`,
 *   `store_corrupt`, `store_unavailable` (the disk is full, or the folder can't be written)
 */
export async function openEmbeddedStore(
  options: EmbeddedStoreOptions,
): Promise<Store & HistorySource> {
  const reopening = await openReopening(options)
  const { writer, file } = await reopening.current()
  try {
    return new EmbeddedStore(reopening, await loadMemory(writer), options)
  } catch (thrown) {
    await reopening.close()
    throw openError(thrown, file)
  }
}

class EmbeddedStore implements Store, HistorySource {
  readonly #reopening: Reopening
  readonly #clock: Clock
  readonly #memoryBytes: number
  readonly #rewriting: RewriteContext
  /** Undefined after a failure: loaded at the next write. */
  #memory: WriterMemory | undefined
  #lastReceivedAt: number | null
  #lastWrittenAt: number | null = null
  /** The last change asked for; the next one waits for it. */
  #queue: Promise<unknown> = Promise.resolve()
  /** The erasures that are being settled. */
  #settling: Promise<unknown> = Promise.resolve()
  #closing: Promise<void> | undefined

  constructor(reopening: Reopening, memory: WriterMemory, options: EmbeddedStoreOptions) {
    this.#reopening = reopening
    this.#clock = options.clock ?? systemClock
    this.#memoryBytes = options.memoryBytes
    this.#rewriting = {
      database: () => reopening.current(),
      change: (work) =>
        this.#change((writer, known) => this.#changeDays(writer, known, work), 'store_corrupt'),
      onStep: options.onRewriteStep,
    }
    this.#memory = memory
    this.#lastReceivedAt = memory.lastReceivedAt
  }

  positions: Store['positions'] = async (log, topic) => {
    const progress = await this.progress(log, topic)
    return new Map([...progress].map(([partition, { offset }]) => [partition, offset]))
  }

  progress: Store['progress'] = (log, topic) =>
    this.#ask((reader) => readProgress(reader, log, topic))

  logs: Store['logs'] = (topic) => this.#ask((reader) => readLogs(reader, topic))

  events: Store['events'] = (range, filter, page) =>
    this.#ask((reader) => readEvents(reader, range, filter, page))

  counts: Store['counts'] = (range, filter) =>
    this.#ask((reader) => countEvents(reader, range, filter))

  extent: Store['extent'] = (range, filter) =>
    this.#ask((reader) => readExtent(reader, range, filter))

  uniques: Store['uniques'] = (range, filter) =>
    this.#ask((reader) => countParties(reader, range, filter))

  top: Store['top'] = (dimension, range, filter, limit) =>
    this.#ask((reader) => findTop(reader, dimension, range, filter, limit))

  sessions: Store['sessions'] = (range, filter) =>
    this.#ask((reader) => countSessions(reader, range, filter))

  funnel: Store['funnel'] = (range, filter, steps) =>
    this.#ask((reader) => countSteps(reader, range, filter, steps))

  retention: Store['retention'] = (range, filter) =>
    this.#ask((reader) => followCohorts(reader, range, filter))

  accounting: Store['accounting'] = (range, filter) =>
    this.#ask((reader) => accountFor(reader, range, filter))

  clickThrough: Store['clickThrough'] = (range, filter) =>
    this.#ask((reader) => joinExposures(reader, range, filter))

  deadLetters: Store['deadLetters'] = (page) => this.#ask((reader) => readDeadLetters(reader, page))

  deadLetter: Store['deadLetter'] = (position) =>
    this.#ask((reader) => readDeadLetter(reader, position))

  repeats: HistorySource['repeats'] = (range, limit, after) =>
    this.#ask((reader) => readRepeats(reader, range, limit, after))

  countRepeats: HistorySource['countRepeats'] = (range) =>
    this.#ask((reader) => countRepeats(reader, range))

  erasureSalt: HistorySource['erasureSalt'] = () => this.#ask(readSalt)

  write: Store['write'] = (batch) =>
    this.#change(async (writer, memory) => {
      const result = await writeBatch(writer, memory, batch)
      this.#lastWrittenAt = this.#clock()
      return result
    })

  markReplayed: Store['markReplayed'] = (position, at) =>
    this.#change(async (writer) => {
      if (await setReplayed(writer, position, at)) return
      const { topic, partition, offset } = position
      throw new MillraceError('dead_letter_unknown', `${topic}/${partition}/${offset}`)
    })

  retain: Store['retain'] = (days, now) =>
    this.#change(async (writer) => {
      const deleted = await deleteBefore(writer, oldestKept(days, now))
      if (deleted.rows === 0) return 0
      const database = await this.#reopening.current()
      for (const entry of deleted.closedDays) {
        database.days.retire(
          join(database.days.path, fileNameOf(entry)),
          database.questionsUnderWay(),
        )
      }
      // The writer may remember claims and agents that are gone.
      this.#memory = await loadMemory(writer)
      await writer.run('CHECKPOINT').catch((thrown) => {
        // A question under way can keep it from freeing the space; the next one will.
        if (isFatal(thrown)) throw thrown
      })
      return deleted.events
    })

  keepDays: Store['keepDays'] = (log, days) =>
    this.#change((writer) => addKeptDays(writer, log, days))

  forgetDays: Store['forgetDays'] = (log) => this.#change((writer) => removeKeptDays(writer, log))

  partyRows: Store['partyRows'] = (partyId) => this.#ask((reader) => countParty(reader, partyId))

  erasures: Store['erasures'] = (partyId) => this.#ask((reader) => readErasures(reader, partyId))

  erase: Store['erase'] = (partyId, at) => beginErasure(this.#erasing, partyId, at)

  settleErasures: Store['settleErasures'] = (before, now) => {
    const settled = this.#settling.then(() => settleErasures(this.#erasing, before, now))
    this.#settling = settled.catch(() => undefined)
    return settled
  }

  readonly models: Store['models'] = createEmbeddedModels(
    (question) => this.#ask(question),
    (change) => this.#change(change, 'model_unknown'),
  )

  snapshot: Store['snapshot'] = (folder) =>
    this.#whileClosed(
      (file, dayFiles) => copyStore(file, dayFiles, folder, this.#memoryBytes),
      // Reads the bytes of files that were not met yet: changes need not wait for that.
      async () => (await this.#reopening.current()).inLongSnapshot(checkDays),
    )

  days: Store['days'] = () => this.#ask(readDays)

  closeDay: Store['closeDay'] = async (day) => {
    const number = dayNumber(day)
    const written = await rewriteDay(this.#rewriting, number)
    const [entry] =
      written === undefined
        ? await this.#ask((reader) => readManifest(reader, number, number))
        : [written]
    const { rows = 0, bytes = 0, version = 0 } = entry ?? {}
    return { isWritten: written !== undefined, rows, bytes, version }
  }

  health: Store['health'] = async () => {
    const { file } = await this.#reopening.current()
    // Looked for within the question: a version that is replaced meanwhile keeps its file for so long.
    const { closedDays, damaged, ...counted } = await this.#ask(async (reader) => {
      const answer = await countRows(reader)
      const missing = daysOf(reader).findMissing(answer.closedDays)
      const unchecked = answer.closedDays.filter(({ isUnchecked }) => isUnchecked)
      return { ...answer, damaged: new Set([...missing, ...unchecked]) }
    })
    return {
      ...counted,
      damagedDays: [...damaged].map(({ day }) => dayName(day)).sort(),
      lastReceivedAt: this.#lastReceivedAt,
      lastWrittenAt: this.#lastWrittenAt,
      bytes: closedDays.reduce(
        (sum, entry) => sum + entry.bytes,
        sizeOf(file) + sizeOf(`${file}.wal`),
      ),
    }
  }

  close: Store['close'] = () => {
    this.#closing ??= this.#queue.then(() => this.#reopening.close())
    return this.#closing
  }

  async #ask<Answer>(question: (reader: DuckDBConnection) => Promise<Answer>): Promise<Answer> {
    if (this.#closing) throw closed()
    let database = await this.#reopening.current()
    // It may be closed for a moment since; between this look and the question nothing can happen.
    while (database.isClosing()) database = await this.#reopening.current()
    try {
      return await database.ask(question)
    } catch (thrown) {
      if (isFatal(thrown)) this.#reopening.replace(database)
      throw thrown
    }
  }

  /**
   * Makes a change after those asked for before it; one that fails is rolled back and rejects, with
   * `store_unavailable` but for the codes in `told`.
   */
  #change<Answer>(
    change: (writer: DuckDBConnection, memory: WriterMemory) => Promise<Answer>,
    ...told: ErrorCode[]
  ): Promise<Answer> {
    if (this.#closing) return Promise.reject(closed())
    const done = this.#queue.then(() => this.#changeNow(change, told))
    this.#queue = done.catch(() => undefined)
    return done
  }

  /**
   * Does what needs the file for itself; changes asked for later wait. Not while a day is written
   * anew: closing the database would interrupt it. What `prepare` does keeps no change waiting.
   */
  async #whileClosed(
    work: (file: string, dayFiles: readonly string[]) => Promise<void>,
    prepare?: () => Promise<void>,
  ): Promise<void> {
    const { days } = await this.#reopening.current()
    await days.exclusively(async () => {
      await prepare?.()
      if (this.#closing) throw closed()
      const done = this.#queue.then(async () => {
        const { writer } = await this.#reopening.current()
        const entries = await readManifest(writer)
        const dayFiles = entries.map((entry) => join(days.path, fileNameOf(entry)))
        await this.#reopening.whileClosed((file) => work(file, dayFiles))
      })
      this.#queue = done.catch(() => undefined)
      await done.catch((thrown) => {
        throw changeError(thrown, 'store_corrupt')
      })
    })
  }

  /** After a change of closed days the writer looks for events where they are now. */
  async #changeDays<Answer>(
    writer: DuckDBConnection,
    memory: WriterMemory,
    work: (writer: DuckDBConnection) => Promise<Answer>,
  ): Promise<Answer> {
    const answer = await work(writer)
    memory.closed = await loadClosedKeys(writer)
    return answer
  }

  /** After a change of an erasure the writer reads again what it knows of the tables. */
  get #erasing(): ErasingContext {
    return {
      memoryBytes: this.#memoryBytes,
      database: () => this.#reopening.current(),
      onStep: this.#rewriting.onStep,
      ask: (question) => this.#ask(question),
      change: (change) =>
        this.#change(async (writer) => {
          const answer = await change(writer)
          this.#memory = await loadMemory(writer)
          return answer
        }, 'store_corrupt'),
      whileClosed: (work) => this.#whileClosed(work),
    }
  }

  async #changeNow<Answer>(
    change: (writer: DuckDBConnection, memory: WriterMemory) => Promise<Answer>,
    told: readonly ErrorCode[],
  ): Promise<Answer> {
    const database = await this.#reopening.current().catch((thrown) => {
      throw changeError(thrown)
    })
    const { writer } = database
    try {
      if (this.#memory?.connection !== writer) this.#memory = await loadMemory(writer)
      const answer = await change(writer, this.#memory)
      this.#lastReceivedAt = this.#memory.lastReceivedAt
      return answer
    } catch (thrown) {
      this.#memory = undefined
      // Rolling back fails where there is no transaction: the change did not come that far.
      await writer.run('ROLLBACK').catch(() => undefined)
      if (isFatal(thrown)) this.#reopening.replace(database)
      throw changeError(thrown, ...told)
    }
  }
}

/** @throws MillraceError `store_corrupt` when the file of a closed day is not what was written */
async function checkDays(connection: DuckDBConnection): Promise<void> {
  for (const entry of await readManifest(connection)) await daysOf(connection).check(entry)
}

/**
 * Whatever is wrong with the store is not the fault of a row: none may be given up for it. So only
 * what writes no rows is told of a damaged file, in `told`.
 */
function changeError(thrown: unknown, ...told: ErrorCode[]): MillraceError {
  if (isMillraceError(thrown, 'record_invalid', 'dead_letter_unknown', ...told)) return thrown
  return new MillraceError('store_unavailable', toError(thrown).message, { cause: thrown })
}

function closed(): MillraceError {
  return new MillraceError('store_unavailable', 'it is closed')
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0
}
