import type { EventId, PageViewId, PartyId, SessionId } from '../event/identifier.ts'
import { encodeMincode } from '../event/mincode.ts'
import { isPartyRefused } from './consent.ts'
import { watchPageViews } from './navigation.ts'
import { type CookieOptions, createParty, makePageViewId } from './party.ts'
import { buildQuery, type Parameter } from './query.ts'
import { createQueue } from './queue.ts'

/** What a page sees as `divolte`: the eight members of Divolte's API, in its order. */
export interface Tag {
  /** null when the person refuses to be known (Global Privacy Control, Do Not Track). */
  readonly partyId: PartyId | null
  /** The session; a new one once the page was idle past the timeout. null as above. */
  readonly sessionId: SessionId | null
  /** null until the first page view begins, as on a page that loads hidden. */
  readonly pageViewId: PageViewId | null
  /** True when the party was made as the tag started; never changes. */
  readonly isNewPartyId: boolean
  /** True when the session was made as the tag started; never changes. */
  readonly isFirstInSession: boolean
  /** True when the page view's identifier came with the address of the script. */
  readonly isServerPageView: boolean
  /**
   * Queues an event and returns its identifier, or null without a type. `parameters` is anything
   * that JSON can say.
   * @throws string `Cannot encode of type: …` for a function, symbol or bigint in `parameters`
   */
  readonly signal: (type: string, parameters?: unknown) => EventId | null
  /**
   * Calls back once all events signalled before have been answered, have failed or have timed out,
   * at the latest after `timeoutMs`; at once when none is on its way.
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
  readonly serverPageViewId: string
}

/** The window of the browser: all that the tag knows of the world but the clock. */
export type Page = Window & typeof globalThis

/** Starts a tag in `page`: the page view begins now if the page is shown, or when it first is. */
export function startTag(page: Page, address: TagAddress, options: TagOptions): Tag {
  const party = isPartyRefused(page) ? undefined : createParty(page, options, Date.now())
  const queue = createQueue(page, address.eventUrl, options.eventTimeoutMs)
  let counter = 0

  const tag: { -readonly [Key in keyof Tag]: Tag[Key] } = {
    partyId: party?.partyId ?? null,
    sessionId: party?.sessionId ?? null,
    pageViewId: null,
    isNewPartyId: !!party?.isNew,
    isFirstInSession: !!party?.isFirstInSession,
    isServerPageView: address.serverPageViewId !== '',
    signal,
    whenCommitted: queue.whenCommitted,
  }

  function beginPageView(): void {
    if (address.serverPageViewId) tag.pageViewId = address.serverPageViewId as PageViewId
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
    if (party) {
      party.renewSession(timeMs)
      tag.sessionId = party.sessionId
    }
    // Counted even if the parameters cannot be encoded, as Divolte does: the gap shows the loss.
    const eventId = `${tag.pageViewId}${(counter++).toString(16)}` as EventId
    const query = buildQuery([
      ['p', party?.partyId],
      ['s', party?.sessionId],
      ['g', party ? undefined : 1],
      ['v', tag.pageViewId],
      ['e', eventId],
      ['c', timeMs],
      ['n', party && flag(party.isNew)],
      ['f', party && flag(party.isFirstInSession)],
      ...pageParameters(page),
      ['t', type],
      // An object whose toJSON says undefined is sent as that word: Divolte does, and it is an event.
      ['u', parameters === undefined ? parameters : `${encodeMincode(parameters)}`],
    ])
    party?.remember(timeMs)
    queue.send(query)
    return eventId
  }

  watchPageViews(page, () => tag.pageViewId !== null, beginPageView)
  return tag
}

function flag(isSet: boolean): 't' | 'f' {
  return isSet ? 't' : 'f'
}

/** The page and the screen as they are at this moment. */
function pageParameters(page: Page): readonly Parameter[] {
  return [
    ['l', page.location.href],
    ['r', page.document.referrer || undefined],
    ['i', page.screen.availWidth],
    ['j', page.screen.availHeight],
    ['k', page.devicePixelRatio],
    ['w', page.innerWidth],
    ['h', page.innerHeight],
  ]
}
