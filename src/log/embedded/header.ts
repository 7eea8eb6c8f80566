import { randomUUID } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fstatSync,
  linkSync,
  openSync,
  readSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { MillraceError } from '../../event/error.ts'
import { isAbsent, isPresent, unwritable } from './failure.ts'

/**
 * What has to be made sure of before LMDB opens a file, because it does not survive finding it out:
 * lmdb 3.5.6 uses freed memory after a failed opening (EnvWrap::openEnv deletes the environment's
 * context, closeEnv then locks a mutex in it); a mapped page beyond the end of a file, or a mapped
 * hole that a full disk cannot fill, kills the process with SIGBUS; and a write that fails makes
 * LMDB compose an error text that is longer than the memory it has for it (mdb_page_flush).
 */

/** Page size of the files that we make. */
export const pageBytes = 4096

/** What LMDB writes when it makes a file: its two meta pages. Larger files have had a commit. */
export const createdBytes = 2 * pageBytes

/** How a file stands: `unborn` has no commit in it, and cannot be read. */
export type FileState = 'absent' | 'unborn' | 'whole'

/** LMDB's lock file has 8,272 bytes by default; a longer one has room for more readers. */
const lockFileBytes = 3 * pageBytes
export const lockSuffix = '-lock'

/** LMDB opens the data file twice, and the lock file. */
const descriptorsNeeded = 4

/** Of mdb.c: MDB_page's flags, then MDB_meta, in the byte order of the machine, little-endian here. */
const Field = {
  flags: 18,
  magic: 24,
  version: 28,
  pageSize: 48,
  lastPage: 144,
  txnid: 152,
} as const
const metaFlag = 8
const magic = 0xbeefc0de
const dataVersion = 2

/**
 * Looks at a file before LMDB does; `unborn` files are those a crash or a power cut left.
 * @throws MillraceError `log_corrupt`, `log_version`, `log_unwritable` naming the file
 */
export function stateOfFile(path: string): FileState {
  try {
    const { head, size } = readHead(path)
    return stateOfHead(head, size, path)
  } catch (thrown) {
    if (isAbsent(thrown)) return 'absent'
    throw unwritable(path, thrown)
  }
}

/**
 * Lengthens a file by zeros: where the disk has none left this fails, and not LMDB. It only ever
 * appends, as another process may be lengthening the file too. Returns its length.
 * @throws MillraceError `log_unwritable`
 */
export function lengthen(path: string, bytes: number): number {
  try {
    const descriptor = openSync(path, 'a')
    try {
      const missing = bytes - fstatSync(descriptor).size
      if (missing > 0) writeAll(descriptor, Buffer.alloc(missing))
      return fstatSync(descriptor).size
    } finally {
      closeSync(descriptor)
    }
  } catch (thrown) {
    throw unwritable(path, thrown)
  }
}

/** Gives back what a file that is written no more was lengthened by and did not need. */
export function trim(path: string): void {
  try {
    truncateSync(path, bytesNeeded(readHead(path).head))
  } catch (thrown) {
    throw unwritable(path, thrown)
  }
}

/**
 * Makes the lock file, with all its bytes on the disk, and whole at once: another process may be
 * about to open it. A reader that may not write does without one.
 */
export function prepareLockFile(path: string, isWriter: boolean): void {
  const lock = path + lockSuffix
  if (existsSync(lock)) return
  const temporary = `${lock}.${randomUUID()}`
  try {
    writeFileSync(temporary, Buffer.alloc(lockFileBytes))
    linkSync(temporary, lock)
  } catch (thrown) {
    const { code } = thrown as { code?: string }
    const isForbidden = code === 'EACCES' || code === 'EROFS'
    if (!isPresent(thrown) && (isWriter || !isForbidden)) throw unwritable(lock, thrown)
  } finally {
    rmSync(temporary, { force: true })
  }
}

/** @throws MillraceError `log_unwritable` when LMDB would run out of file descriptors */
export function checkDescriptors(path: string): void {
  const descriptors: number[] = []
  try {
    for (let index = 0; index < descriptorsNeeded; index++) descriptors.push(openSync(path, 'r'))
  } catch (thrown) {
    throw unwritable(path, thrown)
  } finally {
    for (const descriptor of descriptors) closeSync(descriptor)
  }
}

function readHead(path: string): { head: Buffer; size: number } {
  const descriptor = openSync(path, 'r')
  try {
    const head = Buffer.alloc(createdBytes)
    const bytes = readSync(descriptor, head, 0, createdBytes, 0)
    // After the read: a writer lengthens the file before its meta page says so.
    return { head: head.subarray(0, bytes), size: fstatSync(descriptor).size }
  } finally {
    closeSync(descriptor)
  }
}

function stateOfHead(head: Buffer, size: number, path: string): FileState {
  const isMade = head.byteLength === createdBytes && head.readUInt32LE(Field.magic) === magic
  if (!isMade && size <= createdBytes) return 'unborn'
  if (!isMade) throw new MillraceError('log_corrupt', `${path} is not a log file`)
  for (const meta of metasOf(head)) {
    const version = meta.readUInt32LE(Field.version) & 0xffff
    if (version !== dataVersion) {
      throw new MillraceError('log_version', `${path} has the LMDB data format ${version}`)
    }
    const isMeta = (meta.readUInt16LE(Field.flags) & metaFlag) !== 0
    const isOurs = meta.readUInt32LE(Field.pageSize) === pageBytes
    if (!isMeta || !isOurs || meta.readUInt32LE(Field.magic) !== magic) {
      throw new MillraceError('log_corrupt', `${path} has a damaged meta page`)
    }
  }
  const needed = bytesNeeded(head)
  if (size >= needed) return 'whole'
  throw new MillraceError('log_corrupt', `${path} has ${size} bytes of at least ${needed}`)
}

function metasOf(head: Buffer): readonly [Buffer, Buffer] {
  return [head.subarray(0, pageBytes), head.subarray(pageBytes)]
}

/** The bytes up to the last page in use, by the meta page of the newest commit. */
function bytesNeeded(head: Buffer): number {
  const [even, odd] = metasOf(head)
  const newest = numberAt(odd, Field.txnid) > numberAt(even, Field.txnid) ? odd : even
  return (numberAt(newest, Field.lastPage) + 1) * pageBytes
}

function numberAt(bytes: Buffer, at: number): number {
  return Number(bytes.readBigUInt64LE(at))
}

function writeAll(descriptor: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.byteLength; ) at += writeSync(descriptor, bytes, at)
}
