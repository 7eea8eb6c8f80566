import { inflateRawSync, zstdDecompressSync } from 'node:zlib'
import avro from 'avsc'
import { MillraceError } from '../event/error.ts'
import { toError } from '../lib/assert.ts'

/**
 * Avro's object container files, as Divolte's file sinks write them:
 *
 *   `Obj` 1, metadata (a map of bytes: `avro.schema`, `avro.codec`), 16 bytes of sync marker, then
 *   blocks: number of records (long), number of bytes (long), the records, the sync marker
 *
 * Read here and not by avsc's stream, which gives no bytes of a record, holds no limit, and throws
 * away the records before a break.
 */

export interface Container {
  /** The text of the schema that wrote the records. */
  readonly schema: string
  /** The records of a block: their bytes. */
  readonly blocks: AsyncIterable<readonly Uint8Array[]>
}

/** Divolte's blocks have 64 KiB; whatever needs more at once is refused. */
const blockBytesMax = 64 * 1024 * 1024
const headerBytesMax = 1024 * 1024

const magic = Buffer.from('Obj\u0001', 'latin1')
const long = avro.Type.forSchema('long' as never)
const metadata = avro.Type.forSchema({ type: 'map', values: 'bytes' } as never)

const codecs: Readonly<Record<string, (block: Uint8Array) => Uint8Array>> = {
  null: (block) => block,
  deflate: (block) => inflateRawSync(block, { maxOutputLength: blockBytesMax }),
  zstandard: (block) => zstdDecompressSync(block, { maxOutputLength: blockBytesMax }),
}

/**
 * Reads the header; the blocks are read as they are asked for.
 * @throws MillraceError `import_broken` when it is no container file, or one of a codec that we lack
 */
export async function openContainer(chunks: AsyncIterable<Uint8Array>): Promise<Container> {
  const input = createInput(chunks)
  const start = await input.take(magic.length)
  if (!magic.equals(start)) throw broken('it does not begin like an Avro container file')
  const meta = (await input.decode(metadata, headerBytesMax)) as Record<string, Buffer>
  const sync = Buffer.from(await input.take(16))
  const schema = meta['avro.schema']?.toString() ?? ''
  const codec = meta['avro.codec']?.toString() ?? 'null'
  const decompress = Object.hasOwn(codecs, codec) ? codecs[codec] : undefined
  if (decompress === undefined) {
    throw broken(`its codec is ${codec}, where ${Object.keys(codecs).join(', ')} can be read`)
  }
  const type = typeOf(schema)
  return { schema, blocks: blocksOf(input, type, decompress, sync) }
}

function typeOf(schema: string): avro.Type {
  try {
    return avro.Type.forSchema(JSON.parse(schema) as never)
  } catch (thrown) {
    throw broken(`its schema cannot be read: ${toError(thrown).message}`)
  }
}

async function* blocksOf(
  input: Input,
  type: avro.Type,
  decompress: (block: Uint8Array) => Uint8Array,
  sync: Buffer,
): AsyncGenerator<readonly Uint8Array[], void, undefined> {
  for (let block = 0; !(await input.isAtEnd()); block++) {
    const where = `block ${block}`
    const count = (await input.decode(long, 16)) as number
    const size = (await input.decode(long, 16)) as number
    if (count < 0 || size < 0 || size > blockBytesMax) {
      throw broken(`${where} would have ${count} records and ${size} bytes`)
    }
    const compressed = await input.take(size)
    if (!sync.equals(await input.take(16))) throw broken(`${where} does not end with its marker`)
    yield recordsOf(inflate(decompress, compressed, where), count, type, where)
  }
}

function inflate(
  decompress: (block: Uint8Array) => Uint8Array,
  compressed: Uint8Array,
  where: string,
): Buffer {
  try {
    const bytes = decompress(compressed)
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  } catch (thrown) {
    throw broken(`${where}: ${toError(thrown).message}`)
  }
}

/** Where one record ends is known only by decoding it. */
function recordsOf(block: Buffer, count: number, type: avro.Type, where: string): Uint8Array[] {
  const records: Uint8Array[] = []
  let from = 0
  for (let index = 0; index < count; index++) {
    const { offset } = type.decode(block, from)
    if (offset < 0) throw broken(`${where} ends in its record ${index}`)
    records.push(block.subarray(from, offset))
    from = offset
  }
  return records
}

function broken(detail: string): MillraceError {
  return new MillraceError('import_broken', detail)
}

/** Bytes that are taken as they come. */
interface Input {
  isAtEnd(): Promise<boolean>
  /** Exactly `size` bytes. @throws MillraceError `import_broken` when there are fewer */
  take(size: number): Promise<Buffer>
  /** One value. @throws MillraceError `import_broken` when it has more than `bytesMax` bytes */
  decode(type: avro.Type, bytesMax: number): Promise<unknown>
}

function createInput(chunks: AsyncIterable<Uint8Array>): Input {
  const iterator = chunks[Symbol.asyncIterator]()
  let bytes = Buffer.alloc(0)

  /** Fetches until there are `size` bytes; false when the input ends before. */
  async function fill(size: number): Promise<boolean> {
    const parts = [bytes]
    let length = bytes.length
    while (length < size) {
      const { value, done } = await iterator.next()
      if (done === true) break
      parts.push(Buffer.from(value))
      length += value.byteLength
    }
    if (parts.length > 1) bytes = Buffer.concat(parts, length)
    return length >= size
  }

  async function take(size: number): Promise<Buffer> {
    if (!(await fill(size))) throw broken('it ends too early')
    const taken = bytes.subarray(0, size)
    bytes = bytes.subarray(size)
    return taken
  }

  return {
    isAtEnd: async () => !(await fill(1)),
    take,
    async decode(type, bytesMax) {
      for (let size = Math.min(16, bytesMax); ; size = Math.min(2 * size, bytesMax)) {
        const isWhole = await fill(size)
        const { value, offset } = type.decode(bytes, 0) as { value: unknown; offset: number }
        if (offset >= 0) {
          await take(offset)
          return value
        }
        if (!isWhole || size >= bytesMax) throw broken('its header cannot be read')
      }
    },
  }
}
