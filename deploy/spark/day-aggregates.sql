-- What happened on each day: events by type, and by type and item; people and bots apart.
--
--   spark-sql -i cassandra.sql -f day-aggregates.sql -d keyspace=demo -d first_day=2026-01-01
--     -d last_day=2026-03-31 -d out=/tmp/aggregates
--
-- A day that is over by a week is closed: its numbers do not change any more.

-- Read once for all that follows; few columns, so even months of events are small.
CACHE LAZY TABLE events OPTIONS ('storageLevel' 'MEMORY_AND_DISK');

INSERT OVERWRITE DIRECTORY '${out}/counts' USING json
SELECT day, event_type, is_bot, count(*) AS events
FROM events
WHERE day BETWEEN '${first_day}' AND '${last_day}'
GROUP BY day, event_type, is_bot;

INSERT OVERWRITE DIRECTORY '${out}/items' USING json
SELECT day, event_type, item_id, is_bot, count(*) AS events
FROM events
WHERE day BETWEEN '${first_day}' AND '${last_day}' AND item_id IS NOT NULL
GROUP BY day, event_type, item_id, is_bot;
