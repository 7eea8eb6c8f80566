import type { ErrorCode } from '../event/error.ts'
import type { Event } from '../event/event.ts'
import { minuteMs } from '../lib/clock.ts'
import type { ClickThrough } from './exposure.ts'
import type { OnBehind, StoreHealth } from './health.ts'
import type { HasModels } from './models.ts'

export type { OnBehind, StoreHealth } from './health.ts'

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
  /**
   * The positions may be before those that the store has. Otherwise, where several processes write, a
   * lower one changes nothing: its consumer stood still while another went on.
   */
  readonly setsBack?: boolean
}

/** What one write changed; a store that writes without looking first can't tell. */
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
  /** ISO 3166-1 alpha-2, or `unknownValue`. */
  readonly country?: string
  /** The agent's device category, or `unknownValue`. */
  readonly device?: string
}

/** Stands for a country, device, browser or system that nobody knows, in filters and top lists. */
export const unknownValue = 'unknown'

/** A party's next event belongs to the same session unless more than this lies between the two. */
export const sessionGapMs = 30 * minuteMs

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

export interface Uniques {
  /** In the order of the days; a day without a party has no row. */
  readonly rows: readonly UniqueRow[]
  /** Different parties in the whole range. */
  readonly parties: number
}

/** How many events there are, and how far they reach; times in ms since 1970, null without events. */
export interface Extent {
  readonly events: number
  readonly firstTime: number | null
  readonly lastTime: number | null
}

/**
 * What a top list counts by: a column, or what is derived from one. `page` is the location without
 * query and fragment, where it is http(s); `referrer` is the host of an http(s) referer, in lower
 * case and without its port, where it is not the location's own. An event without an item, page or
 * referrer has no part; one without a country, device (category), browser (name) or (operating)
 * system counts under `unknownValue`.
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
  /** Numbers below the highest of their page view that are not there; page views likewise, as one. */
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

/** Rows of one party. */
export interface PartyRows {
  readonly events: number
  /** Further receipts of its events. */
  readonly repeats: number
  /** Times kept for events whose clock was wrong or absent. */
  readonly claims: number
  /** Refused requests and unreadable records that name it. */
  readonly deadLetters: number
}

/** One party's erasure, as it is kept for ever: of the party only a hash, once it is final. */
export interface Erasure {
  /** SHA-256 of a salt of this store and the party's id, in hex. */
  readonly party: string
  /** ms since 1970: what was received until then is gone, what comes later is stored. */
  readonly at: number
  /** What was deleted. */
  readonly deleted: PartyRows
  /** Records of the party that were dropped since because they are erased: late ones, replays. */
  readonly dropped: number
  /** ms since 1970: when nothing of the party was left, on the disk neither; null until then. */
  readonly finalAt: number | null
}

/** A day that has rows: open ones, and ones in a file of its own. */
export interface DayState {
  /** UTC, `YYYY-MM-DD`. */
  readonly day: string
  /** Rows that are not in the day's file: all of them until it is closed, late ones after. */
  readonly openRows: number
  readonly closedRows: number
  /** Size of the file; 0 while the day is open. */
  readonly bytes: number
  /** How often the day was written; 0 while it is open. */
  readonly version: number
}

/** What `closeDay` did. */
export interface ClosedDayResult {
  /** False when there was nothing to do: no rows, or none that are not in the day's file. */
  readonly isWritten: boolean
  /** Rows in the day's file now. */
  readonly rows: number
  readonly bytes: number
  readonly version: number
}

/** How far a partition of a log is stored. */
export interface PartitionProgress {
  /** The next one to read. */
  readonly offset: number
  /** ms since 1970: the newest receipt among its stored records, imports left out; null without any. */
  readonly receivedAt: number | null
}

export interface Store extends HasModels {
  /** The next offset to read for each partition of one log and topic. Empty when it is unknown. */
  positions(log: string, topic: string): Promise<ReadonlyMap<number, number>>

  /** How far each partition of one log and topic is stored; what `positions` says and more. */
  progress(log: string, topic: string): Promise<ReadonlyMap<number, PartitionProgress>>

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
  write(batch: WriteBatch): Promise<WriteResult | undefined>

  /**
   * One page of events in the order of (eventTime, eventId, partyId), texts by their UTF-8 bytes.
   * @throws MillraceError `question_too_large` when it takes too long or too much memory, as any question
   */
  events(range: TimeRange, filter: Filter, page: EventPage): Promise<readonly Row[]>

  /** Events by day and event type, in that order. */
  counts(range: TimeRange, filter: Filter, onBehind?: OnBehind): Promise<readonly CountRow[]>

  /** How many events there are, and the times of the first and the last. */
  extent(range: TimeRange, filter: Filter): Promise<Extent>

  /** Different parties by day, and in the whole range. */
  uniques(range: TimeRange, filter: Filter, onBehind?: OnBehind): Promise<Uniques>

