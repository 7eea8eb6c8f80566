-- A model: of each item, with which other items it was in most sessions. Nothing in it is of a party.
--
--   spark-sql -i cassandra.sql -f co-occurrence.sql -d version=… -d keyspace=demo -d first_day=2026-01-01
--     -d last_day=2026-03-31 -d event_types=pageView,preview,addToBasket,purchase -d session_clicks_max=200
--     -d items_max=200000
--
-- It is served after `millrace recommend publish VERSION`, if it is complete and no worse than the one before.

INSERT INTO models (version, engine, first_day, last_day, started_at)
SELECT '${version}', 'spark', '${first_day}', '${last_day}', current_timestamp();

-- What tells of interest in an item. Without a party the session stands for it.
CREATE OR REPLACE TEMPORARY VIEW clicks AS
SELECT coalesce(party_id, session_id) AS visitor, item_id, event_time
FROM events
WHERE day BETWEEN '${first_day}' AND '${last_day}'
  AND array_contains(split('${event_types}', ','), event_type)
  AND NOT is_bot AND item_id <> '' AND coalesce(party_id, session_id) IS NOT NULL;

-- A click more than 30 minutes after the one before begins a new session.
CREATE OR REPLACE TEMPORARY VIEW placed_clicks AS
SELECT visitor, item_id, event_time,
  sum(is_first) OVER (PARTITION BY visitor ORDER BY event_time) AS session
FROM (
  SELECT *, CASE
      WHEN unix_millis(event_time) - unix_millis(lag(event_time) OVER (PARTITION BY visitor ORDER BY event_time))
        <= 30 * 60 * 1000 THEN 0 ELSE 1
    END AS is_first
  FROM clicks
);

-- The items of each session; one with too many clicks is a bot's.
CACHE TABLE session_items AS
SELECT visitor, session, explode(items) AS item_id
FROM (
  SELECT visitor, session, collect_set(item_id) AS items
  FROM placed_clicks
  GROUP BY visitor, session
  HAVING count(DISTINCT item_id, event_time) <= ${session_clicks_max}
);

-- Anybody can make items up: those of most sessions are kept.
CACHE TABLE kept_items AS
SELECT item_id, count(*) AS sessions
FROM session_items
GROUP BY item_id
ORDER BY sessions DESC, item_id
LIMIT ${items_max};

INSERT INTO model_items (version, part, item_id, sessions, neighbours, together)
SELECT '${version}', pmod(hash(item_id), 16), item_id, sessions, ranked.neighbour, ranked.together
FROM (
  SELECT item_id, sessions, sort_array(collect_list(struct(place, neighbour, together))) AS ranked
  FROM (
    SELECT *, row_number() OVER (PARTITION BY item_id ORDER BY together DESC, neighbour) AS place
    FROM (
      SELECT one.item_id, kept.sessions, other.item_id AS neighbour, count(*) AS together
      FROM session_items AS one
        JOIN session_items AS other
          ON other.visitor = one.visitor AND other.session = one.session AND other.item_id <> one.item_id
        JOIN kept_items AS kept ON kept.item_id = one.item_id
      WHERE other.item_id IN (SELECT item_id FROM kept_items)
      GROUP BY one.item_id, kept.sessions, other.item_id
    )
  )
  WHERE place <= 100
  GROUP BY item_id, sessions
);

-- Only with this it is complete. Who reads it counts again what is there.
INSERT INTO models
  (version, engine, first_day, last_day, started_at, completed_at, items, pairs, together)
SELECT
  '${version}', 'spark', '${first_day}', '${last_day}', begun.started_at, current_timestamp(),
  written.items, written.pairs, written.together
FROM (
  SELECT count(*) AS items,
    coalesce(sum(size(neighbours)), 0) AS pairs,
    coalesce(sum(aggregate(together, 0L, (sum, count) -> sum + count)), 0) AS together
  FROM model_items
  WHERE version = '${version}' AND part IN (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
) AS written
CROSS JOIN (SELECT started_at FROM models WHERE version = '${version}') AS begun;
