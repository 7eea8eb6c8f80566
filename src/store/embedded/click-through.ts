import type { DuckDBConnection, DuckDBValue } from '@duckdb/node-api'
import { dayMs, dayOf } from '../../lib/clock.ts'
import {
  type ClickThrough,
  clickEventType,
  clickMs,
  exposureRange,
  impressionEventType,
  latestMax,
  modelPattern,
  modelsMax,
  otherModel,
  positionMax,
  recommendationIdMax,
  type SeenItem,
  type SeenRecommendation,
  unknownModel,
} from '../exposure.ts'
import type { Filter, TimeRange } from '../store.ts'
import { isWithin, relationOf } from './relation.ts'
import { literal, rowsOf } from './sql.ts'
import { conditionOf, createBinding } from './where.ts'

/** What was recommended, seen and clicked; the meaning of all of it stands in exposure.ts. */
export async function joinExposures(
  connection: DuckDBConnection,
  range: TimeRange,
  filter: Filter,
): Promise<ClickThrough> {
  const binding = createBinding()
  const relation = await relationOf(connection, exposureRange(range))
  const rows = await rowsOf(
    connection,
    `WITH ${toldBy(relation, conditionOf(filter, binding))},
     ${joinedIn(range)}
     SELECT * FROM (${rowsQuery}) UNION ALL SELECT * FROM (${latestQuery})
     UNION ALL SELECT 'unmatched', NULL, NULL, NULL, NULL, NULL, count(*), NULL FROM (
       SELECT DISTINCT own_day, recommendation, item FROM joined
       WHERE clicked_at < ${literal(range.to)} AND NOT is_caused)`,
    binding.parameters,
  )
  const of = (kind: string): DuckDBValue[][] => rows.filter((row) => row[0] === kind)
  return {
    rows: of('row').map(([, day, model, position, , , impressions, clicks]) => ({
      day: dayOf((day as number) * dayMs),
      model: model as string,
      position: position as number,
      impressions: impressions as number,
      clicks: clicks as number,
    })),
    unmatchedClicks: of('unmatched')[0]?.[6] as number,
    latest: latestOf(of('latest')),
  }
}

/** `shown`: an item of an impression each; `clicked`: a click each. Texts that are no JSON say nothing. */
function toldBy(relation: string, condition: string): string {
  return `told AS MATERIALIZED (
      SELECT event_time, day, event_type, item_id, said, json_extract_string(said, '$.recommendation_id') AS recommendation
      FROM (SELECT event_time, day, event_type, item_id, try_cast(parameters AS JSON) AS said
        FROM ${relation} WHERE event_type IN ('${impressionEventType}', '${clickEventType}')
          AND contains(parameters, 'recommendation_id') AND ${condition})
      WHERE json_type(said, '$.recommendation_id') = 'VARCHAR'
        AND length(json_extract_string(said, '$.recommendation_id')) BETWEEN 1 AND ${recommendationIdMax}),
    entries AS (
      SELECT event_time, day, recommendation, unnest(json_extract(said, '$.items[*]')[:${positionMax}]) AS entry
      FROM told WHERE event_type = '${impressionEventType}' AND json_type(said, '$.items') = 'ARRAY'),
    shown AS MATERIALIZED (
      SELECT event_time, day, recommendation, json_extract_string(entry, '$.item_id') AS item,
        try_cast(json_extract_string(entry, '$.position') AS INTEGER) AS "position",
        CASE WHEN json_type(entry, '$.model') = 'VARCHAR'
          AND regexp_matches(json_extract_string(entry, '$.model'), '${modelPattern}')
          THEN json_extract_string(entry, '$.model') ELSE '${unknownModel}' END AS model
      FROM entries
      WHERE json_type(entry, '$.item_id') IN ('VARCHAR', 'UBIGINT', 'BIGINT')
        AND json_extract_string(entry, '$.item_id') <> '' AND json_type(entry, '$.position') = 'UBIGINT'
        AND try_cast(json_extract_string(entry, '$.position') AS INTEGER) BETWEEN 1 AND ${positionMax}),
    clicked AS (
      SELECT event_time, day, recommendation, item_id AS item FROM told
      WHERE event_type = '${clickEventType}' AND item_id <> '')`
}

/** `placed`: what was seen in the range, once a day, and whether it was clicked. */
function joinedIn(range: TimeRange): string {
  return `seen AS MATERIALIZED (
      SELECT day, recommendation, item,
        min({moment: event_time, "position": "position", model: model}) AS first
      FROM shown WHERE ${isWithin('event_time', range)} GROUP BY ALL),
    joined AS MATERIALIZED (
      SELECT c.day AS own_day, c.recommendation, c.item, c.event_time AS clicked_at, s.day AS day,
        s.event_time AS shown_at,
        coalesce(s.event_time >= c.event_time - ${literal(clickMs)}, false) AS is_caused
      FROM clicked c ASOF LEFT JOIN shown s ON c.recommendation = s.recommendation
        AND c.item = s.item AND c.event_time >= s.event_time
      WHERE c.event_time >= ${literal(range.from)}),
    hits AS (
      SELECT DISTINCT day, recommendation, item, true AS is_hit FROM joined
      WHERE is_caused AND ${isWithin('shown_at', range)}),
    placed AS MATERIALIZED (
      SELECT day, recommendation, item, first, coalesce(is_hit, false) AS is_clicked
      FROM seen LEFT JOIN hits USING (day, recommendation, item))`
}

const rowsQuery = `
  SELECT 'row' AS kind, day, CASE WHEN named THEN model ELSE '${otherModel}' END AS shown_model,
    "position", NULL AS recommendation, NULL AS item, count(*) AS a,
    count(*) FILTER (is_clicked) AS b
  FROM (SELECT day, is_clicked, first.model AS model, first."position" AS "position",
      first.model IN (SELECT first.model FROM placed GROUP BY 1 ORDER BY count(*) DESC, 1
        LIMIT ${modelsMax}) AS named FROM placed)
  GROUP BY ALL ORDER BY day, shown_model, "position"`

const latestQuery = `
  SELECT 'latest' AS kind, NULL, first.model, first."position", recommendation, item,
    first.moment, CAST(is_clicked AS INTEGER)
  FROM (SELECT recommendation, item, min(first) AS first, bool_or(is_clicked) AS is_clicked
    FROM placed WHERE recommendation IN (SELECT recommendation FROM placed GROUP BY 1
      ORDER BY min(first.moment) DESC, recommendation LIMIT ${latestMax})
    GROUP BY ALL)
  QUALIFY row_number() OVER (PARTITION BY recommendation ORDER BY first."position", item)
    <= ${positionMax}
  ORDER BY min(first.moment) OVER (PARTITION BY recommendation) DESC, recommendation,
    first."position", item`

function latestOf(rows: readonly DuckDBValue[][]): SeenRecommendation[] {
  const groups = Map.groupBy(rows, ([, , , , recommendation]) => recommendation as string)
  return [...groups].map(([recommendationId, items]) => ({
    recommendationId,
    seenAt: Math.min(...items.map((row) => row[6] as number)),
    items: items.map(
      ([, , model, position, , item, , isClicked]): SeenItem => ({
        itemId: item as string,
        position: position as number,
        model: model as string,
        isClicked: isClicked === 1,
      }),
    ),
  }))
}
