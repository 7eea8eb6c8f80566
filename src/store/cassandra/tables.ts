/**
 * The tables, as plain CQL: what `millrace init` makes, and what anybody may read beside us. Each
 * entry of `migrations` is a version; one that was released is never changed, only followed.
 */

/** What every table of events shares: it is written once, in the order of time, and expires by day. */
const eventTable = (chunkKib: number): string => `
  compaction = {'class': 'TimeWindowCompactionStrategy', 'compaction_window_unit': 'DAYS', 'compaction_window_size': '3'}
  AND compression = {'class': 'ZstdCompressor', 'chunk_length_in_kb': '${chunkKib}'}
  AND gc_grace_seconds = 691200`

/** Small tables whose rows are overwritten. */
const smallTable = `
  compaction = {'class': 'UnifiedCompactionStrategy', 'scaling_parameters': 'L10'}
  AND gc_grace_seconds = 691200`

/**
 * - `click_stream`: one row for each event. `pk` is the bucket (see bucket.ts): the day, while that
 *   is one bucket. `click_stream_cookie_id` is the party, '' for none. Columns that may differ between
 *   receipts of one event (`received_at`, `client_ip`, `user_agent`, `agent`, `bot`, `country`,
 *   `position`) always hold a value, '' for none, so that they come from one receipt, the latest.
 *   `receipts` are the times of all of them: more than one are repeats.
 * - `events_by_party`: the keys of a party's events, in the same partition as the events.
 * - `claims`: the event time of events whose clock was wrong or absent; `claimant` is the party, or
 *   the event where there is none.
 * - `bucket_map`: the layout of each day that has events; a day without a row does not exist.
 * - `logs`, `progress`: the logs that were read, and the next offset to read.
 * - `newest`: the newest receipt.
 * - `dead_letters`: by position; `dead_letters_by_hour` leads there in the order of time, and
 *   `dead_letter_hours` to its partitions.
 * - `marks`: the last write of each writer to each five-minute slot (-1: to the day).
 * - `tallies`: what was counted in a slot or day, and the marks that it has seen.
 * - `closed_days`: what was counted exactly when a day was closed, and the marks seen then.
 * - `erasures`: parties that were erased, by a salted hash; `party_id` only while something may be
 *   left. `erasure_drops`: records that were dropped since. `settings`: the salt.
 */
