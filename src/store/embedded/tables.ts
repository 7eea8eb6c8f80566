/**
 * The tables. Times are BIGINT milliseconds since 1970: as small as TIMESTAMP_MS, and days are an
 * integer division. No table has a PRIMARY KEY: an index costs four times the CPU and bytes; one
 * process writes, and looks before it inserts.
 */

/** What this version writes and reads. A change to the tables below is a new number. */
export const formatVersion = 3

/** The order of members is the code on disk: append only. */
export const clockSources = ['client', 'wrong', 'absent', 'collector'] as const
export const privacies = ['gpc', 'dnt', 'cookieless'] as const
export const sources = ['tag', 'json'] as const

const enumOf = (members: readonly string[]): string =>
  `ENUM (${members.map((member) => `'${member}'`).join(', ')})`

/**
 * - `partitions`: a small number for each log identity, topic and partition.
 * - `positions`: the next offset to read, and the newest receipt before it that was no import.
 * - `agents`: user agents and what was made of them; the same few hundred come with every event.
 * - `events`: one row for each event, from its first receipt. `party_id` is '' for none;
 *   `page_view_id` is NULL when it is the first `page_view_chars` characters of `event_id`, and
 *   `client_time` when it is `event_time`; `flags` are 1 first in session, 2 new party,
 *   4 duplicate, 8 corrupt.
 * - `repeats`: further receipts of stored events.
 * - `claims`: the event time of events whose clock was wrong or absent, found by a hash.
 * - `dead_letters`: by position.
 * - `erasures`: see erase.ts; `party_id` only until what it names is deleted.
 * - `kept_days`: whole days since 1970 that retention leaves, and the import that keeps each.
 * - `closed_days`: the days whose rows are in a file of their own; see `ClosedDay`.
 */
export const createTables = `
CREATE TABLE meta (name VARCHAR NOT NULL, value VARCHAR NOT NULL);
CREATE TABLE partitions (
  id INTEGER NOT NULL, log VARCHAR NOT NULL, topic VARCHAR NOT NULL, "partition" INTEGER NOT NULL);
CREATE TABLE positions (
  partition_id INTEGER NOT NULL, next_offset BIGINT NOT NULL, received_at BIGINT);
CREATE TABLE agents (
  id INTEGER NOT NULL, user_agent VARCHAR, name VARCHAR, family VARCHAR, vendor VARCHAR, type VARCHAR,
  version VARCHAR, device_category VARCHAR, os_family VARCHAR, os_version VARCHAR, os_vendor VARCHAR);
CREATE TABLE events (
  event_time BIGINT NOT NULL, event_id VARCHAR NOT NULL, party_id VARCHAR NOT NULL,
  received_at BIGINT NOT NULL, client_time BIGINT, clock_source ${enumOf(clockSources)} NOT NULL,
  session_id VARCHAR, page_view_id VARCHAR, page_view_chars UTINYINT, sequence INTEGER,
  event_type VARCHAR NOT NULL, item_id VARCHAR, parameters VARCHAR, location VARCHAR, referer VARCHAR,
  remote_address VARCHAR NOT NULL, agent_id INTEGER, bot VARCHAR, privacy ${enumOf(privacies)},
  source ${enumOf(sources)} NOT NULL, flags UTINYINT NOT NULL,
  viewport_width INTEGER, viewport_height INTEGER, screen_width INTEGER, screen_height INTEGER,
  device_pixel_ratio DOUBLE, country VARCHAR, imported_at BIGINT,
  partition_id INTEGER NOT NULL, "offset" BIGINT NOT NULL);
CREATE TABLE repeats (
  event_time BIGINT NOT NULL, event_id VARCHAR NOT NULL, party_id VARCHAR NOT NULL,
  received_at BIGINT NOT NULL, partition_id INTEGER NOT NULL, "offset" BIGINT NOT NULL);
CREATE TABLE claims (
  identity_hash INTEGER NOT NULL, party_id VARCHAR NOT NULL, event_id VARCHAR NOT NULL, event_time BIGINT NOT NULL);
CREATE TABLE dead_letters (
  partition_id INTEGER NOT NULL, "offset" BIGINT NOT NULL,
  received_at BIGINT NOT NULL, code VARCHAR NOT NULL, message VARCHAR NOT NULL, source VARCHAR NOT NULL,
  value BLOB NOT NULL, schema VARCHAR NOT NULL, replayable BOOLEAN NOT NULL, replayed_at BIGINT);
CREATE TABLE erasures (
  party VARCHAR NOT NULL, erased_at BIGINT NOT NULL, party_id VARCHAR, events BIGINT,
  repeats BIGINT NOT NULL, claims BIGINT NOT NULL, dead_letters BIGINT NOT NULL,
  dropped BIGINT NOT NULL, final_at BIGINT);
CREATE TABLE kept_days (day INTEGER NOT NULL, log VARCHAR NOT NULL);
CREATE TABLE closed_days (
  day INTEGER NOT NULL, version INTEGER NOT NULL, "rows" BIGINT NOT NULL, bytes BIGINT NOT NULL,
  checksum BIGINT NOT NULL, last_received_at BIGINT NOT NULL, is_unchecked BOOLEAN NOT NULL);
`
