import type { EventId, PageViewId, PartyId, SessionId } from '../event/identifier.ts'
import { encodeMincode } from '../event/mincode.ts'
import { isPartyRefused } from './consent.ts'
import { watchPageViews } from './navigation.ts'
import { type CookieOptions, createParty, makePageViewId } from './party.ts'
import { buildQuery, type Parameter } from './query.ts'
import { createQueue } from './queue.ts'

/** What a page sees as `divolte`: the eight members of Divolte's API. */
export interface Tag {
  /** null when the person refuses to be known (Global Privacy Control, Do Not Track). */
  readonly partyId: PartyId | null
  /** The session of the last event; a new one once the page was idle past the timeout. null as above. */
  readonly sessionId: SessionId | null
  /** null until the first page view begins, as on a page that loads hidden. */
  readonly pageViewId: PageViewId | null
  /** True when the party was made as the tag started; never changes. */
  readonly isNewPartyId: boolean
  /** True when the session was made as the tag started; never changes. */
  readonly isFirstInSession: boolean
  /** True when the page view's identifier came with the script's address. */
  readonly isServerPageView: boolean
  /**
   * Queues an event and returns its identifier, or null without a type. `parameters` is anything
   * that JSON can say.
   * @throws string `Cannot encode of type: …` for a function, symbol or bigint in `parameters`
   */
  readonly signal: (type: string, parameters?: unknown) => EventId | null
  /**
   * Calls back once all events signalled before have been answered, have failed or have timed out;
   * at the latest after `timeoutMs`.
   */
  readonly whenCommitted: (callback: () => void, timeoutMs?: number) => void
}

/** How a tag behaves; see `tag` in config.ts. */
export interface TagOptions extends CookieOptions {
  readonly autoPageView: boolean
  readonly eventTimeoutMs: number
}

/** Where events go, and the page view that the server of the page has named, if it has. */
export interface TagAddress {
  readonly eventUrl: string
  readonly serverPageViewId?: string | undefined
}

/** The browser's window, or a test's. */
export type Page = Window & typeof globalThis

type Mutable<Type> = { -readonly [Key in keyof Type]: Type[Key] }

/** Starts a tag in `page`: sends the page view now if the page is shown, or when it first is. */
export function startTag(page: Page, { eventUrl, serverPageViewId }: TagAddress, options: TagOptions): Tag {
  const party = isPartyRefused(page) ? null : createParty(page, options, Date.now())
  const queue = createQueue(page, eventUrl, options.eventTimeoutMs)
  let counter = 0

  const tag: Mutable<Tag> = {
    partyId: party && party.partyId,
    sessionId: party && party.sessionId,
    pageViewId: null,
    isNewPartyId: !!party && party.isNew,
    isFirstInSession: !!party && party.isFirstInSession,
    isServerPageView: !!serverPageViewId,
    signal,
    whenCommitted: queue.whenCommitted,
  }

  function beginPageView(): void {
    if (serverPageViewId) tag.pageViewId = serverPageViewId as PageViewId
    else {
      tag.pageViewId = makePageViewId(page)
      counter = 0
    }
    if (options.autoPageView) signal('pageView')
  }

  function signal(type: string, parameters?: unknown): EventId | null {
    if (tag.pageViewId === null) beginPageView()
    if (!type) return null
    const timeMs = Date.now()
    party?.renewSession(timeMs)
    if (party) tag.sessionId = party.sessionId
    // Counted before anything can throw: a number that never arrives is a loss that can be seen.
    const eventId = `${tag.pageViewId}${(counter++).toString(16)}` as EventId
    const query = buildQuery([
      ...identityParameters(party),
      ['v', tag.pageViewId],
      ['e', eventId],
      ['c', timeMs],
      ...flagParameters(party),
      ...pageParameters(page),
      ['t', type],
      ['u', parameters === undefined ? parameters : `${encodeMincode(parameters)}`],
    ])
    party?.remember(timeMs)
    queue.send(query)
    return eventId
  }

  watchPageViews(page, () => tag.pageViewId !== null, beginPageView)
  return tag
}
