import type { EventId, PageViewId, PartyId, SessionId } from '../event/identifier.ts'
import { encodeMincode } from '../event/mincode.ts'
import { watchPageViews } from './navigation.ts'
import { type CookieOptions, createParty, makePageViewId, type Party } from './party.ts'
import { isPartyRefused } from './privacy.ts'
import { buildQuery, type Parameter } from './query.ts'
import { createQueue, type Queue } from './queue.ts'

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
   * Queues an event and returns its identifier, or null without a type, and while a module holds
   * events back: one that may never be sent has no number. `parameters` is anything that JSON can say.
   * @throws string `Cannot encode of type: …` for a function, symbol or bigint in `parameters`
   */
  readonly signal: (type: string, parameters?: unknown) => EventId | null
  /**
   * Calls back once all events signalled before have been answered, have failed or have timed out,
   * at the latest after `timeoutMs`; at once when none is on its way.
   */
  readonly whenCommitted: (callback: () => void, timeoutMs?: number) => void
  /** With the module `consent` only. */
  readonly consent?: Consent
  /** With the module `shelf` only. */
  readonly shelf?: Shelf
}

/**
 * Replaces what is in `place` with recommendations, and tells which were seen and clicked.
 * @returns how many there are; 0 when there are none, they cannot be had, or the person has refused:
 *   then `place` stays as it is. Before a consent it waits.
 */
export type Shelf = (place: Element, options: ShelfOptions) => Promise<number>

export interface ShelfOptions {
  /** Of the session as the page knows it, the current one last; none is needed. */
  readonly items?: readonly string[]
  /** Not to be recommended. */
  readonly exclude?: readonly string[]
  /** 6 unless given. */
  readonly limit?: number
  /** Draws an item; nothing for one that the page cannot show. */
  readonly draw: (item: ShelfItem) => Element | null | undefined
}

export interface ShelfItem {
  readonly itemId: string
  /** Why, as a person reads it. */
  readonly reason: string
  /** From 1. */
  readonly position: number
}

