import { crc32 } from 'node:zlib'
import { MillraceError } from '../../event/error.ts'
import type { AppendRecord, LogRecord, Offset } from '../log.ts'

/** What one commit wrote: contiguous records, packed into one entry of a segment. */
export interface Block {
  readonly first: Offset
  /** The offset after the last record; equal to `first` in a block that only seals. */
  readonly end: Offset
  /** ms since 1970, by the writer's clock. */
  readonly appendedAt: number
  /** True for the last block of its segment: the next segment begins at `end`. */
  readonly sealed: boolean
  readonly records: readonly LogRecord[]
}

/** The head of a block, which costs nothing to read. */
export type BlockHead = Omit<Block, 'records'>

const plainVersion = 1
/** Of a block in which records have headers, which version 1 has no room for. */
const headersVersion = 2
const sealedFlag = 1
const headBytes = 28
const indexEntryBytes = 10
const headersLengthBytes = 4
/** Longest UTF-8 form of one UTF-16 code unit. */
const utf8BytesPerUnitMax = 3

/** At most how many bytes a record takes in a block, its schema aside. */
export function blockBytesOf(record: AppendRecord): number {
  const keyBytesMax = record.key.length * utf8BytesPerUnitMax
  const headersBytesMax = besideOf(record).length * utf8BytesPerUnitMax
  return (
    indexEntryBytes + headersLengthBytes + keyBytesMax + headersBytesMax + record.value.byteLength
  )
}

/** What a record has beside its value, as JSON; '' of a record that has nothing. */
function besideOf({ headers, copyTo }: AppendRecord): string {
  return headers === undefined && copyTo === undefined ? '' : JSON.stringify({ headers, copyTo })
}

/**
 * Packs records into one block. Numbers are little-endian:
 *
 *     crc      u32   CRC-32 of every byte after it
 *     version  u8    1, or 2 when a record has headers
 *     flags    u8    1: this is the last block of its segment
 *     schemas  u16   how many schemas the records have
 *     count    u32   how many records
 *     at       f64   ms since 1970
 *     first    f64   offset of the first record; equals the entry's key
 *     schemas ×  { length u8, fingerprint ascii }
 *     count   ×  { schema u16 (its place in the list above), key length u32, value length u32 }
 *                  in version 2 also headers length u32
 *     count   ×  { key utf-8, in version 2 { headers, copyTo } as JSON, value }
 *
 * The lengths stand apart from the bytes so that a record is found without reading those before it.
 */
export function encodeBlock(
  records: readonly AppendRecord[],
  first: Offset,
  appendedAt: number,
  sealed: boolean,
): Buffer {
  const schemas = schemasOf(records)
  const buffer = Buffer.allocUnsafeSlow(sizeBound(records, schemas))
  const beside = records.some(hasHeaders) ? records.map(besideOf) : undefined
  const entryBytes = indexEntryBytes + (beside === undefined ? 0 : headersLengthBytes)
  buffer[4] = beside === undefined ? plainVersion : headersVersion
  buffer[5] = sealed ? sealedFlag : 0
  buffer.writeUInt16LE(schemas.length, 6)
  buffer.writeUInt32LE(records.length, 8)
  buffer.writeDoubleLE(appendedAt, 12)
  buffer.writeDoubleLE(first, 20)
  let at = headBytes
  for (const schema of schemas) {
    buffer[at] = schema.length
    buffer.write(schema, at + 1, 'latin1')
    at += 1 + schema.length
  }
  let bytesAt = at + records.length * entryBytes
  for (const [index, record] of records.entries()) {
    const keyBytes = buffer.write(record.key, bytesAt, 'utf8')
    buffer.writeUInt16LE(schemas.length === 1 ? 0 : schemas.indexOf(record.schema), at)
    buffer.writeUInt32LE(keyBytes, at + 2)
    buffer.writeUInt32LE(record.value.byteLength, at + 6)
    bytesAt += keyBytes
    if (beside !== undefined) {
      const besideBytes = buffer.write(beside[index] as string, bytesAt, 'utf8')
      buffer.writeUInt32LE(besideBytes, at + indexEntryBytes)
      bytesAt += besideBytes
    }
    buffer.set(record.value, bytesAt)
    at += entryBytes
    bytesAt += record.value.byteLength
  }
  const block = buffer.subarray(0, bytesAt)
  block.writeUInt32LE(crc32(block.subarray(4)), 0)
  return block
}

