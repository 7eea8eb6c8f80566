import type { DuckDBConnection } from '@duckdb/node-api'
import { dayMs, dayOf } from '../../lib/clock.ts'
import { type Filter, type SessionRow, sessionGapMs, type TimeRange } from '../store.ts'
import { dayOfTime, relationOf } from './relation.ts'
import { literal, rowsOf } from './sql.ts'
import { conditionOf, createBinding } from './where.ts'

/** How far a session is followed beyond the range in which it began. */
const followedMs = dayMs

/** Sessions by the day on which they began. */
export async function countSessions(
  connection: DuckDBConnection,
  { from, to }: TimeRange,
  filter: Filter,
): Promise<SessionRow[]> {
  const binding = createBinding()
  const relation = await relationOf(connection, {
    from: from - sessionGapMs,
    to: to + followedMs,
  })
  // An event begins a session, or carries the beginning of the one that it is in. Events of the same
  // time are peers in the second window's frame, so their order does not matter.
  const rows = await rowsOf(
    connection,
    `WITH visible AS (
       SELECT party_id, event_time, event_type = 'pageView' AS is_view FROM ${relation}
       WHERE party_id <> '' AND ${conditionOf(filter, binding)}),
     marked AS (
       SELECT *, CASE WHEN event_time - lag(event_time) OVER (PARTITION BY party_id ORDER BY event_time)
         <= ${sessionGapMs} THEN NULL ELSE event_time END AS begins FROM visible),
     placed AS (
       SELECT *, max(begins) OVER (PARTITION BY party_id ORDER BY event_time) AS began FROM marked),
     sessions AS (
       SELECT began, count(*) AS events, count(*) FILTER (is_view) AS page_views,
         max(event_time) - began AS duration FROM placed GROUP BY party_id, began)
     SELECT ${dayOfTime('began')} AS day, count(*), sum(events),
       count(*) FILTER (page_views <= 1), sum(duration)
     FROM sessions WHERE began >= ${literal(from)} AND began < ${literal(to)}
     GROUP BY day ORDER BY day`,
    binding.parameters,
  )
  return rows.map(([day, sessions, events, bounces, durationMs]) => ({
    day: dayOf((day as number) * dayMs),
    sessions: sessions as number,
    events: events as number,
    bounces: bounces as number,
    durationMs: durationMs as number,
  }))
}
