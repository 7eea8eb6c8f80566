import { randomUUID } from 'node:crypto'
import { open, readFile, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { MillraceError } from '../event/error.ts'
import { ensureFolder } from '../lib/folder.ts'
import { syncPath } from '../lib/sync.ts'

/** Items that must not be recommended, from a moment on; kept in a file of the data folder. */
export interface Visibility {
  readonly isHidden: (itemId: string, nowMs: number) => boolean
  /**
   * Durable when it resolves. The last word on an item counts.
   * @param fromMs ms since 1970: from when on, such as the end of an offer
   * @throws MillraceError `question_invalid` beyond `hiddenMax` items
   */
  readonly hide: (itemId: string, fromMs: number) => Promise<void>
  /** Shows it again; false when it was not hidden. */
  readonly show: (itemId: string) => Promise<boolean>
  /** In the order in which they were hidden. */
  readonly list: () => readonly HiddenItem[]
}

export interface HiddenItem {
  readonly itemId: string
  /** ms since 1970. */
  readonly fromMs: number
}

/** More is a catalogue, not a list of exceptions. */
const hiddenMax = 100_000

/** @throws MillraceError `config_invalid` when the file is none that this wrote */
export async function openVisibility(path: string): Promise<Visibility> {
  let hidden = await readHidden(path)
  let writing: Promise<unknown> = Promise.resolve()

  /** One after the other; what is answered from changes when the file has. */
  function change<Result>(make: (next: Map<string, number>) => Result): Promise<Result> {
    const done = writing.then(async () => {
      const next = new Map(hidden)
      const result = make(next)
      await writeHidden(path, next)
      hidden = next
      return result
    })
    writing = done.catch(() => {})
    return done
  }

  return {
    isHidden: (itemId, nowMs) => (hidden.get(itemId) ?? Number.POSITIVE_INFINITY) <= nowMs,
    hide: (itemId, fromMs) =>
      change((next) => {
        if (next.size >= hiddenMax && !next.has(itemId)) {
          throw new MillraceError('question_invalid', `${hiddenMax} items are hidden, the most`)
        }
        next.set(itemId, fromMs)
      }),
    show: (itemId) => change((next) => next.delete(itemId)),
    list: () => [...hidden].map(([itemId, fromMs]) => ({ itemId, fromMs })),
  }
}

async function readHidden(path: string): Promise<ReadonlyMap<string, number>> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return new Map()
    throw thrown
  }
  try {
    const entries = JSON.parse(text) as unknown
    if (Array.isArray(entries) && entries.every(isEntry)) return new Map(entries)
  } catch {
    // Said below.
  }
  throw new MillraceError('config_invalid', `${path} is no list of hidden items`)
}

function isEntry(value: unknown): value is [string, number] {
  return Array.isArray(value) && typeof value[0] === 'string' && Number.isSafeInteger(value[1])
}

/** Whole or not at all, also when the power fails. */
async function writeHidden(path: string, hidden: ReadonlyMap<string, number>): Promise<void> {
  ensureFolder(dirname(path))
  const temporary = `${path}.${randomUUID()}`
  const file = await open(temporary, 'w')
  try {
    await file.writeFile(JSON.stringify([...hidden]))
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, path)
  await syncPath(dirname(path))
}
