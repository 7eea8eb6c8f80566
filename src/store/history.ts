import type { Erasure, Position, TimeRange } from './store.ts'

/** What moving from one store to another needs beside the contract. */

/** A further receipt of a stored event, known by the event's key. */
export interface Repeat {
  readonly eventTime: number
  readonly eventId: string
  /** '' for none. */
  readonly partyId: string
  /** ms since 1970. */
  readonly receivedAt: number
  readonly position: Position
}

/** A store that can be moved away from. */
export interface HistorySource {
  /**
   * Repeats of events of the range, in the order of (eventTime, eventId, partyId, receivedAt,
   * position); at most `limit`, after `after`.
   */
  repeats(range: TimeRange, limit: number, after?: Repeat): Promise<readonly Repeat[]>
  /** How many there are. */
  countRepeats(range: TimeRange): Promise<number>
  /** What the erasures' hashes are made with; undefined while there are none. */
  erasureSalt(): Promise<string | undefined>
}

/** A store that can be moved to, before it is opened to write. */
export interface HistoryTarget {
  /**
   * Fixes the layout of days that have none yet, by the number of events that each is expected to
   * have, so that it need not be guessed when their first rows come.
   * @param expected events by day (UTC, `YYYY-MM-DD`)
   */
  layOut(expected: ReadonlyMap<string, number>): Promise<void>
  /**
   * Takes over final erasures with the hashes that they have. The same again changes nothing.
   * @throws MillraceError `migrate_refused` when it has made hashes of its own
   */
  adoptErasures(salt: string, erasures: readonly Erasure[]): Promise<void>
  close(): Promise<void>
}
