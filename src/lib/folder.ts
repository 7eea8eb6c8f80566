import { mkdirSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

/**
 * Makes a folder and those above it that are missing. Not `mkdir` with `recursive`, which tries for
 * ever where the folder above exists and takes no new one (as under /proc).
 * @throws Error of the file system (`ENOENT`, `EACCES`, `ENOTDIR`, `EEXIST` for a file in the way …)
 */
export function ensureFolder(path: string): void {
  const missing: string[] = []
  let folder = resolve(path)
  while (!isFolder(folder)) {
    missing.push(folder)
    folder = dirname(folder)
  }
  for (const name of missing.reverse()) makeFolder(name)
}

/** Another process may make the same folder at the same time. */
function makeFolder(path: string): void {
  try {
    mkdirSync(path)
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'EEXIST' || !isFolder(path)) throw thrown
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}
