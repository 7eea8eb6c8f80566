import type { MillraceError } from '../event/error.ts'
import type { Event } from '../event/event.ts'

/** What is imported: rows in an order of their own, which can be read again from the start. */

/** One row that is an event. `row` counts from 0 and is its offset. */
export interface EventItem {
  readonly row: number
  readonly event: Event
}

/** One row that cannot be an event. */
export interface RefusedItem {
  readonly row: number
  /** Where and why: `line 18: …`. */
  readonly reason: string
  /** The row as it stood there, cut at a limit. */
  readonly text: string
}

export type ImportItem = EventItem | RefusedItem

/** How a reading ended. */
export interface SourceEnd {
  /** The identity of what was read: the same content by the same options has the same one. */
  readonly log: string
  /** Why it could not be read further, or null; rows before it are sound. */
  readonly fault: MillraceError | null
}

/** One pass over a source. */
export interface ImportReading {
  /** The rows, some at a time. @throws MillraceError when none can be read: wrong columns, no file */
  readonly items: AsyncIterable<readonly ImportItem[]>
  /** To be asked when `items` has ended. */
  readonly end: () => SourceEnd
  /** How far it is, in bytes of the source; for progress. */
  readonly done: () => number
  readonly total: () => number
}

export interface ImportSource {
  /** Begins a pass; each gives the same rows. */
  read(): ImportReading
}

export function isRefused(item: ImportItem): item is RefusedItem {
  return 'reason' in item
}
