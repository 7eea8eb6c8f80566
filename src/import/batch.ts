import avro from 'avsc'
import { encodeEvent } from '../event/encode.ts'
import { MillraceError } from '../event/error.ts'
import type { Event } from '../event/event.ts'
import { createDecoder, eventRecordSchema } from '../event/record.ts'
import { type ImportItem, isRefused } from './source.ts'

/**
 * Some rows of an import on their way to the owner of the store: one Avro value, in which each event
 * is a record of our own schema.
 */

export interface ImportBatch {
  readonly log: string
  /** The row to go on with after this batch; null moves nothing, as when rows are sent again. */
  readonly next: number | null
  readonly rows: readonly { readonly row: number; readonly event: Event }[]
  readonly refused: readonly {
    readonly row: number
    readonly reason: string
    readonly text: string
  }[]
}

/** Rows in one write. */
export const batchRowsMax = 6_000
/** Bytes of events in one batch, beyond which the next one begins. */
const batchBytesMax = 4 * 1024 * 1024
/** The largest body that is taken: a batch, the last event that made it full, and the refused rows. */
export const bodyBytesMax = 16 * 1024 * 1024

const field = (name: string, type: unknown): object => ({ name, type })
const batchType = avro.Type.forSchema({
  type: 'record',
  name: 'ImportBatch',
  namespace: 'millrace',
  fields: [
    field('schema', 'string'),
    field('log', 'string'),
    field('next', ['null', 'long']),
    field('rows', {
      type: 'array',
      items: {
        type: 'record',
        name: 'ImportRow',
        fields: [field('row', 'long'), field('event', 'bytes')],
      },
    }),
    field('refused', {
      type: 'array',
      items: {
        type: 'record',
        name: 'RefusedRow',
        fields: [field('row', 'long'), field('reason', 'string'), field('text', 'string')],
      },
    }),
  ],
} as never)

interface EncodedRow {
  readonly row: number
  readonly event: Buffer
}

interface EncodedBatch extends Omit<ImportBatch, 'rows'> {
  /** The fingerprint of the events' schema. */
  readonly schema: string
  readonly rows: readonly EncodedRow[]
}

/** A batch ready to be sent, and what is in it. */
export interface FullBatch {
  readonly body: Buffer
  readonly rows: number
}

/** Gathers items to batches of a bounded size. */
export interface BatchBuilder {
  /** The batch that is full by this item, if it is. */
  readonly add: (item: ImportItem) => FullBatch | undefined
  /** What is left, or undefined. */
  readonly end: () => FullBatch | undefined
}

/** @param movesPosition whether the owner keeps how far the import has come */
export function createBatchBuilder(log: string, movesPosition: boolean): BatchBuilder {
  let rows: EncodedRow[] = []
  let refused: ImportBatch['refused'][number][] = []
  let bytes = 0
  let next = 0

  function take(): FullBatch | undefined {
    const count = rows.length + refused.length
    if (count === 0) return undefined
    const batch: EncodedBatch = {
      schema: eventRecordSchema.fingerprint,
      log,
      next: movesPosition ? next : null,
      rows,
      refused,
    }
    const body = batchType.toBuffer(batch)
    rows = []
    refused = []
    bytes = 0
    return { body, rows: count }
  }

  return {
    add(item) {
      next = item.row + 1
      if (isRefused(item)) {
        refused.push(item)
        bytes += 3 * item.text.length
      } else {
        const event = encodeEvent(item.event)
        rows.push({ row: item.row, event })
        bytes += event.length
      }
      const isFull = rows.length + refused.length >= batchRowsMax || bytes >= batchBytesMax
      return isFull ? take() : undefined
    },
    end: take,
  }
}

const decoder = createDecoder(eventRecordSchema.text)

/** @throws MillraceError `import_invalid` when the bytes are no batch of this version */
export function decodeBatch(body: Uint8Array): ImportBatch {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  let batch: EncodedBatch
  try {
    batch = batchType.fromBuffer(bytes) as EncodedBatch
  } catch (thrown) {
    throw new MillraceError('import_invalid', 'its body is no batch of rows', { cause: thrown })
  }
  if (batch.schema !== eventRecordSchema.fingerprint) {
    throw new MillraceError('import_invalid', 'it comes from another version of Millrace')
  }
  const { log, next, refused } = batch
  const rows = batch.rows.map(({ row, event }) => ({ row, event: decoder.event(event) }))
  return { log, next, rows, refused }
}
