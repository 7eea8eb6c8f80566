import type { DuckDBConnection } from '@duckdb/node-api'
import { dayMs, dayOf } from '../../lib/clock.ts'
import type { Extent, Filter, TimeRange, Uniques } from '../store.ts'
import { relationOf } from './relation.ts'
import { rowsOf } from './sql.ts'
import { conditionOf, createBinding } from './where.ts'

/** Different parties by day and in all. */
export async function countParties(
  connection: DuckDBConnection,
  range: TimeRange,
  filter: Filter,
): Promise<Uniques> {
  const binding = createBinding()
  // The parties of a day, once each, answer both; counting them from the events twice costs more.
  const rows = await rowsOf(
    connection,
    `WITH seen AS MATERIALIZED (
       SELECT DISTINCT day, party_id FROM ${await relationOf(connection, range)}
       WHERE party_id <> '' AND ${conditionOf(filter, binding)})
     SELECT day, count(*) FROM seen GROUP BY day
     UNION ALL SELECT NULL, count(DISTINCT party_id) FROM seen
     ORDER BY day NULLS FIRST`,
    binding.parameters,
  )
  const [total, ...days] = rows
  return {
    rows: days.map(([day, parties]) => ({
      day: dayOf((day as number) * dayMs),
      parties: parties as number,
    })),
    parties: total?.[1] as number,
  }
}

/** The number of events, the first and the last time. */
export async function readExtent(
  connection: DuckDBConnection,
  range: TimeRange,
  filter: Filter,
): Promise<Extent> {
  const binding = createBinding()
  const [row] = await rowsOf(
    connection,
    `SELECT count(*), min(event_time), max(event_time)
     FROM ${await relationOf(connection, range)} WHERE ${conditionOf(filter, binding)}`,
    binding.parameters,
  )
  const [events, firstTime, lastTime] = row as [number, number | null, number | null]
  return { events, firstTime, lastTime }
}
