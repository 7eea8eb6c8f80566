import { sessionItemsUsed } from './recommend.ts'
import { type FinishedSession, ownerOf, type Sessions } from './sessions.ts'

/** An event with an item, as far as a model needs it. */
export interface Click {
  /** The party, or the session where there is no party. */
  readonly key: string
  readonly sessionId: string | null
  readonly itemId: string
  readonly timeMs: number
  /** 1 to 255, by its event type. */
  readonly weight: number
  /** It says that the item was bought. */
  readonly isBought: boolean
}

/** What is known of a session that may go on. */
export interface KnownSession {
  /** In the order of their last clicks. */
  readonly items: readonly string[]
  readonly bought: readonly string[]
}

/** Sessions under way: clicks go in, and a session goes on to `Sessions` when it is over. */
export interface OpenSessions {
  /** In the order of time, as far as possible; the same click again changes nothing. */
  readonly add: (click: Click) => void
  readonly ofParty: (key: string) => KnownSession | undefined
  readonly ofSession: (sessionId: string) => KnownSession | undefined
  /** Hands over what has had no click for the gap. */
  readonly finish: (nowMs: number) => void
  /** Those that an index may hold already. */
  readonly unfinished: () => readonly FinishedSession[]
  readonly forget: (key: string) => void
  readonly size: () => number
  /** Another number after each click that was put in and each party that was taken out. */
  readonly revision: () => number
}

export interface OpenSessionsOptions {
  /** A click later than this after the one before begins a new session, ms. */
  readonly gapMs: number
  /** A session with more clicks is taken for a bot's: no model learns from it. */
  readonly sessionClicksMax: number
  /** Most sessions under way; the one that rests longest is finished early. */
  readonly sessionsMax: number
}

interface ItemState {
  timeMs: number
  weight: number
}

interface OpenSession {
  readonly key: string
  sessionId: string | null
  /** By number, in the order of the last clicks. */
  readonly items: Map<number, ItemState>
  readonly bought: Set<number>
  lastMs: number
  clicks: number
}

/** Items kept of a session that nobody will learn from any more. */
const botItemsMax = 2 * sessionItemsUsed

export function createOpenSessions(sessions: Sessions, options: OpenSessionsOptions): OpenSessions {
  /** The one that rests longest comes first. */
  const open = new Map<string, OpenSession>()
  const keysBySession = new Map<string, string>()
  let revision = 0

  function end(session: OpenSession): void {
    open.delete(session.key)
    if (session.sessionId !== null) keysBySession.delete(session.sessionId)
  }

  function isLearnt({ clicks, items }: OpenSession): boolean {
    return clicks <= options.sessionClicksMax && items.size > 0
  }

  function finishOne(session: OpenSession): void {
    end(session)
    if (isLearnt(session)) sessions.add(finished(session))
  }

  /** undefined for a click that is older than the session: the next reading of the store places it. */
  function sessionFor({ key, timeMs }: Click): OpenSession | undefined {
    const before = open.get(key)
    if (before !== undefined && timeMs < before.lastMs - options.gapMs) return
    if (before !== undefined && timeMs <= before.lastMs + options.gapMs) return before
    if (before !== undefined) finishOne(before)
    if (open.size >= options.sessionsMax) finishOne(open.values().next().value as OpenSession)
    return { key, sessionId: null, items: new Map(), bought: new Set(), lastMs: timeMs, clicks: 0 }
  }

  return {
    add(click) {
      const item = sessions.numberOf(click.itemId)
      if (item === undefined) return
      const session = sessionFor(click)
      if (session === undefined) return
      revision++
      note(session, item, click)
      if (!isLearnt(session)) {
        dropOldest(session.items, botItemsMax)
        dropOldest(session.bought, botItemsMax)
      }
      session.lastMs = Math.max(session.lastMs, click.timeMs)
      if (session.sessionId !== null) keysBySession.delete(session.sessionId)
      session.sessionId = click.sessionId ?? session.sessionId
      if (session.sessionId !== null) keysBySession.set(session.sessionId, click.key)
      open.delete(click.key)
      open.set(click.key, session)
    },
    ofParty: (key) => known(open.get(key), sessions),
    ofSession: (sessionId) => known(open.get(keysBySession.get(sessionId) ?? ''), sessions),
    finish(nowMs) {
      for (const session of open.values()) {
        if (session.lastMs + options.gapMs >= nowMs) return
        finishOne(session)
      }
    },
    unfinished: () => [...open.values()].filter(isLearnt).map(finished),
    forget(key) {
      revision++
      const session = open.get(key)
      if (session !== undefined) end(session)
      sessions.forget(ownerOf(key))
    },
    size: () => open.size,
    revision: () => revision,
  }
}

/** Puts a click in, unless it is there: by a retry of the tag, or from the store and the log. */
function note(session: OpenSession, item: number, click: Click): void {
  const before = session.items.get(item)
  const weight = Math.max(click.weight, before?.weight ?? 0)
  if (click.isBought) session.bought.add(item)
  if (before !== undefined && click.timeMs <= before.timeMs) {
    before.weight = weight
    return
  }
  session.clicks++
  session.items.delete(item)
  session.items.set(item, { timeMs: click.timeMs, weight })
}

/** A session as a request sees it. */
function known(session: OpenSession | undefined, sessions: Sessions): KnownSession | undefined {
  if (session === undefined) return
  const idOf = (item: number): string => sessions.itemId(item)
  return { items: [...session.items.keys()].map(idOf), bought: [...session.bought].map(idOf) }
}

function finished({ key, items, lastMs }: OpenSession): FinishedSession {
  const weights = [...items.values()].map(({ weight }) => weight)
  return { items: [...items.keys()], weights, timeMs: lastMs, owner: ownerOf(key) }
}

function dropOldest(of: Map<number, unknown> | Set<number>, sizeMax: number): void {
  for (const key of of.keys()) {
    if (of.size <= sizeMax) return
    of.delete(key)
  }
}
