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
  readonly close: () => Promise<void>
}

/** Opens the database; see `openDatabase` for what it throws. */
export async function openReopening(options: DatabaseOptions): Promise<Reopening> {
  let live: Database | undefined = await openDatabase(options)
  let opening: Promise<Database> | undefined
  let ending: Promise<void> = Promise.resolve()
  let isClosed = false

  async function reopen(): Promise<Database> {
    try {
      await ending
      live = await openDatabase(options)
      return live
    } finally {
      opening = undefined
    }
  }

  return {
    async current() {
      if (isClosed) throw new MillraceError('store_unavailable', 'it is closed')
      if (live !== undefined) return live
      opening ??= reopen()
      return opening
    },
    replace(broken) {
      if (live !== broken) return
      live = undefined
      ending = broken.close()
    },
    async close() {
      isClosed = true
      await opening?.catch(() => undefined)
      await ending
      await live?.close()
    },
  }
}