const version1: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS click_stream (
    pk text, event_date timestamp, event_id text, click_stream_cookie_id text,
    session_id text, page_view_id text, event_name text, item_id text, url text, referer text,
    client_date timestamp, clock_source text, received_at timestamp, client_ip text,
    parameters text, sequence int, first_in_session boolean, new_party boolean, duplicate boolean,
    corrupt boolean, viewport_width int, viewport_height int, screen_width int, screen_height int,
    device_pixel_ratio double, user_agent text, agent frozen<map<text, text>>, bot text,
    privacy text, source text, country text, imported_at timestamp,
    position frozen<tuple<text, text, int, bigint>>, receipts set<timestamp>,
    PRIMARY KEY ((pk), event_date, event_id, click_stream_cookie_id)
  ) WITH ${eventTable(64)}`,
  `CREATE TABLE IF NOT EXISTS events_by_party (
    pk text, click_stream_cookie_id text, event_date timestamp, event_id text,
    PRIMARY KEY ((pk), click_stream_cookie_id, event_date, event_id)
  ) WITH ${eventTable(16)}`,
  `CREATE TABLE IF NOT EXISTS claims (
    claimant text, event_id text, event_date timestamp,
    PRIMARY KEY ((claimant), event_id)
  ) WITH ${smallTable}`,
  `CREATE TABLE IF NOT EXISTS bucket_map (
    month text, day text, slot_ms int, shards int, created_at timestamp,
    PRIMARY KEY ((month), day)
  ) WITH ${smallTable}`,
  `CREATE TABLE IF NOT EXISTS logs (
    topic text, log text, since timeuuid,
    PRIMARY KEY ((topic), log)
  ) WITH ${smallTable}`,
  `CREATE TABLE IF NOT EXISTS progress (
    log text, topic text, log_partition int, next_offset bigint, received_at timestamp,
    PRIMARY KEY ((log, topic), log_partition)
  ) WITH ${smallTable}`,
  `CREATE TABLE IF NOT EXISTS newest (
    name text PRIMARY KEY, received_at timestamp
  ) WITH ${smallTable}`,
  `CREATE TABLE IF NOT EXISTS dead_letters (
    log text, topic text, log_partition int, log_offset bigint,
    received_at timestamp, code text, message text, source text, value blob, schema_id text,
    replayable boolean, replayed_at timestamp,
    PRIMARY KEY ((log, topic, log_partition, log_offset))
  ) WITH ${eventTable(64)}`,
  `CREATE TABLE IF NOT EXISTS dead_letters_by_hour (
    hour timestamp, received_at timestamp, log text, topic text, log_partition int,
    log_offset bigint, code text, replayed_at timestamp,
    PRIMARY KEY ((hour), received_at, log, topic, log_partition, log_offset)
  ) WITH ${eventTable(16)}`,
  `CREATE TABLE IF NOT EXISTS dead_letter_hours (
    name text, hour timestamp,
    PRIMARY KEY ((name), hour)
  ) WITH ${smallTable}`,
  `CREATE TABLE IF NOT EXISTS marks (
    day text, slot int, writer text, version bigint,
    PRIMARY KEY ((day), slot, writer)
  ) WITH ${smallTable}`,
  `CREATE TABLE IF NOT EXISTS tallies (
    day text, slot int, number bigint, seen frozen<map<text, bigint>>, counted_at timestamp,
    events bigint, repeats bigint, counts blob, items blob, parties blob,
    PRIMARY KEY ((day), slot)
  ) WITH ${smallTable}`,
  `CREATE TABLE IF NOT EXISTS closed_days (
    day text PRIMARY KEY, version int, seen frozen<map<text, bigint>>, closed_at timestamp,
    events bigint, bytes bigint, people bigint, parties bigint
  ) WITH ${smallTable}`,
  `CREATE TABLE IF NOT EXISTS erasures (
    party text, erased_at timestamp, party_id text, events bigint, repeats bigint, claims bigint,
    dead_letters bigint, final_at timestamp,
    PRIMARY KEY ((party), erased_at)
  ) WITH ${smallTable}`,
  `CREATE TABLE IF NOT EXISTS erasure_drops (
    party text, erased_at timestamp, log text, topic text, log_partition int, log_offset bigint,
    PRIMARY KEY ((party, erased_at), log, topic, log_partition, log_offset)
  ) WITH ${smallTable}`,
  `CREATE TABLE IF NOT EXISTS settings (
    name text PRIMARY KEY, value text
  ) WITH ${smallTable}`,
]

/**
 * - `models`: what was built to recommend from, one row each; without `completed_at` it is half made.
 * - `model_items`: its items in 16 parts, each with the items that it shares most sessions with, best
 *   first, and beside them how many sessions.
 * - `model_served`: the version that answers.
 */
const modelTables: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS models (
    version text PRIMARY KEY, engine text, first_day text, last_day text, started_at timestamp,
    completed_at timestamp, items bigint, pairs bigint, together bigint
  ) WITH ${smallTable}`,
  `CREATE TABLE IF NOT EXISTS model_items (
    version text, part int, item_id text, sessions bigint, neighbours frozen<list<text>>,
    together frozen<list<bigint>>,
    PRIMARY KEY ((version, part), item_id)
  ) WITH ${smallTable}`,
  `CREATE TABLE IF NOT EXISTS model_served (
    name text PRIMARY KEY, version text
  ) WITH ${smallTable}`,
]

/** Of a slot its rows by shard, of a day its fullest bucket: how large partitions are. */
const bucketColumns: readonly string[] = [
  'ALTER TABLE tallies ADD IF NOT EXISTS shards blob',
  'ALTER TABLE tallies ADD IF NOT EXISTS bucket text',
  'ALTER TABLE tallies ADD IF NOT EXISTS bucket_rows bigint',
]

/** The statements of each version, oldest first; each can be run again. */
export const migrations: readonly (readonly string[])[] = [version1, modelTables, bucketColumns]

/** What this version writes and reads. */
export const tablesVersion: number = migrations.length

/** Every table, for those who empty a keyspace. */
export const tableNames: readonly string[] = migrations
  .flat()
  .map((statement) => /CREATE TABLE IF NOT EXISTS (\w+)/.exec(statement)?.[1])
  .filter((name) => name !== undefined)