/** How a page says what the person answered; it may change its mind, and say the same twice. */
export interface Consent {
  /** Sends what was held, and from now on all that is signalled. */
  readonly grant: () => void
  /** Deletes what was held, the queue in storage and both cookies; later events are dropped. */
  readonly deny: () => void
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

/** A part of the tag that a site may choose: it changes the core before the first page view. */
export type TagModule = (core: TagCore) => void

/** What modules may see and change. */
export interface TagCore {
  readonly page: Page
  readonly address: TagAddress
  readonly options: TagOptions
  readonly tag: { -readonly [Key in keyof Tag]: Tag[Key] }
  queue: Queue
  /** Reads or makes the party, once no hold is left and the person does not refuse. */
  createParty: typeof createParty
  /** As `fetch` has it. */
  credentials?: RequestCredentials
  /** Makes the identifier of a page view that the server has not named. */
  createPageViewId: () => PageViewId
  /** The parameters of the page view event, none by default. */
  describePageView: (referrer: string) => object | undefined
  /** True: what is signalled while events are held is not even kept. */
  isDropping: boolean
  /** Called as a page view ends because another begins; events signalled then belong to it. */
  readonly onPageViewEnd: (() => void)[]
  /** Holds all events back until the returned function is called. Every hold has to be let go. */
  readonly hold: () => () => void
  /** Forgets what is held, what is queued, and the party. */
  forget: () => void
  /** Begins the page view of a route inside this page, unless none has begun. */
  readonly beginRoute: (referrer: string) => void
}

interface PageView {
  readonly id: PageViewId
  /** The route before, or what the document says: '' for none. */
  readonly referrer: string
  /** Events so far. */
  count: number
}

interface State {
  /** Reasons why no event may go now. */
  holds: number
  /** Events that wait for the last hold to go; those that are never sent get no number. */
  held: (() => void)[]
  party?: Party | undefined
  view?: PageView
}

/** Most events that are held back, in memory; later ones are not kept. */
const heldMax = 500

/** Starts a tag in `page`: the page view begins now if the page is shown, or when it first is. */
export function startTag(
  page: Page,
  address: TagAddress,
  options: TagOptions,
  modules: readonly TagModule[] = [],
): Tag {
  const state: State = { holds: 1, held: [] }
  const tag: TagCore['tag'] = {
    partyId: null,
    sessionId: null,
    pageViewId: null,
    isNewPartyId: false,
    isFirstInSession: false,
    isServerPageView: !!address.serverPageViewId,
    signal: (type, parameters) => {
      if (!state.view) beginPage()
      return type ? signalEvent(core, state, type, parameters) : null
    },
    whenCommitted: (callback, timeoutMs) => core.queue.whenCommitted(callback, timeoutMs),
  }
  const core: TagCore = {
    page,
    address,
    options,
    tag,
    queue: createQueue(page, address.eventUrl, options.eventTimeoutMs),
    createParty,
    createPageViewId: () => makePageViewId(page),
    describePageView: () => undefined,
    isDropping: false,
    onPageViewEnd: [],
    hold: () => {
      state.holds++
      return () => release(core, state)
    },
    forget: () => {
      state.held = []
      state.party = undefined
      tag.partyId = tag.sessionId = null
      core.queue.forget()
    },
    beginRoute: (referrer) => {
      if (state.view) beginPageView(core.createPageViewId(), referrer)
    },
  }

  function beginPage(event?: { readonly persisted?: boolean }): void {
    // Chromium fires `pageshow` in a page too that is left before it has loaded.
    if (event && event.persisted === false) return
    const id = address.serverPageViewId as PageViewId
    // A page view that the server has named goes on counting out of the back/forward cache.
    const { id: shownId, count }: Partial<PageView> = state.view || {}
    const { referrer } = page.document
    beginPageView(id || core.createPageViewId(), referrer, id === shownId ? count : 0)
  }

  function beginPageView(id: PageViewId, referrer: string, count = 0): void {
    if (state.view) for (const end of core.onPageViewEnd) end()
    state.view = { id, referrer, count }
    tag.pageViewId = id
    if (options.autoPageView) tag.signal('pageView', core.describePageView(referrer))
  }

  for (const add of modules) add(core)
  release(core, state)
  watchPageViews(page, () => state.view, beginPage)
  return tag
}

/** Lets one hold go; with the last one the party is known and events are sent. */
function release(core: TagCore, state: State): void {
  if (--state.holds) return
  const { page, tag } = core
  if (!isPartyRefused(page)) {
    const party = core.createParty(page, core.options, Date.now())
    state.party = party
    tag.partyId = party.partyId || null
    tag.sessionId = party.sessionId
    tag.isNewPartyId = party.isNew
    tag.isFirstInSession = party.isFirstInSession
  }
  core.queue.open(!!state.party)
  for (const send of state.held.splice(0)) send()
}

function signalEvent(
  core: TagCore,
  state: State,
  type: string,
  parameters: unknown,
): EventId | null {
  const view = state.view as PageView
  const timeMs = Date.now()
  const createEventId = () => `${view.id}${(view.count++).toString(16)}` as EventId
  // Counted even if the parameters cannot be encoded, as Divolte does: the gap shows the loss.
  const eventId = state.holds ? null : createEventId()
  const pageParameters = readPage(core.page, view.referrer)
  // An object whose toJSON says undefined is sent as that word: Divolte does, and it is an event.
  const encoded = parameters === undefined ? parameters : `${encodeMincode(parameters)}`
  if (eventId) send(eventId)
  else if (!core.isDropping && state.held.length < heldMax) {
    state.held.push(() => send(createEventId()))
  }
  return eventId

  function send(eventId: EventId): void {
    const { party } = state
    if (party) core.tag.sessionId = party.renewSession(timeMs)
    const known: Partial<Party> = party || {}
    const query = buildQuery([
      ['g', party ? undefined : 1],
      ['p', known.partyId],
      ['s', known.sessionId],
      ['v', view.id],
      ['e', eventId],
      ['c', timeMs],
      // `t` or `f`.
      ['n', party && `${party.isNew}`[0]],
      ['f', party && `${party.isFirstInSession}`[0]],
      ...pageParameters,
      ['t', type],
      ['u', encoded],
    ])
    if (party) party.remember(timeMs)
    core.queue.send(query)
  }
}

/** The page and the screen as they are at this moment. */
function readPage(page: Page, referrer: string): readonly Parameter[] {
  return [
    ['l', page.location.href],
    ['r', referrer || undefined],
    ['i', page.screen.availWidth],
    ['j', page.screen.availHeight],
    ['k', page.devicePixelRatio],
    ['w', page.innerWidth],
    ['h', page.innerHeight],
  ]
}
