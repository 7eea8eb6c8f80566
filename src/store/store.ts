import type { ErrorCode } from '../event/error.ts'
import type { Event } from '../event/event.ts'

/** The store contract: durable rows, each event once, the questions over them. A folder each implements it. */

/** A record's place in one log: the log's identity, its topic, the partition and the offset. */
export interface Position {
  readonly log: string
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

/** One receipt of an event, read from the log. */
export interface Row extends Event {
  readonly position: Position
  /** ms since 1970: when it was imported; null for what the collector received. */
  readonly importedAt: number | null
}

/** A record that could not become a row, or a request that could not become an event. */
export interface DeadLetter {
  readonly position: Position
  /** ms since 1970: when the collector received it; when it was read, if it knew no time. */
  readonly receivedAt: number
  readonly code: ErrorCode | string
  readonly message: string
  /** `tag` or `json` for a refused request; `log` for a record that could not be read. */
  readonly source: string
  /** The record as it stood on the log. */
  readonly value: Uint8Array
  /** Fingerprint of the schema of `value`; '' when it had none. */
  readonly schema: string
  /** Whether `millrace dead-letters replay` can try it again. */
  readonly replayable: boolean
}

/** What `deadLetters` returns: with the time when it was replayed, or null. */
export interface StoredDeadLetter extends DeadLetter {
  readonly replayedAt: number | null
}

/** What the consumer writes at once. */
export interface WriteBatch {
  /** In log order within each partition. */
  readonly rows: readonly Row[]
  readonly deadLetters: readonly DeadLetter[]
  /** Where to go on: `offset` is the next one to read. Empty in a replay, which moves nothing. */
  readonly positions: readonly Position[]
}

/** What one write changed. */
export interface WriteResult {
  /** Rows that are new. */
  readonly inserted: number
  /** Receipts newly kept as repeats of a stored event. */
  readonly repeated: number
}

/** A span of event time in ms since 1970: `from` is inside, `to` is not. */
export interface TimeRange {
  readonly from: number
  readonly to: number
}

/** Which events count. Absent members do not restrict. */
export interface Filter {
  readonly bots: 'exclude' | 'include'
  readonly partyId?: string
  readonly sessionId?: string
  readonly eventType?: string
  readonly itemId?: string
}

/** The last event of a page, from which the next one goes on. */
export interface EventCursor {
  readonly eventTime: number
  readonly eventId: string
  /** '' for none. */
  readonly partyId: string
}

/** Which page of events to read. */
export interface EventPage {
  readonly order: 'asc' | 'desc'
  readonly limit: number
  readonly after?: EventCursor
}

export interface CountRow {
  /** UTC, `YYYY-MM-DD`. */
  readonly day: string
  readonly eventType: string
  readonly count: number
}

export interface UniqueRow {
  /** UTC, `YYYY-MM-DD`. */
  readonly day: string
  /** Different parties with an event on that day; events without a party have no part. */
  readonly parties: number
}

/**
 * What a top list counts by: a column, or what is derived from one. `page` is the location without
 * query and fragment; `referrer` is the host of the referer where it is not the location's own.
 */
export type Dimension = 'itemId' | 'page' | 'referrer' | 'country' | 'device' | 'browser' | 'system'

export interface TopRow {
  readonly value: string
  readonly count: number
}

/** The sessions that began on a day: events of one party that follow each other within 30 minutes. */
export interface SessionRow {
  readonly day: string
  readonly sessions: number
  /** Events in them. */
  readonly events: number
  /** Those with one page view or none. */
  readonly bounces: number
  /** From the first to the last event of each, summed, in ms. */
  readonly durationMs: number
}

/** Parties first seen in a week of the range (from Monday, UTC), and how many came again. */
export interface RetentionRow {
  /** The Monday. */
  readonly week: string
  readonly parties: number
  /** Of them, those with an event 0, 1, 2… weeks later; the first is `parties`. */
  readonly returned: readonly number[]
}

/**
 * What became of the events of a day's page views, recounted from `sequence`. A page view that shows
 * event number n has sent n + 1 events; what was lost after its last stored event does not show.
 */
export interface AccountingRow {
  readonly day: string
  readonly stored: number
  /** Numbers below the highest stored one of their page view that are not there. */
  readonly missing: number
  /** Receipts of stored events, beyond the first. */
  readonly repeated: number
  /** Refused requests and unreadable records, by the day of their receipt. */
  readonly rejected: number
}

export interface DeadLetterPage {
  readonly limit: number
  /** Go on after this one, in the order newest first. */
  readonly after?: Position
  readonly code?: string
}

/** How the store is, in numbers that can be alarmed on. */
export interface StoreHealth {
  readonly events: number
  /** ms since 1970 by the collector's clock: the newest receipt stored, or null when there is none. */
  readonly lastReceivedAt: number | null
  /** ms since 1970: when the last write was made by this process, or null. */
  readonly lastWrittenAt: number | null
  /** Receipts kept as repeats. */
  readonly duplicates: number
  /** Those that were not replayed yet. */
  readonly deadLetters: number
  /** Sizes on disk. */
  readonly bytes: number
}

export interface Store {
  /** The next offset to read for each partition of one log and topic. Empty when it is unknown. */
  positions(log: string, topic: string): Promise<ReadonlyMap<number, number>>

  /** The identities of the logs from which records of `topic` have been written. */
  logs(topic: string): Promise<readonly string[]>

  /**
   * Resolves when rows, dead letters and positions are durable, all or none. Batches may be cut
   * differently after a crash, and the same rows again change nothing. An event is known by
   * `(eventTime, eventId, partyId or '')`; one whose clock was wrong or absent by its claim.
   * A receipt of a stored event at another position with another `receivedAt` is a repeat.
   * @throws MillraceError `store_unavailable` when it can't be done now: try the same batch again;
   *   `record_invalid` when a row holds what no store can: nothing of the batch is written
   */
  write(batch: WriteBatch): Promise<WriteResult>

  /**
   * One page of events in the order of (eventTime, eventId, partyId), texts by their UTF-8 bytes.
   * @throws MillraceError `question_too_large` when it takes too long or too much memory, as any question
   */
  events(range: TimeRange, filter: Filter, page: EventPage): Promise<readonly Row[]>

  /** Events by day and event type, in that order. */
  counts(range: TimeRange, filter: Filter): Promise<readonly CountRow[]>

  /** Dead letters, newest first. */
  deadLetters(page: DeadLetterPage): Promise<readonly StoredDeadLetter[]>

  /** One dead letter by its position, or undefined. */
  deadLetter(position: Position): Promise<StoredDeadLetter | undefined>

  /**
   * Marks a dead letter as replayed.
   * @throws MillraceError `dead_letter_unknown`
   */
  markReplayed(position: Position, at: number): Promise<void>

  health(): Promise<StoreHealth>

  /** Deletes whole days (by event time, UTC) older than `days` before `now`; returns the rows deleted. */
  retain(days: number, now: number): Promise<number>

  /** Lets go of everything after the writes under way. The store can be opened again at once. */
  close(): Promise<void>
}
