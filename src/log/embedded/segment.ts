import { existsSync } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { syncPath } from '../../lib/sync.ts'
import type { Offset } from '../log.ts'
import { type BlockHead, decodeBlockHead } from './block.ts'
import { type Database, type Environment, openEnvironment } from './environment.ts'
import { isAbsent, unwritable } from './failure.ts'
import { lockSuffix, stateOfFile } from './header.ts'

/**
 * A partition is a folder of segments, each an LMDB file named by its first offset. An entry's key
 * is the offset of the first record of its block, 8 bytes big-endian.
 */

export interface SegmentSettings {
  /** Size at which the next segment is begun. */
  readonly segmentBytes: number
  readonly sync: boolean
}

/** A group that is larger than what is left of a segment still goes into it. */
const mapMarginBytes = 64 * 1024 * 1024
const aheadBytesMax = 1024 * 1024
const extension = '.mdb'
const offsetKeyBytes = 8

/** Written and committed to ask whether the disk takes anything; sorts before every offset. */
const probeKey = Buffer.from([0])

export function segmentPath(folder: string, first: Offset): string {
  return join(folder, `${String(first).padStart(16, '0')}${extension}`)
}

/** The first offsets of the segments in a partition's folder, rising; none when it does not exist. */
export async function listSegments(folder: string): Promise<Offset[]> {
  return (await namesIn(folder))
    .filter((name) => /^\d{16}\.mdb$/.test(name))
    .map((name) => Number(name.slice(0, -extension.length)) as Offset)
    .sort((a, b) => a - b)
}

/** Opens a segment to read; undefined when it is gone, or so new that nothing is in it yet. */
export async function openSegment(
  folder: string,
  first: Offset,
  settings: SegmentSettings,
): Promise<Environment | undefined> {
  const path = segmentPath(folder, first)
  if (stateOfFile(path) !== 'whole') return undefined
  return openEnvironment(path, { ...environmentOptions(settings), writable: false })
}

/**
 * Opens a segment to write; makes it when it is not there, and anew when a crash left it half made.
 * @throws MillraceError `log_corrupt`, `log_version`, `log_unwritable`
 */
export async function openSegmentForWriting(
  folder: string,
  first: Offset,
  settings: SegmentSettings,
): Promise<Environment> {
  const path = segmentPath(folder, first)
  if (stateOfFile(path) === 'unborn') await removeSegment(folder, first)
  const options = { ...environmentOptions(settings), writable: true }
  const environment = await openEnvironment(path, options)
  try {
    await syncPath(folder)
    return environment
  } catch (thrown) {
    await environment.close()
    throw unwritable(path, thrown)
  }
}

/** Unlinks a segment; who has it open reads on. */
export async function removeSegment(folder: string, first: Offset): Promise<void> {
  const path = segmentPath(folder, first)
  await rm(path, { force: true })
  await rm(path + lockSuffix, { force: true })
}

/** Removes what a crash left of files being made or unlinked. For the owner only. */
export async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await namesIn(folder)) {
    const isOrphan =
      name.endsWith(extension + lockSuffix) &&
      !existsSync(join(folder, name.slice(0, -lockSuffix.length)))
    if (isOrphan || /^\d{16}\.mdb\.[^/]+$|^lock\./.test(name)) {
      await rm(join(folder, name), { force: true })
    }
  }
}

/** The block that begins at `offset`. */
export function blockAt(database: Database, offset: Offset): Buffer | undefined {
  const block = database.getBinary(offsetKey(offset))
  return block && plain(block)
}

/** The last block that begins at or before `offset`. */
export function blockBefore(database: Database, offset: Offset): Buffer | undefined {
  const range = database.getRange({ start: offsetKey(offset), reverse: true, limit: 1 })
  for (const { key, value } of range) {
    if (key.byteLength === offsetKeyBytes) return plain(value)
  }
  return undefined
}

/** The head of the newest block, or undefined when there is none. */
export async function newestBlock(environment: Environment): Promise<BlockHead | undefined> {
  const block = await environment.use((database) =>
    blockBefore(database, Number.MAX_SAFE_INTEGER as Offset),
  )
  return block && decodeBlockHead(block, environment.path)
}

/** The head of the oldest block, or undefined when there is none. */
export async function oldestBlock(environment: Environment): Promise<BlockHead | undefined> {
  const block = await environment.use((database) => {
    for (const { value } of database.getRange({ start: offsetKey(0 as Offset), limit: 1 })) {
      return plain(value)
    }
    return undefined
  })
  return block && decodeBlockHead(block, environment.path)
}

/** Writes a block; false when there is one at this offset already. Resolves after the sync. */
export async function putBlock(
  environment: Environment,
  first: Offset,
  block: Buffer,
): Promise<boolean> {
  await environment.reserve(block.byteLength)
  return environment.use((database) =>
    database.put(offsetKey(first), block, { noOverwrite: true } as never),
  )
}

/** Commits something that is no record. */
export async function putProbe(environment: Environment, now: number): Promise<boolean> {
  const value = Buffer.alloc(8)
  value.writeDoubleLE(now)
  await environment.reserve(value.byteLength)
  return environment.use((database) => database.put(probeKey, value))
}

function environmentOptions(settings: SegmentSettings) {
  const { segmentBytes, sync } = settings
  const aheadBytes = Math.min(aheadBytesMax, Math.ceil(segmentBytes / 8))
  return { mapBytes: segmentBytes + mapMarginBytes, aheadBytes, sync }
}

function offsetKey(offset: Offset): Buffer {
  const key = Buffer.allocUnsafe(offsetKeyBytes)
  key.writeUInt32BE(Math.floor(offset / 2 ** 32), 0)
  key.writeUInt32BE(offset % 2 ** 32, 4)
  return key
}

/** LMDB's reusable buffers have a `length` of their own; a view of the same bytes has not. */
function plain(bytes: Buffer): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (thrown) {
    if (isAbsent(thrown)) return []
    throw unwritable(folder, thrown)
  }
}