/** Reads the head of a block without looking at its checksum; `file` names it in errors. */
export function decodeBlockHead(block: Buffer, file: string): BlockHead {
  if (block.byteLength < headBytes) throw damaged(file, 'a block is cut short')
  const version = block[4]
  const first = block.readDoubleLE(20)
  if (version !== plainVersion && version !== headersVersion) {
    throw new MillraceError('log_version', `${file} has a block of version ${version}`)
  }
  return {
    first: first as Offset,
    end: (first + block.readUInt32LE(8)) as Offset,
    appendedAt: block.readDoubleLE(12),
    sealed: ((block[5] as number) & sealedFlag) !== 0,
  }
}

/**
 * Throws unless the block's bytes are those that were written.
 * @throws MillraceError `log_corrupt` with the file and the offset
 */
export function checkBlock(block: Buffer, offset: Offset, file: string): void {
  if (block.byteLength < headBytes)
    throw damaged(file, `the block at offset ${offset} is cut short`)
  if (crc32(block.subarray(4)) !== block.readUInt32LE(0)) {
    throw damaged(file, `the checksum of the block at offset ${offset} does not match`)
  }
  if (block.readDoubleLE(20) !== offset) {
    throw damaged(file, `the block at offset ${offset} says that it is another`)
  }
}

/** Reads a block whose bytes are known to be good. Values are views of `block`, not copies. */
export function decodeBlock(block: Buffer, file: string): Block {
  const head = decodeBlockHead(block, file)
  const schemas: string[] = []
  let at = headBytes
  for (let left = block.readUInt16LE(6); left > 0; left--) {
    const length = block[at] as number
    schemas.push(block.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  const count = head.end - head.first
  const records = new Array<LogRecord>(count)
  const isPlain = block[4] === plainVersion
  const entryBytes = indexEntryBytes + (isPlain ? 0 : headersLengthBytes)
  let bytesAt = at + count * entryBytes
  for (let index = 0; index < count; index++) {
    const keyEnd = bytesAt + block.readUInt32LE(at + 2)
    const valueAt = isPlain ? keyEnd : keyEnd + block.readUInt32LE(at + indexEntryBytes)
    const valueEnd = valueAt + block.readUInt32LE(at + 6)
    const record = {
      offset: (head.first + index) as Offset,
      key: block.toString('utf8', bytesAt, keyEnd),
      value: block.subarray(valueAt, valueEnd),
      schema: schemas[block.readUInt16LE(at)] as string,
    }
    records[index] =
      valueAt === keyEnd
        ? record
        : { ...record, ...(JSON.parse(block.toString('utf8', keyEnd, valueAt)) as Beside) }
    at += entryBytes
    bytesAt = valueEnd
  }
  return { ...head, records }
}

type Beside = Pick<AppendRecord, 'headers' | 'copyTo'>

function hasHeaders({ headers, copyTo }: AppendRecord): boolean {
  return headers !== undefined || copyTo !== undefined
}

function schemasOf(records: readonly AppendRecord[]): string[] {
  const schemas: string[] = []
  let last: string | undefined
  for (const { schema } of records) {
    if (schema === last) continue
    last = schema
    if (!schemas.includes(schema)) schemas.push(schema)
  }
  return schemas
}

function sizeBound(records: readonly AppendRecord[], schemas: readonly string[]): number {
  let bytes = headBytes
  for (const schema of schemas) bytes += 1 + schema.length
  for (const record of records) bytes += blockBytesOf(record)
  return bytes
}

function damaged(file: string, what: string): MillraceError {
  return new MillraceError('log_corrupt', `${file}: ${what}`)
}