  /** The `limit` values with most events, most first; of equal counts the value that sorts first. */
  top(
    dimension: Dimension,
    range: TimeRange,
    filter: Filter,
    limit: number,
    onBehind?: OnBehind,
  ): Promise<readonly TopRow[]>

  /**
   * Sessions, made of the events that the filter lets through, by the day on which they began: those
   * that began in the range, with all their events. A party's events of the 30 minutes before the
   * range say whether its first one goes on with an older session, which then is none of the
   * range's; a session that goes on after the range is followed for up to 24 hours. So a day has
   * the same row in every range that holds the whole day.
   */
  sessions(range: TimeRange, filter: Filter): Promise<readonly SessionRow[]>

  /**
   * How many parties did the first step, the first two, and so on: events of these types in this
   * order, by (eventTime, eventId), all in the range; one event is one step at most.
   * @param steps event types, at least one; the same one may come again
   */
  funnel(range: TimeRange, filter: Filter, steps: readonly string[]): Promise<readonly number[]>

  /**
   * Parties whose first stored event (of those that the filter lets through) is in the range, by its
   * week, and how many of them had an event in that and each later week of the range. Weeks without
   * new parties have no row. What retention deleted cannot be known: a party may have been older.
   */
  retention(range: TimeRange, filter: Filter): Promise<readonly RetentionRow[]>

  /**
   * What became of what was sent, day by day. `missing` is placed on the day on which its page view
   * began, and a page view's events are looked for up to 7 days before and after the range, so a
   * day has the same row in every range that holds it. A number above 10,000 says nothing about
   * others: no page gets there, and anybody could make one up. Replayed dead letters are not
   * `rejected` any more; whether one came from a bot is not known, so `bots` does not change them.
   */
  accounting(range: TimeRange, filter: Pick<Filter, 'bots'>): Promise<readonly AccountingRow[]>

  /**
   * Which recommendations were seen, and clicked: see exposure.ts for what belongs together. The
   * filter is one of the impressions and of the clicks. A day has the same rows in every range that
   * holds it.
   */
  clickThrough(range: TimeRange, filter: Filter): Promise<ClickThrough>

  /** Dead letters, newest first. */
  deadLetters(page: DeadLetterPage): Promise<readonly StoredDeadLetter[]>

  /** One dead letter by its position, or undefined. */
  deadLetter(position: Position): Promise<StoredDeadLetter | undefined>

  /** Marks a dead letter as replayed. @throws MillraceError `dead_letter_unknown` */
  markReplayed(position: Position, at: number): Promise<void>

  /** How many rows there are of a party. */
  partyRows(partyId: string): Promise<PartyRows>

  /**
   * Erases a party: notes it durably first, so that from then on `write` drops and counts what was
   * received until `at`, then deletes what is stored. It becomes final by `settleErasures`.
   */
  erase(partyId: string, at: number): Promise<Erasure>

  /**
   * Deletes once more what the erasures of until `before` are about, removes every trace of it from
   * the disk and makes them final. To be called when all that the log held at `before` is stored:
   * dead letters that were on their way may name the party.
   */
  settleErasures(before: number, now: number): Promise<void>

  /** All erasures, or those of one party; newest first. */
  erasures(partyId?: string): Promise<readonly Erasure[]>

  /**
   * Writes a copy of the store in one moment of it, durable, into an empty folder of the same disk:
   * opened in a folder of its own, it gives the same answers. Writes wait meanwhile.
   */
  snapshot(folder: string): Promise<void>

  /** Every day that has rows, oldest first. */
  days(): Promise<readonly DayState[]>

  /**
   * Writes the rows of a day (UTC, `YYYY-MM-DD`) to where they are small and fast to read, together
   * with those that were there already. No answer changes by it, nor does what `write` makes of a
   * row; rows may still come. Writes and questions go on meanwhile.
   * @throws MillraceError `store_corrupt` when the day's file cannot be read, `store_unavailable`
   *   when it can't be done now: nothing is changed
   */
  closeDay(day: string): Promise<ClosedDayResult>

  health(): Promise<StoreHealth>

  /** Deletes whole days (by event time, UTC) older than `days` before `now`; returns the rows deleted. */
  retain(days: number, now: number): Promise<number>

  /**
   * Keeps these days (UTC, `YYYY-MM-DD`) from `retain` for the sake of an import, known by its log,
   * until `forgetDays`. The same again changes nothing; true when one of them was not kept before.
   * @throws MillraceError `import_outside_retention` where the store cannot keep them
   */
  keepDays(log: string, days: readonly string[]): Promise<boolean>

  /** Ends the keeping of an import's days; a day that another import keeps is kept on. */
  forgetDays(log: string): Promise<void>

  /** Lets go of everything after the writes under way. The store can be opened again at once. */
  close(): Promise<void>
}
