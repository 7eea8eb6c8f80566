-- Sessions of people: events of one party that follow each other within 30 minutes, on the day on
-- which they began. A bounce has one page view or none.
--
--   spark-sql -i cassandra.sql -f session-statistics.sql -d keyspace=demo -d first_day=2026-01-01
--     -d last_day=2026-03-31 -d out=/tmp/aggregates

CREATE OR REPLACE TEMPORARY VIEW placed_events AS
SELECT party_id, event_type, event_time,
  sum(is_first) OVER (PARTITION BY party_id ORDER BY event_time) AS session
FROM (
  SELECT *, CASE
      WHEN unix_millis(event_time) - unix_millis(lag(event_time) OVER (PARTITION BY party_id ORDER BY event_time))
        <= 30 * 60 * 1000 THEN 0 ELSE 1
    END AS is_first
  FROM events
  WHERE party_id IS NOT NULL AND NOT is_bot
);

INSERT OVERWRITE DIRECTORY '${out}/sessions' USING json
SELECT day, count(*) AS sessions, sum(events) AS events, count_if(page_views <= 1) AS bounces,
  sum(duration_ms) AS duration_ms
FROM (
  SELECT date_format(min(event_time), 'yyyy-MM-dd') AS day,
    count(*) AS events,
    count_if(event_type = 'pageView') AS page_views,
    unix_millis(max(event_time)) - unix_millis(min(event_time)) AS duration_ms
  FROM placed_events
  GROUP BY party_id, session
)
WHERE day BETWEEN '${first_day}' AND '${last_day}'
GROUP BY day;
