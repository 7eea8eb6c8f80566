/**
 * What the API answers, in the shapes of JSON. Types only, so that pages and clients can use them.
 * Times are ISO 8601, UTC, with milliseconds.
 */

/** Any JSON value. */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [name: string]: Json }

export interface AgentAnswer {
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

/** One event. Nothing here depends on which of its receipts was kept but the receipt's own fields. */
export interface EventAnswer {
  readonly eventId: string
  readonly partyId: string | null
  readonly sessionId: string | null
  readonly pageViewId: string | null
  readonly eventType: string
  readonly eventTime: string
  /** What `eventTime` was taken from: client, wrong, absent, collector. */
  readonly clockSource: string
  readonly receivedAt: string
  /** null when the client's clock shows a time that no calendar has. */
  readonly clientTime: string | null
  readonly location: string | null
  readonly referer: string | null
  readonly remoteAddress: string
  readonly itemId: string | null
  /** As the client sent them: numbers keep all their digits. */
  readonly parameters: Json
  readonly sequence: number | null
  readonly firstInSession: boolean
  readonly newParty: boolean
  readonly corrupt: boolean
  readonly duplicate: boolean
  readonly bot: string | null
  readonly privacy: string | null
  readonly source: string
  /** ISO 3166-1 alpha-2. */
  readonly country: string | null
  readonly viewportWidth: number | null
  readonly viewportHeight: number | null
  readonly screenWidth: number | null
  readonly screenHeight: number | null
  readonly devicePixelRatio: number | null
  readonly userAgent: string | null
  readonly agent: AgentAnswer
}

/** GET /api/events */
export interface EventsAnswer {
  readonly events: readonly EventAnswer[]
  /** What to give as `after` for the next page; null when there is none. */
  readonly next: string | null
}

export interface CountAnswer {
  /** UTC, `YYYY-MM-DD`. */
  readonly day: string
  readonly eventType: string
  readonly count: number
}

/** A counted answer that may lack what was stored a moment ago. */
export interface DatedAnswer {
  /** What was stored until then is counted, the rest is being counted; absent where all is. */
  readonly asOf?: string
}

/** GET /api/counts */
export interface CountsAnswer extends DatedAnswer {
  readonly rows: readonly CountAnswer[]
}

/** GET /api/uniques */
export interface UniquesAnswer extends DatedAnswer {
  readonly rows: readonly { readonly day: string; readonly parties: number }[]
  /** Different parties in the whole range: less than the sum where parties come back. */
  readonly parties: number
}

/** GET /api/top-items */
export interface TopItemsAnswer extends DatedAnswer {
  readonly rows: readonly { readonly itemId: string; readonly count: number }[]
}

/** GET /api/top-pages: locations without query and fragment, by page views unless `eventType` is given. */
export interface TopPagesAnswer {
  readonly rows: readonly { readonly page: string; readonly count: number }[]
}

/** GET /api/top-referrers: hosts of other sites, by page views unless `eventType` is given. */
export interface TopReferrersAnswer {
  readonly rows: readonly { readonly referrer: string; readonly count: number }[]
}

/** GET /api/countries: ISO 3166-1 alpha-2, or `unknown`. */
export interface CountriesAnswer {
  readonly rows: readonly { readonly country: string; readonly count: number }[]
}

/** GET /api/devices?by=device|browser|system; without a known value, `unknown`. */
export interface DevicesAnswer {
  readonly rows: readonly { readonly device: string; readonly count: number }[]
}

/** GET /api/sessions: by the day on which they began. */
export interface SessionsAnswer {
  readonly rows: readonly {
    readonly day: string
    readonly sessions: number
    readonly events: number
    /** Sessions with one page view or none. */
    readonly bounces: number
    /** Mean time from the first to the last event, in seconds. */
    readonly meanSeconds: number
  }[]
}

/** GET /api/funnel?steps=a,b,c: parties that did the steps in this order. */
export interface FunnelAnswer {
  readonly rows: readonly { readonly step: string; readonly parties: number }[]
}

/** GET /api/retention: by the week (its Monday, UTC) in which a party was first seen. */
export interface RetentionAnswer {
  readonly rows: readonly {
    readonly week: string
    readonly parties: number
    /** Parties that came again 0, 1, 2… weeks later. */
    readonly returned: readonly number[]
  }[]
}

/** GET /api/accounting: sent = stored + rejected + missing. */
export interface AccountingAnswer {
  readonly rows: readonly {
    readonly day: string
    readonly sent: number
    readonly stored: number
    readonly rejected: number
    readonly missing: number
    readonly repeated: number
  }[]
}

/** GET /api/parties/ID: one party's way, newest session first. */
export interface PartyAnswer {
  readonly partyId: string
  readonly firstSeen: string | null
  readonly lastSeen: string | null
  readonly events: number
  readonly sessions: readonly {
    readonly start: string
    readonly end: string
    /** In the order of their time. */
    readonly events: readonly EventAnswer[]
  }[]
  /** What to give as `after` for older sessions; null when there are none. */
  readonly next: string | null
}

/** A record's place on the log. */
export interface PositionAnswer {
  readonly log: string
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

/** GET /api/recommendations/click-through */
export interface ClickThroughAnswer {
  readonly rows: readonly {
    /** Of the impression: UTC, `YYYY-MM-DD`. */
    readonly day: string
    readonly model: string
    /** From 1. */
    readonly position: number
    readonly impressions: number
    /** Impressions that were clicked within 24 hours. */
    readonly clicks: number
  }[]
  /** Clicks in the range without an impression of the same recommendation and item before. */
  readonly unmatchedClicks: number
  /** The newest recommendations that were seen. */
  readonly latest: readonly {
    readonly recommendationId: string
    /** ISO 8601. */
    readonly seenAt: string
    readonly items: readonly {
      readonly itemId: string
      readonly position: number
      readonly model: string
      readonly isClicked: boolean
    }[]
  }[]
}

export interface DeadLetterAnswer {
  readonly position: PositionAnswer
  readonly receivedAt: string
  readonly code: string
  readonly message: string
  /** What to do about it; null when the code is not of our table. */
  readonly hint: string | null
  readonly source: string
  /** What was refused, or the record's bytes in hex. */
  readonly body: string
  readonly bodyEncoding: 'text' | 'hex'
  /** More was there than `body` has. */
  readonly bodyTruncated: boolean
  readonly replayable: boolean
  readonly replayedAt: string | null
}

/** GET /api/dead-letters */
export interface DeadLettersAnswer {
  readonly deadLetters: readonly DeadLetterAnswer[]
  readonly next: string | null
}

/** POST /api/dead-letters/replay */
export interface DeadLettersReplayAnswer {
  /** Handed to the log again. */
  readonly replayed: number
  /** Those that are dead letters still, and why. */
  readonly failures: readonly {
    readonly position: PositionAnswer
    readonly error: ErrorDetail
  }[]
}

/** A line of POST /api/replay: any number of `progress`, then one `result` or `error`. */
export type ReplayLine =
  | { readonly progress: ReplayProgressAnswer }
  | { readonly result: ReplayResultAnswer }
  | ErrorAnswer

export interface ReplayProgressAnswer {
  readonly topic: string
  /** Records read so far, and those that the topic held at the start. */
  readonly read: number
  readonly total: number
}

export interface ReplayResultAnswer {
  readonly read: number
  readonly total: number
  /** False when it was stopped before the end. */
  readonly complete: boolean
}

/** POST /api/close: a line of progress from time to time, then the result or an error. */
export type CloseLine =
  | { readonly progress: CloseProgressAnswer }
  | { readonly result: CloseResultAnswer }
  | ErrorAnswer

export interface CloseProgressAnswer {
  /** UTC, `YYYY-MM-DD`. */
  readonly day: string
  /** Days done, and those to be done. */
  readonly done: number
  readonly total: number
}

export interface CloseResultAnswer {
  /** Days that were written, and what is in their files. */
  readonly days: number
  readonly rows: number
  readonly bytes: number
  /** False when it was stopped before the end. */
  readonly complete: boolean
}

/** POST /api/imports */
export interface ImportBegunAnswer {
  /** The first row that is not stored yet, from 0. */
  readonly next: number
}

/** POST /api/imports/rows */
export interface ImportWrittenAnswer {
  /** Events that are new; null from a store that cannot tell. */
  readonly inserted: number | null
  /** Rows that the store refused; they are dead letters. */
  readonly refused: readonly { readonly row: number; readonly reason: string }[]
}

/** POST /api/imports/forget */
export interface ImportForgottenAnswer {
  readonly log: string
}

/** POST /api/parties/ID/erase: the receipt of an erasure. */
export interface ErasureAnswer {
  /** SHA-256 of a salt of the store and the party's id, in hex: nothing else is kept of the party. */
  readonly party: string
  /** What was received until then is erased; later events of the party are stored. */
  readonly at: string
  /** `pending` while the log may hold records of the party that are not stored yet. */
  readonly state: 'pending' | 'final'
  readonly finalAt: string | null
  readonly places: readonly {
    /** `backups` are those that you made, and files that you exported. */
    readonly place: 'events' | 'repeats' | 'claims' | 'deadLetters' | 'log' | 'backups'
    readonly state: 'deleted' | 'expires' | 'yours'
    /** Rows deleted; null where they are not counted. */
    readonly rows: number | null
    /** The latest moment at which the place lets go of it. */
    readonly expiresAt: string | null
  }[]
  /** Records of the party that came again since, and were not stored. */
  readonly dropped: number
}

/** GET /api/erasures */
export interface ErasuresAnswer {
  readonly erasures: readonly ErasureAnswer[]
}

/** GET /api/health */
export interface HealthAnswer {
  /** False when events are not taken or stored, or the store cannot be asked; then it comes with 503. */
  readonly ok: boolean
  readonly problem: string | null
  /** Records on the log that are not stored yet; null when nobody knows. */
  readonly lag: number | null
  /** `running`, `waiting` while it cannot store, `stopped` where another process consumes. */
  readonly consumer: string
  /** When the newest stored event was received, by the collector's clock. */
  readonly lastStoredAt: string | null
  /** When this process last wrote to the store. */
  readonly lastWrittenAt: string | null
  /** The numbers of the store: null when it cannot be asked. */
  readonly events: number | null
  /** Receipts of events that were stored already. */
  readonly duplicates: number | null
  readonly deadLetters: number | null
  readonly storeBytes: number | null
  /** The store partition with most rows; null where there are none. */
  readonly fullestBucket: { readonly name: string; readonly rows: number } | null
  readonly liveStreams: number
  /** Where events can be sent, when the same process collects. */
  readonly collectorUrl: string | null
  readonly version: string
  /** The clock of the answer: ages are to be taken from it, not from the reader's clock. */
  readonly now: string
}

export interface ErrorDetail {
  readonly code: string
  readonly message: string
  readonly hint: string
}

/** Every answer that is an error. */
export interface ErrorAnswer {
  readonly error: ErrorDetail
}
