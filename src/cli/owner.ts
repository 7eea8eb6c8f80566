import { chmod, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ensureFolder } from '../lib/folder.ts'

/**
 * The owner of a data folder is the process that has its store open. It writes where its API
 * listens and a token of this run into `owner.json` (mode 0600), for the commands of this user.
 */
export interface Owner {
  readonly pid: number
  readonly url: string
  /** Accepted by the API for this run only. */
  readonly token: string
  /** ISO 8601. */
  readonly startedAt: string
}

/** Writes the owner's file whole or not at all. */
export async function writeOwner(folder: string, owner: Owner): Promise<void> {
  ensureFolder(folder)
  const temporary = join(folder, `owner.${owner.pid}.tmp`)
  await writeFile(temporary, `${JSON.stringify(owner)}\n`, { mode: 0o600 })
  await chmod(temporary, 0o600)
  await rename(temporary, ownerFile(folder))
}

/** Removes the file if it is still this process's. */
export async function removeOwner(folder: string, pid: number): Promise<void> {
  const owner = await readOwnerFile(folder)
  if (owner?.pid === pid) await rm(ownerFile(folder), { force: true })
}

/** The owner of the folder, or undefined when the file is absent, unreadable or left by a dead process. */
export async function readOwner(folder: string): Promise<Owner | undefined> {
  const owner = await readOwnerFile(folder)
  return owner !== undefined && isAlive(owner.pid) ? owner : undefined
}

async function readOwnerFile(folder: string): Promise<Owner | undefined> {
  try {
    const owner = JSON.parse(await readFile(ownerFile(folder), 'utf8')) as Owner
    return typeof owner.pid === 'number' && typeof owner.url === 'string' ? owner : undefined
  } catch {
    return undefined
  }
}

function ownerFile(folder: string): string {
  return join(folder, 'owner.json')
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (thrown) {
    // A process of another user exists all the same.
    return (thrown as NodeJS.ErrnoException).code === 'EPERM'
  }
}
