import type { DuckDBConnection } from '@duckdb/node-api'
import { dayMs, dayOf } from '../../lib/clock.ts'
import type { AccountingRow, Filter, TimeRange } from '../store.ts'
import { dayOfTime, isWithin, relationOf } from './relation.ts'
import { rowsOf } from './sql.ts'
import { conditionOf, createBinding } from './where.ts'

/** How long before and after the range the events of a page view are looked for. */
const pageViewMsMax = 7 * dayMs

/** The highest number that says how many events came before it. */
const sequenceMax = 10_000

/**
 * The page view as the event id names it: without the counter at its end, which is `sequence` in
 * hex. `page_view_chars` counts as JavaScript does, DuckDB counts code points.
 */
const pageView =
  'CASE WHEN page_view_chars IS NULL THEN page_view_id ELSE left(event_id, -length(to_hex(sequence))) END'

/** What became of what was sent, by day. */
export async function accountFor(
  connection: DuckDBConnection,
  range: TimeRange,
  { bots }: Pick<Filter, 'bots'>,
): Promise<AccountingRow[]> {
  const relation = await relationOf(connection, range)
  const condition = conditionOf({ bots }, createBinding())
  const repeatsOfVisible =
    bots === 'include'
      ? 'true'
      : `EXISTS (SELECT 1 FROM ${relation} AS event WHERE event.event_time = repeats.event_time
          AND event.event_id = repeats.event_id AND event.party_id = repeats.party_id AND ${condition})`
  const rows = await rowsOf(
    connection,
    `SELECT day, sum(stored), sum(missing), sum(repeated), sum(rejected) FROM (
       SELECT day, count(*) AS stored, 0 AS missing, 0 AS repeated, 0 AS rejected
         FROM ${relation} WHERE ${condition} GROUP BY day
       UNION ALL SELECT day, 0, missing, 0, 0 FROM (${await missingOf(connection, range, condition)})
       UNION ALL SELECT ${dayOfTime('event_time')}, 0, 0, count(*), 0 FROM repeats
         WHERE ${isWithin('event_time', range)} AND ${repeatsOfVisible} GROUP BY 1
       UNION ALL SELECT ${dayOfTime('received_at')}, 0, 0, 0, count(*) FROM dead_letters
         WHERE ${isWithin('received_at', range)} AND replayed_at IS NULL GROUP BY 1)
     GROUP BY day ORDER BY day`,
  )
  return (rows as number[][]).map(([day, stored, missing, repeated, rejected]) => ({
    day: dayOf((day as number) * dayMs),
    stored: stored as number,
    missing: missing as number,
    repeated: repeated as number,
    rejected: rejected as number,
  }))
}

/** A page view that the tag has numbered within its load; see tag/pageviews.ts. */
const numberedPattern = `'^(.+)\\.(0|[1-9a-f][0-9a-f]{0,3})\\.$'`

/**
 * A table of `day` and `missing`: of the page views that began in the range, and of the loads of a
 * page in which one is missing whole, which counts as one event.
 */
async function missingOf(
  connection: DuckDBConnection,
  { from, to }: TimeRange,
  condition: string,
): Promise<string> {
  const wider = { from: from - pageViewMsMax, to: to + pageViewMsMax }
  // Counting distinct numbers by grouping twice takes a quarter of the time of count(DISTINCT).
  return `WITH views AS (
      SELECT party_id, page_view, min(time) AS began, max(sequence) + 1 - count(*) AS missing FROM (
        SELECT party_id, ${pageView} AS page_view, sequence, min(event_time) AS time
        FROM ${await relationOf(connection, wider)}
        WHERE sequence BETWEEN 0 AND ${sequenceMax} AND ${condition} GROUP BY ALL)
      WHERE page_view IS NOT NULL GROUP BY party_id, page_view),
    loads AS (
      SELECT min(began) AS began, max(number) + 1 - count(*) AS missing FROM (
        SELECT party_id, began, regexp_extract(page_view, ${numberedPattern}, 1) AS load,
          CAST('0x' || regexp_extract(page_view, ${numberedPattern}, 2) AS INTEGER) AS number
        FROM views WHERE page_view LIKE '%.' AND regexp_matches(page_view, ${numberedPattern}))
      WHERE number <= ${sequenceMax} GROUP BY party_id, load)
    SELECT ${dayOfTime('began')} AS day, sum(missing) AS missing
    FROM (SELECT began, missing FROM views UNION ALL SELECT began, missing FROM loads)
    WHERE missing > 0 AND ${isWithin('began', { from, to })} GROUP BY 1`
}
