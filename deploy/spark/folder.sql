-- Where events come from and models go to: a folder that `millrace export --format parquet` wrote, and
-- another one. Given to spark-sql with -i; what it needs to know: folder, out, first_day and last_day.

CREATE OR REPLACE TEMPORARY VIEW events AS
SELECT
  CAST(day AS STRING) AS day,
  CAST(eventTime AS TIMESTAMP) AS event_time,
  partyId AS party_id,
  sessionId AS session_id,
  eventType AS event_type,
  itemId AS item_id,
  bot IS NOT NULL AS is_bot
FROM parquet.`${folder}`
-- With the days beside: a session belongs to the day on which it began.
WHERE CAST(day AS DATE) BETWEEN date_sub(DATE '${first_day}', 1) AND date_add(DATE '${last_day}', 1);

CREATE TABLE models (
  version STRING, engine STRING, first_day STRING, last_day STRING, started_at TIMESTAMP,
  completed_at TIMESTAMP, items BIGINT, pairs BIGINT, together BIGINT
) USING json LOCATION '${out}/models';

CREATE TABLE model_items (
  version STRING, part INT, item_id STRING, sessions BIGINT, neighbours ARRAY<STRING>,
  together ARRAY<BIGINT>
) USING json LOCATION '${out}/model_items';
