import { abandonedMs, takenMs } from './delivery-limits.ts'
import { makePageViewId } from './party.ts'
import type { Page } from './tag.ts'

/** The events of this page in localStorage, for a page that comes later when this one cannot. */
export interface StoredQueue {
  /** Becomes the owner of this page's queue; false when the browser stores nothing here. */
  readonly open: () => boolean
  /**
   * Replaces what is stored. `dueMs`: now, or until when the collector wants to be left alone. A
   * full storage keeps the old.
   */
  readonly write: (events: readonly string[], dueMs: number) => void
  /** What is stored; another page may have taken it. */
  readonly read: (take: Take) => void
  /**
   * Gives the queues of pages that are gone to `take`, and removes each then; before that, at once,
   * the due time of every queue.
   */
  readonly adopt: (take: Take) => void
  /** Lets other pages take this page's queue. */
  readonly close: () => void
  /** Removes the queues of all pages; a lock that was waited for then finds nothing to take. */
  readonly clear: () => void
}

type Take = (events: string[], dueMs: number) => void

/**
 * Each page writes an entry of its own, so that no two ever change the same one, and holds the lock
 * of its name. An entry whose lock is free has lost its page: whoever gets the lock takes it over.
 * The entry is the due time and the query strings, one a line.
 */
export function createStoredQueue(page: Page, eventUrl: string): StoredQueue {
  const prefix = `_dvq ${eventUrl} `
  const ownName = prefix + makePageViewId(page)
  const { locks } = page.navigator as { locks?: LockManager }
  let storage: Storage | undefined
  let unlock = ignore

  /** Some browsers throw for a page that may store nothing, at `localStorage` itself. */
  function attempt(action: (storage: Storage) => void): void {
    try {
      action(storage || page.localStorage)
    } catch {}
  }

  function readEntry(name: string, take: Take): void {
    const [dueMs, ...events] = ((storage as Storage).getItem(name) || '').split('\n')
    take(events, Number(dueMs))
  }

  /** Resolves when every page knows that it is taken. */
  async function adoptEntry(name: string, take: Take): Promise<void> {
    if (!storage) return
    readEntry(name, take)
    storage.removeItem(name)
    // A page that listed it before would read it again: browsers tell of locks and removals apart.
    await new Promise((resolve) => page.setTimeout(resolve, takenMs))
  }

  return {
    open: () => {
      attempt((opened) => {
        storage = opened
        // A page with a lock may be kept out of the back/forward cache: `close` gives it up.
        locks?.request(ownName, () => new Promise<void>((free) => (unlock = free))).catch(ignore)
      })
      return !!storage
    },
    write: (events, dueMs) => {
      if (!storage) return
      attempt((storage) => {
        if (events.length) storage.setItem(ownName, [dueMs, ...events].join('\n'))
        else storage.removeItem(ownName)
      })
    },
    read: (take) => readEntry(ownName, take),
    adopt: (take) => {
      if (!storage) return
      const oldestMs = Date.now() - abandonedMs
      for (const name of namesIn(storage, prefix)) {
        if (name === ownName) continue
        readEntry(name, (_, dueMs) => {
          take([], dueMs)
          if (locks) {
            const hold = (lock: Lock | null) => lock && adoptEntry(name, take)
            locks.request(name, { ifAvailable: true }, hold).catch(ignore)
          } else if (dueMs < oldestMs) void adoptEntry(name, take)
        })
      }
    },
    close: () => unlock(),
    clear: () => {
      attempt((storage) => {
        for (const name of namesIn(storage, prefix)) storage.removeItem(name)
      })
      storage = undefined
      unlock()
    },
  }
}

function namesIn(storage: Storage, prefix: string): string[] {
  return Object.keys(storage).filter((name) => name.startsWith(prefix))
}

function ignore(): void {}
