import { eventColumns } from './columns.ts'

/**
 * How a row stands in the file of a closed day: the columns of `events`, sorted by party and time,
 * with three differences that halve the bytes.
 * - `event_head` is the part of `event_id` that is its page view's, `event_id` what follows: sorted
 *   by party, heads follow their like, and the counter behind them is a few bits.
 * - `received_at` is the time after `event_time`.
 * - `day` is added: the same number in every row costs nothing and saves a division in questions.
 */

/** The columns of `events`, for a selection. */
export const eventNames: readonly string[] = eventColumns.map(({ name }) => `"${name}"`)

/** `page_view_chars` counts as JavaScript does; only where DuckDB counts the same, the head is cut off. */
const hasHead = 'page_view_chars IS NOT NULL AND strlen(event_id) = length(event_id)'

const written: Readonly<Record<string, string>> = {
  '"event_id"': `CASE WHEN ${hasHead} THEN substr(event_id, page_view_chars + 1) ELSE event_id END`,
  '"received_at"': 'received_at - event_time',
}

const read: Readonly<Record<string, string>> = {
  '"event_id"': 'concat(event_head, event_id)',
  '"received_at"': 'event_time + received_at',
}

/** Selects what the file of a day holds from a relation with the columns of `events`. */
export function selectForFile(relation: string, day: number): string {
  const columns = eventNames.map((name) => (name in written ? `${written[name]} AS ${name}` : name))
  const head = `CASE WHEN ${hasHead} THEN left(event_id, page_view_chars) END AS event_head`
  // Qualified, as the aliases of the selection would come first in the order.
  return `SELECT ${day}::INTEGER AS day, ${head}, ${columns.join(', ')}
    FROM ${relation} AS source ORDER BY source.party_id, source.event_time, source.event_id`
}

/** Files of closed days as rows with the columns of `events` and `day`. */
export function selectFromFiles(files: readonly string[], condition = 'true'): string {
  const columns = eventNames.map((name) => (name in read ? `${read[name]} AS ${name}` : name))
  const paths = files.map(quoted).join(', ')
  return `SELECT ${columns.join(', ')}, day FROM read_parquet([${paths}]) AS file WHERE ${condition}`
}

/** A path as a literal. */
export function quoted(path: string): string {
  return `'${path.replaceAll("'", "''")}'`
}
