-- Where events come from and models go to: Cassandra, as Millrace keeps it. Given to spark-sql with -i;
-- what it needs to know: keyspace, first_day and last_day (UTC, YYYY-MM-DD, both included).

-- The partitions of these days. A day is one, or cut into slots of the day and shards of the parties.
CREATE OR REPLACE TEMPORARY VIEW buckets AS
SELECT /*+ REPARTITION(16) */
  CASE
    WHEN slot_ms = 86400000 AND shards = 1 THEN day
    ELSE format_string('%s/%02d%02d/%02d', day,
      slot * slot_ms DIV 3600000, slot * slot_ms DIV 60000 % 60, shard)
  END AS pk
FROM cassandra.${keyspace}.bucket_map
  LATERAL VIEW explode(sequence(0, 86400000 DIV slot_ms - 1)) AS slot
  LATERAL VIEW explode(sequence(0, shards - 1)) AS shard
-- With the days beside: a session belongs to the day on which it began.
WHERE CAST(day AS DATE) BETWEEN date_sub(DATE '${first_day}', 1) AND date_add(DATE '${last_day}', 1);

-- Always, however small the table seems to Spark.
SET directJoinSetting = on;

-- One row for each event. The join asks Cassandra for these partitions and reads nothing else.
CREATE OR REPLACE TEMPORARY VIEW events AS
SELECT
  substr(buckets.pk, 1, 10) AS day,
  event_date AS event_time,
  nullif(click_stream_cookie_id, '') AS party_id,
  session_id,
  event_name AS event_type,
  item_id,
  bot <> '' AS is_bot
FROM buckets JOIN cassandra.${keyspace}.click_stream ON click_stream.pk = buckets.pk;

-- Tables without a name before theirs are Cassandra's from here on.
USE cassandra.${keyspace};
