import { statSync } from 'node:fs'
import type { DuckDBConnection } from '@duckdb/node-api'
import { isMillraceError, MillraceError } from '../../event/error.ts'
import { toError } from '../../lib/assert.ts'
import { type Clock, systemClock } from '../../lib/clock.ts'
import type { Store } from '../store.ts'
import { type DatabaseOptions, isFatal, openError } from './database.ts'
import { readDeadLetter, readDeadLetters, setReplayed } from './dead-letters.ts'
import { countEvents, countRows, readEvents, readLogs, readPositions } from './questions.ts'
import { openReopening, type Reopening } from './reopening.ts'
import { deleteBefore, oldestKept } from './retention.ts'
import { loadMemory, type WriterMemory, writeBatch } from './write.ts'

export interface EmbeddedStoreOptions extends DatabaseOptions {
  /** For `lastWrittenAt` only: no clock decides where a row goes. */
  readonly clock?: Clock
}

/**
 * Opens the store of a folder, or makes it: one DuckDB file, owned by this process. What was
 * committed before a crash is replayed from the write-ahead log.
 * @throws MillraceError `store_locked` with the owner's process id, `store_version`,
 *   `store_corrupt`, `store_unavailable` (the disk is full, or the folder can't be written)
 */
export async function openEmbeddedStore(options: EmbeddedStoreOptions): Promise<Store> {
  const reopening = await openReopening(options)
  const { writer, file } = await reopening.current()
  try {
    return new EmbeddedStore(reopening, await loadMemory(writer), options.clock ?? systemClock)
  } catch (thrown) {
    await reopening.close()
    throw openError(thrown, file)
  }
}

class EmbeddedStore implements Store {
  readonly #reopening: Reopening
  readonly #clock: Clock
  /** Undefined after a failure: loaded at the next write. */
  #memory: WriterMemory | undefined
  #lastReceivedAt: number | null
  #lastWrittenAt: number | null = null
  /** The last change asked for; the next one waits for it. */
  #queue: Promise<unknown> = Promise.resolve()
  #closing: Promise<void> | undefined

  constructor(reopening: Reopening, memory: WriterMemory, clock: Clock) {
    this.#reopening = reopening
    this.#clock = clock
    this.#memory = memory
    this.#lastReceivedAt = memory.lastReceivedAt
  }

  positions: Store['positions'] = (log, topic) =>
    this.#ask((reader) => readPositions(reader, log, topic))

  logs: Store['logs'] = (topic) => this.#ask((reader) => readLogs(reader, topic))

  events: Store['events'] = (range, filter, page) =>
    this.#ask((reader) => readEvents(reader, range, filter, page))

  counts: Store['counts'] = (range, filter) =>
    this.#ask((reader) => countEvents(reader, range, filter))

  deadLetters: Store['deadLetters'] = (page) => this.#ask((reader) => readDeadLetters(reader, page))

  deadLetter: Store['deadLetter'] = (position) =>
    this.#ask((reader) => readDeadLetter(reader, position))

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
      // The writer may remember claims and agents that are gone.
      this.#memory = await loadMemory(writer)
      await writer.run('CHECKPOINT').catch((thrown) => {
        // A question under way can keep it from freeing the space; the next one will.
        if (isFatal(thrown)) throw thrown
      })
      return deleted.events
    })

  health: Store['health'] = async () => {
    const counted = await this.#ask(countRows)
    const { file } = await this.#reopening.current()
    return {
      ...counted,
      lastReceivedAt: this.#lastReceivedAt,
      lastWrittenAt: this.#lastWrittenAt,
      bytes: sizeOf(file) + sizeOf(`${file}.wal`),
    }
  }

  close: Store['close'] = () => {
    this.#closing ??= this.#queue.then(() => this.#reopening.close())
    return this.#closing
  }

  async #ask<Answer>(question: (reader: DuckDBConnection) => Promise<Answer>): Promise<Answer> {
    if (this.#closing) throw closed()
    const database = await this.#reopening.current()
    try {
      return await database.ask(question)
    } catch (thrown) {
      if (isFatal(thrown)) this.#reopening.replace(database)
      throw thrown
    }
  }

  /** Makes a change after those asked for before it; one that fails is rolled back and rejects. */
  #change<Answer>(
    change: (writer: DuckDBConnection, memory: WriterMemory) => Promise<Answer>,
  ): Promise<Answer> {
    if (this.#closing) return Promise.reject(closed())
    const done = this.#queue.then(() => this.#changeNow(change))
    this.#queue = done.catch(() => undefined)
    return done
  }

  async #changeNow<Answer>(
    change: (writer: DuckDBConnection, memory: WriterMemory) => Promise<Answer>,
  ): Promise<Answer> {
    const database = await this.#reopening.current().catch((thrown) => {
      throw changeError(thrown)
    })
    const { writer } = database
    try {
      this.#memory ??= await loadMemory(writer)
      const answer = await change(writer, this.#memory)
      this.#lastReceivedAt = this.#memory.lastReceivedAt
      return answer
    } catch (thrown) {
      this.#memory = undefined
      // Rolling back fails where there is no transaction: the change did not come that far.
      await writer.run('ROLLBACK').catch(() => undefined)
      if (isFatal(thrown)) this.#reopening.replace(database)
      throw changeError(thrown)
    }
  }
}

/** Whatever is wrong with the store is not the fault of a row: none may be given up for it. */
function changeError(thrown: unknown): MillraceError {
  if (isMillraceError(thrown, 'record_invalid', 'dead_letter_unknown')) return thrown
  return new MillraceError('store_unavailable', toError(thrown).message, { cause: thrown })
}

function closed(): MillraceError {
  return new MillraceError('store_unavailable', 'it is closed')
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0
}
