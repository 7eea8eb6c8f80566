import { type DuckDBConnection, DuckDBDataChunk, type DuckDBType } from '@duckdb/node-api'
import duckdb from '@duckdb/node-bindings'

/**
 * Writes many rows at once: column by column into data chunks, which DuckDB's appender takes as they
 * are. The vectors are filled by the bindings themselves, as node-api's own setters keep a cache of
 * every item and cost twice the time.
 */

/** How a column's values travel: the array type of its vector, or text. */
export type ColumnForm = 'int64' | 'int32' | 'uint8' | 'double' | 'text'

/** One column of a table and where its value comes from; null is NULL. Numbers are integers but for `double`. */
export interface Column<Item> {
  readonly name: string
  readonly type: DuckDBType
  readonly form: ColumnForm
  readonly value: (item: Item) => string | number | null
}

/** DuckDB's vectors hold 2,048 rows. */
const chunkRowsMax = duckdb.vector_size()

/** Appends `items` to `table`, whose columns are `columns` in this order, in the open transaction. */
export async function appendRows<Item>(
  connection: DuckDBConnection,
  table: string,
  columns: readonly Column<Item>[],
  items: readonly Item[],
): Promise<void> {
  if (items.length === 0) return
  const appender = await connection.createAppender(table)
  try {
    for (let from = 0; from < items.length; from += chunkRowsMax) {
      appender.appendDataChunk(fillChunk(columns, items.slice(from, from + chunkRowsMax)))
    }
  } catch (thrown) {
    appender.clear()
    appender.closeSync()
    throw thrown
  }
  appender.closeSync()
}

function fillChunk<Item>(
  columns: readonly Column<Item>[],
  items: readonly Item[],
): DuckDBDataChunk {
  const chunk = DuckDBDataChunk.create(
    columns.map(({ type }) => type),
    items.length,
  )
  columns.forEach((column, index) => {
    const vector = duckdb.data_chunk_get_vector(chunk.chunk, index)
    const validity =
      column.form === 'text' ? fillTexts(vector, column, items) : fillNumbers(vector, column, items)
    if (validity === undefined) return
    duckdb.vector_ensure_validity_writable(vector)
    const { buffer, byteLength } = validity
    duckdb.copy_data_to_vector_validity(vector, 0, buffer as ArrayBuffer, 0, byteLength)
  })
  return chunk
}

/** One bit for each row, set where there is a value; undefined while every row has one. */
type Validity = Uint8Array | undefined

function fillTexts<Item>(
  vector: duckdb.Vector,
  column: Column<Item>,
  items: readonly Item[],
): Validity {
  let validity: Validity
  for (let at = 0; at < items.length; at++) {
    const value = column.value(items[at] as Item) as string | null
    if (value === null) validity = setNull(validity, at, items.length)
    else duckdb.vector_assign_string_element(vector, at, value)
  }
  return validity
}

function fillNumbers<Item>(
  vector: duckdb.Vector,
  column: Column<Item>,
  items: readonly Item[],
): Validity {
  let validity: Validity
  const data = arrayOf(column.form, items.length)
  const halves = column.form === 'int64' ? new Uint32Array(data.buffer) : undefined
  for (let at = 0; at < items.length; at++) {
    const value = column.value(items[at] as Item) as number | null
    if (value === null) validity = setNull(validity, at, items.length)
    else if (halves === undefined) data[at] = value
    else setInt64(halves, at, value)
  }
  duckdb.copy_data_to_vector(vector, 0, data.buffer as ArrayBuffer, 0, data.byteLength)
  return validity
}

function arrayOf(form: ColumnForm, length: number): Int32Array | Uint8Array | Float64Array {
  if (form === 'int32') return new Int32Array(length)
  if (form === 'uint8') return new Uint8Array(length)
  return new Float64Array(length)
}

/** A safe integer as the two halves of a 64-bit one, little-endian; BigInt would cost an allocation. */
function setInt64(halves: Uint32Array, at: number, value: number): void {
  halves[2 * at] = value
  halves[2 * at + 1] = Math.floor(value / 2 ** 32)
}

function setNull(validity: Validity, at: number, rows: number): Uint8Array {
  const bits = validity ?? new Uint8Array(Math.ceil(rows / 64) * 8).fill(255)
  bits[at >> 3] = (bits[at >> 3] as number) & ~(1 << (at & 7))
  return bits
}
