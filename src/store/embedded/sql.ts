import type { DuckDBConnection, DuckDBValue } from '@duckdb/node-api'

/**
 * Numbers stand in the text of a statement, so that DuckDB can leave out the row groups that they
 * rule out; texts are always bound.
 */

/** A number as an integer literal; what does not fit is the nearest that does. */
export function literal(value: number): string {
  const limited = Math.min(Math.max(value, Number.MIN_SAFE_INTEGER), Number.MAX_SAFE_INTEGER)
  return String(Math.ceil(limited))
}

/** `name IN (…)` for at least one number. */
export function isOneOf(name: string, values: Iterable<number>): string {
  return `${name} IN (${[...values].map(literal).join()})`
}

/** `values` in groups of at most `size`: planning a list of literals takes time that grows with it. */
export function groupsOf<Value>(values: readonly Value[], size: number): Value[][] {
  const groups: Value[][] = []
  for (let from = 0; from < values.length; from += size) {
    groups.push(values.slice(from, from + size))
  }
  return groups
}

/** The rows of an answer, each an array of values; 64-bit integers become numbers. */
export async function rowsOf(
  connection: DuckDBConnection,
  sql: string,
  parameters?: DuckDBValue[],
): Promise<DuckDBValue[][]> {
  const result = await connection.run(sql, parameters)
  const rows = await result.getRows()
  for (const row of rows) {
    for (let at = 0; at < row.length; at++) {
      if (typeof row[at] === 'bigint') row[at] = Number(row[at])
    }
  }
  return rows
}
