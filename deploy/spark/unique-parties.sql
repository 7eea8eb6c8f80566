-- Different parties of each day, counted exactly: those of people, and with those of bots. Events
-- without a party have no part in it.
--
--   spark-sql -i cassandra.sql -f unique-parties.sql -d keyspace=demo -d first_day=2026-01-01
--     -d last_day=2026-03-31 -d out=/tmp/aggregates

INSERT OVERWRITE DIRECTORY '${out}/parties' USING json
SELECT day,
  count(DISTINCT CASE WHEN NOT is_bot THEN party_id END) AS people,
  count(DISTINCT party_id) AS parties
FROM events
WHERE day BETWEEN '${first_day}' AND '${last_day}' AND party_id IS NOT NULL
GROUP BY day;
