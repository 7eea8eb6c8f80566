import { randomUUID } from 'node:crypto'
import { readFileSync, readlinkSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { stat, utimes } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { MillraceError } from '../../event/error.ts'
import { type Clock, secondMs, systemClock } from '../../lib/clock.ts'
import { ensureFolder } from '../../lib/folder.ts'
import { isAbsent, unwritable } from './failure.ts'

/** What a partition's lock file says about its owner; JSON, so that people can read it. */
export interface Owner {
  /** Names the open log, not the process: two logs in one process are two owners. */
  readonly token: string
  readonly pid: number
  /** When the process started, as its system counts; null where that cannot be known. */
  readonly startedAt: string | null
  readonly host: string
  /** Where `pid` means something: this boot of this machine, and this process namespace. */
  readonly place: string
  /** For people: when the partition was taken. */
  readonly since: string
}

/** A partition that this log owns. */
export interface Ownership {
  readonly partition: number
  /** Tells the owners on other machines and in other containers that this one lives. */
  renew(): Promise<void>
  /** True while the lock file still names this owner. */
  isHeld(): boolean
  release(): Promise<void>
}

/** Runs `action` while no other process runs one; see `Groups.exclusively`. */
export type Exclusively = <T>(action: () => T) => Promise<T>

/** How often a lock is to be renewed, and after what silence the owner in another place is dead. */
export const renewMs = 5 * secondMs
const silenceMs = 30 * secondMs

/** More writing processes than this on one machine are a mistake. */
const partitionsMax = 1024

/** Who a log is, from what the system tells about this process. */
export function describeOwner(clock: Clock = systemClock): Owner {
  return {
    token: randomUUID(),
    pid: process.pid,
    startedAt: startOf(process.pid),
    host: hostname(),
    place: placeOfThisProcess(),
    since: new Date(clock()).toISOString(),
  }
}

/**
 * Takes the lowest-numbered partition that no living process owns.
 * @throws MillraceError `log_locked` when there is none, `log_unwritable`
 */
export async function takePartition(
  topicFolder: string,
  owner: Owner,
  exclusively: Exclusively,
): Promise<Ownership> {
  for (let partition = 0; partition < partitionsMax; partition++) {
    const ownership = await takeNumbered(topicFolder, partition, owner, exclusively)
    if (ownership !== undefined) return ownership
  }
  throw new MillraceError('log_locked', `all ${partitionsMax} partitions of ${topicFolder}`)
}

/** Takes one partition, or returns undefined when a living process owns it. */
export async function takeNumbered(
  topicFolder: string,
  partition: number,
  owner: Owner,
  exclusively: Exclusively,
): Promise<Ownership | undefined> {
  const folder = join(topicFolder, String(partition))
  const path = join(folder, 'lock')
  try {
    const silent = await isSilent(path)
    const taken = await exclusively(() => {
      const present = readOwner(path)
      if (present !== undefined && isAlive(present, owner, silent)) return false
      ensureFolder(folder)
      writeOwner(path, owner)
      return true
    })
    return taken ? ownershipOf(partition, path, owner, exclusively) : undefined
  } catch (thrown) {
    throw unwritable(path, thrown)
  }
}

/** Who owns a partition now, dead or alive; for messages. */
export function readOwner(path: string): Owner | undefined {
  try {
    const owner = JSON.parse(readFileSync(path, 'utf8')) as Owner
    return typeof owner.token === 'string' && typeof owner.pid === 'number' ? owner : undefined
  } catch (thrown) {
    // Lock files appear whole, by rename; one that is not JSON is what a power cut left.
    if (isAbsent(thrown) || thrown instanceof SyntaxError) return undefined
    throw thrown
  }
}

function ownershipOf(
  partition: number,
  path: string,
  owner: Owner,
  exclusively: Exclusively,
): Ownership {
  const isHeld = () => readOwner(path)?.token === owner.token
  return {
    partition,
    isHeld,
    async renew() {
      const now = new Date()
      await utimes(path, now, now)
    },
    async release() {
      await exclusively(() => {
        if (isHeld()) rmSync(path, { force: true })
      })
    },
  }
}

/**
 * A process of this place lives when its number does and, since numbers are used again, when it
 * started when the owner did. Of other places only the file's silence can tell.
 */
function isAlive(present: Owner, self: Owner, silent: boolean): boolean {
  if (present.place !== self.place) return !silent
  if (present.pid === self.pid && present.startedAt === self.startedAt) return true
  return isRunning(present.pid) && startOf(present.pid) === present.startedAt
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (thrown) {
    return (thrown as { code?: string }).code === 'EPERM'
  }
}

async function isSilent(path: string): Promise<boolean> {
  try {
    return Date.now() - (await stat(path)).mtimeMs > silenceMs
  } catch (thrown) {
    if (isAbsent(thrown)) return true
    throw thrown
  }
}

function writeOwner(path: string, owner: Owner): void {
  const temporary = `${path}.${owner.token}`
  writeFileSync(temporary, `${JSON.stringify(owner, null, 2)}\n`)
  renameSync(temporary, path)
}

/** Field 22 of /proc/PID/stat (proc(5)): clock ticks after boot. Null on other systems. */
function startOf(pid: number): string | null {
  const text = readText(`/proc/${pid}/stat`)
  if (text === undefined) return null
  // The second field is the command in parentheses, which may hold spaces and parentheses.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return fields[22 - 3] ?? null
}

function placeOfThisProcess(): string {
  const boot = readText('/proc/sys/kernel/random/boot_id')?.trim() ?? ''
  return [hostname(), boot, readLink('/proc/self/ns/pid') ?? ''].join(' ')
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

function readLink(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    return undefined
  }
}
