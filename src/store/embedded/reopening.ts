import { MillraceError } from '../../event/error.ts'
import { type Database, type DatabaseOptions, openDatabase } from './database.ts'

/**
 * The open database, and a new one when DuckDB has given up on it: after a failed sync or a full
 * disk it refuses everything until the file is opened again.
 */
export interface Reopening {
  /** @throws MillraceError when it can't be opened now; the next call tries again */
  readonly current: () => Promise<Database>
  /** Lets go of `broken`, if it is still the current one. */
  readonly replace: (broken: Database) => void
  /** Closes the database, runs `work` on its file and lets it be opened again; who asks waits. */
  readonly whileClosed: <Answer>(work: (file: string) => Promise<Answer>) => Promise<Answer>
  readonly close: () => Promise<void>
}

/** Opens the database; see `openDatabase` for what it throws. */
export async function openReopening(options: DatabaseOptions): Promise<Reopening> {
  let live: Database | undefined = await openDatabase(options)
  const { days } = live
  let opening: Promise<Database> | undefined
  let ending: Promise<void> = Promise.resolve()
  let isClosed = false

  async function reopen(): Promise<Database> {
    try {
      await ending
      live = await openDatabase(options, days)
      return live
    } finally {
      opening = undefined
    }
  }

  async function current(): Promise<Database> {
    if (isClosed) throw new MillraceError('store_unavailable', 'it is closed')
    if (live !== undefined) return live
    opening ??= reopen()
    return opening
  }

  return {
    current,
    replace(broken) {
      if (live !== broken) return
      live = undefined
      ending = broken.close()
    },
    async whileClosed(work) {
      const database = await current()
      live = undefined
      const done = database.close().then(() => work(database.file))
      ending = done.then(
        () => undefined,
        () => undefined,
      )
      return done
    },
    async close() {
      isClosed = true
      await opening?.catch(() => undefined)
      await ending
      await live?.close()
    },
  }
}
