import type { DuckDBConnection } from '@duckdb/node-api'
import { type Dimension, type Filter, type TimeRange, type TopRow, unknownValue } from '../store.ts'
import { relationOf } from './relation.ts'
import { literal, rowsOf } from './sql.ts'
import { conditionOf, createBinding } from './where.ts'

/** The values with most events. */
export async function findTop(
  connection: DuckDBConnection,
  dimension: Dimension,
  range: TimeRange,
  filter: Filter,
  limit: number,
): Promise<TopRow[]> {
  const binding = createBinding()
  const relation = await relationOf(connection, range)
  const counted = countedBy(dimension, relation, conditionOf(filter, binding))
  const rows = await rowsOf(
    connection,
    `SELECT "value", events FROM (${counted}) ORDER BY events DESC, "value" LIMIT ${literal(limit)}`,
    binding.parameters,
  )
  return rows.map(([value, count]) => ({ value: value as string, count: count as number }))
}

/** A table of `value` and `events`, one row for each value. */
function countedBy(dimension: Dimension, relation: string, condition: string): string {
  switch (dimension) {
    case 'itemId':
      return `SELECT item_id AS "value", count(*) AS events FROM ${relation}
        WHERE item_id IS NOT NULL AND ${condition} GROUP BY 1`
    case 'country':
      return `SELECT coalesce(country, '${unknownValue}') AS "value", count(*) AS events
        FROM ${relation} WHERE ${condition} GROUP BY 1`
    case 'page':
      return countedByPage(relation, condition)
    case 'referrer':
      return countedByReferrer(relation, condition)
    case 'device':
      return countedByAgent('device_category', relation, condition)
    case 'browser':
      return countedByAgent('name', relation, condition)
    case 'system':
      return countedByAgent('os_family', relation, condition)
  }
}

/**
 * Keeps DuckDB from asking the conditions on groups of each row already: with the regular
 * expressions in them that is eight times the CPU (measured for referrers).
 */
const kept = `LIMIT ${Number.MAX_SAFE_INTEGER}`

/** Splitting at a character costs half of what a regular expression does; that sees the pages only. */
function countedByPage(relation: string, condition: string): string {
  return `SELECT "value", events FROM (
      SELECT split_part(split_part(location, '#', 1), '?', 1) AS "value", count(*) AS events
      FROM ${relation} WHERE location IS NOT NULL AND ${condition} GROUP BY 1 ${kept})
    WHERE regexp_matches("value", '^(?i:https?)://[^/]')`
}

/**
 * First by the raw parts of both addresses between their slashes, of which there are few; then the
 * host is taken out of those.
 */
function countedByReferrer(relation: string, condition: string): string {
  return `SELECT "value", sum(events) AS events FROM (
      SELECT ${hostOf('authority')} AS "value", ${hostOf('own')} AS own_host, events FROM (
        SELECT left(referer, instr(referer, '//') + 1) AS scheme, split_part(referer, '/', 3) AS authority,
          coalesce(split_part(location, '/', 3), '') AS own, count(*) AS events
        FROM ${relation} WHERE referer IS NOT NULL AND ${condition} GROUP BY ALL ${kept})
      WHERE lower(scheme) IN ('http://', 'https://'))
    WHERE "value" <> '' AND "value" <> own_host GROUP BY 1`
}

/** The host in `user@host:port?query`. */
function hostOf(authority: string): string {
  return `regexp_extract(lower(${authority}), '^(?:[^?#]*@)?(\\[[^\\]?#]*\\]|[^:?#]*)', 1)`
}

function countedByAgent(column: string, relation: string, condition: string): string {
  return `SELECT coalesce(${column}, '${unknownValue}') AS "value", sum(events) AS events FROM (
      SELECT agent_id, count(*) AS events FROM ${relation} WHERE ${condition} GROUP BY agent_id)
    LEFT JOIN agents ON id = agent_id GROUP BY 1`
}
