import type { EventId, PageViewId, PartyId, SessionId } from './identifier.ts'

/** Where an event entered. */
export const Source = { Tag: 'tag', Json: 'json' } as const
export type Source = (typeof Source)[keyof typeof Source]

/**
 * What `eventTime` was taken from.
 * - `client`: the client's time, which lay within the bounds around `receivedAt`.
 * - `wrong`: the client's time lay outside; `eventTime` is `receivedAt`.
 * - `absent`: the client sent an event id but no time; `eventTime` is `receivedAt`.
 * - `collector`: the client sent neither; id and time are the collector's, so no other receipt of
 *   this event can exist.
 * Receipts of one event can disagree about its time only under `wrong` and `absent`: for those the
 * store keeps a claim.
 */
export const ClockSource = {
  Client: 'client',
  Wrong: 'wrong',
  Absent: 'absent',
  Collector: 'collector',
} as const
export type ClockSource = (typeof ClockSource)[keyof typeof ClockSource]

/** Why an event carries no party: what the person, or the site, decided. */
export const Privacy = { Gpc: 'gpc', Dnt: 'dnt', Cookieless: 'cookieless' } as const
export type Privacy = (typeof Privacy)[keyof typeof Privacy]

/** Something that happened on a page, as the collector received and understood it. */
export interface Event {
  readonly eventId: EventId
  /** null when the person or the site wants no party to be known; see `privacy`. */
  readonly partyId: PartyId | null
  readonly sessionId: SessionId | null
  readonly pageViewId: PageViewId | null
  readonly eventType: string
  /** ms since 1970: the time that places the event in a day. */
  readonly eventTime: number
  readonly clockSource: ClockSource
  /** ms since 1970: stamped once, by the collector. */
  readonly receivedAt: number
  /** ms since 1970 by the client's clock; `receivedAt` when it sent none. */
  readonly clientTime: number
  readonly location: string | null
  readonly referer: string | null
  /** Masked, full or '' by the collector's setting. */
  readonly remoteAddress: string
  /** JSON text, or null when the event has none. */
  readonly parameters: string | null
  readonly itemId: string | null
  /** The counter in the event id, scoped to its page view. */
  readonly sequence: number | null
  readonly firstInSession: boolean
  readonly newParty: boolean
  /** Divolte's flag, kept as it came; always false from our collector, which lets the store decide. */
  readonly duplicate: boolean
  /** The checksum is missing or does not match. */
  readonly corrupt: boolean
  readonly viewportWidth: number | null
  readonly viewportHeight: number | null
  readonly screenWidth: number | null
  readonly screenHeight: number | null
  readonly devicePixelRatio: number | null
  readonly userAgent: string | null
  readonly agent: Agent
  /** Why this is taken for a bot, or null. */
  readonly bot: string | null
  readonly privacy: Privacy | null
  readonly source: Source
  /** ISO 3166-1 alpha-2, from the sender's address before it was masked; null when it is not known. */
  readonly country: string | null
}

/** What the user agent says of itself; null where it does not. Names are those of Divolte's record. */
export interface Agent {
  readonly name: string | null
  readonly family: string | null
  readonly vendor: string | null
  readonly type: string | null
  readonly version: string | null
  readonly deviceCategory: string | null
  readonly osFamily: string | null
  readonly osVersion: string | null
  readonly osVendor: string | null
}

/** A request, or one event of a batch, that the collector refused; kept so that it can be replayed. */
export interface Rejection {
  /** ms since 1970. */
  readonly receivedAt: number
  /** A code of error.ts. */
  readonly code: string
  readonly message: string
  readonly source: Source
  /** The query string, or the JSON text of the event; cut at the collector's limit. */
  readonly body: string
  /** True when `body` was cut: it cannot be replayed. */
  readonly truncated: boolean
  /** What a replay needs beside the body: never more than the event itself would have kept. */
  readonly remoteAddress: string
  readonly userAgent: string | null
  readonly privacy: Privacy | null
  /** The kept address may no longer tell it, and another database another one. */
  readonly country: string | null
}
