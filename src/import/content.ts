import { createReadStream, statSync } from 'node:fs'
import type { Transform } from 'node:stream'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { MillraceError } from '../event/error.ts'
import { toError } from '../lib/assert.ts'

/** The bytes of a file, decompressed where its first bytes say so; its name says nothing. */

/** A compressed chunk becomes at most a thousand times as much: 16 MiB in memory. */
const chunkBytes = 16 * 1024

/** A file being read. */
export interface Content {
  readonly chunks: AsyncIterable<Buffer>
  /** Bytes of the file read so far, and all. */
  readonly done: () => number
  readonly total: number
}

/** @throws MillraceError `import_unreadable` when there is no such file */
export function openContent(path: string): Content {
  const total = sizeOf(path)
  const stream = createReadStream(path, { highWaterMark: chunkBytes })
  return { chunks: decompress(stream, path), done: () => stream.bytesRead, total }
}

function sizeOf(path: string): number {
  try {
    const stats = statSync(path)
    if (!stats.isFile()) throw new Error(`${path} is no file`)
    return stats.size
  } catch (thrown) {
    throw new MillraceError('import_unreadable', toError(thrown).message, { cause: thrown })
  }
}

/** @throws MillraceError `import_broken` after the last bytes that could be read; `import_damaged` */
async function* decompress(
  stream: AsyncIterable<Buffer>,
  path: string,
): AsyncGenerator<Buffer, void, undefined> {
  let inflate: Inflate | undefined
  let isFirst = true
  try {
    for await (const chunk of stream) {
      if (isFirst) inflate = inflaterOf(chunk)
      isFirst = false
      if (inflate === undefined) yield chunk
      else yield* inflate.write(chunk)
    }
    if (inflate !== undefined) yield* inflate.end()
  } catch (thrown) {
    throw readError(toError(thrown), path)
  }
}

/**
 * What was cut off is sound up to there. Damage is another thing: until the decompressor sees it, or
 * the checksum at the end does, it gives out bytes that never were in the file.
 */
function readError(error: NodeJS.ErrnoException, path: string): MillraceError {
  const isDamage = error.code === 'Z_DATA_ERROR' || /^ZSTD_error/.test(error.code ?? '')
  const code = isDamage ? 'import_damaged' : 'import_broken'
  return new MillraceError(code, `${path}: ${error.message}`, { cause: error })
}

interface Inflate {
  write(chunk: Buffer): AsyncGenerator<Buffer, void, undefined>
  end(): AsyncGenerator<Buffer, void, undefined>
}

function inflaterOf(first: Buffer): Inflate | undefined {
  if (first[0] === 0x1f && first[1] === 0x8b) return inflateBy(createGunzip())
  if (first.length > 4 && first.readUInt32LE(0) === 0xfd2fb528) {
    return inflateBy(createZstdDecompress())
  }
  return undefined
}

/**
 * Not a pipe, which throws away what was decompressed but not read yet when the rest is broken: the
 * rows before the break count, and every reading must see the same of them.
 */
function inflateBy(transform: Transform): Inflate {
  const ready: Buffer[] = []
  let failure: Error | undefined
  transform.on('data', (chunk: Buffer) => ready.push(chunk))
  const failed = new Promise<void>((resolve) => {
    transform.once('error', (error) => {
      failure = error
      resolve()
    })
  })
  async function* drain(step: (done: () => void) => void) {
    await Promise.race([new Promise<void>(step), failed])
    yield* ready.splice(0)
    if (failure !== undefined) throw failure
  }
  return {
    write: (chunk) => drain((done) => transform.write(chunk, () => done())),
    end: () =>
      drain((done) => {
        transform.once('end', done)
        transform.end()
      }),
  }
}
