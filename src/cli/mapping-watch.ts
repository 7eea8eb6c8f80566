import { spawn } from 'node:child_process'
import { unwatchFile, watchFile } from 'node:fs'
import { registerHooks } from 'node:module'
import { fileURLToPath } from 'node:url'

/** `millrace mapping test --watch`: a process for each try, as no module can be imported anew. */

const watchIntervalMs = 200

/** What a try tells the process that watches. */
interface Told {
  /** Absolute paths of files on which its result depends. */
  readonly files: readonly string[]
}

/** Tries again, until SIGINT or SIGTERM, whenever one of `files`, or one of what a try tells of, changes. */
export async function watchTries(files: readonly string[]): Promise<void> {
  const watched = new Set<string>()
  const stopped = Promise.withResolvers<void>()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stopped.resolve)
  let running: Promise<void> | undefined
  let isDue = false
  const again = (): void => {
    isDue = true
    running ??= tryWhileDue().finally(() => {
      running = undefined
    })
  }
  const watch = (one: string): void => {
    if (watched.has(one)) return
    watched.add(one)
    watchFile(one, { interval: watchIntervalMs }, again)
  }
  const tryWhileDue = async (): Promise<void> => {
    while (isDue) {
      isDue = false
      await tryInProcess(watch)
    }
  }
  for (const one of files) watch(one)
  again()
  await stopped.promise
  for (const one of watched) unwatchFile(one)
  await running
}

function tryInProcess(watch: (file: string) => void): Promise<void> {
  const args = [...process.execArgv, ...process.argv.slice(1).filter((one) => one !== '--watch')]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  child.on('message', ({ files }: Told) => files.forEach(watch))
  return new Promise((resolve) => {
    child.once('error', () => resolve())
    child.once('close', () => resolve())
  })
}

/** Files of ours do not change while one writes a mapping. */
const ownFolder = new URL('..', import.meta.url).href

/**
 * Imports what `load` imports and tells a process that watches of the user's own files among it,
 * also when one of them cannot be read; `filesOf` names what the result depends on besides.
 */
export async function tellingFiles<Loaded>(
  load: () => Promise<Loaded>,
  filesOf: (loaded: Loaded) => readonly string[],
): Promise<Loaded> {
  if (process.send === undefined) return load()
  const files = new Set<string>()
  const hooks = registerHooks({
    load: (url, context, next) => {
      const isOwn = url.startsWith('file:') && !url.startsWith(ownFolder)
      if (isOwn && !url.includes('/node_modules/')) files.add(fileURLToPath(url))
      return next(url, context)
    },
  })
  try {
    const loaded = await load()
    for (const one of filesOf(loaded)) files.add(one)
    return loaded
  } finally {
    hooks.deregister()
    process.send({ files: [...files] } satisfies Told)
  }
}
