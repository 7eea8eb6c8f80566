import type { PageViewId, PartyId, SessionId } from '../event/identifier.ts'
import { createIdentifier, createPageViewId } from '../event/identifier.ts'

/** Names and lifetimes of the two cookies; see `tag` in config.ts. */
export interface CookieOptions {
  readonly partyCookie: string
  readonly partyTimeoutDays: number
  readonly sessionCookie: string
  readonly sessionTimeoutMinutes: number
  /** Unset: the host of the page. */
  readonly cookieDomain?: string | undefined
}

/** The party in front of the page and its session, kept in two cookies. The fields follow events. */
export interface Party {
  /** undefined when the collector alone knows it. */
  readonly partyId: PartyId | undefined
  readonly sessionId: SessionId
  /** True until the first event of a party made here is remembered. */
  readonly isNew: boolean
  /** True until the first event of a session made here is remembered. */
  readonly isFirstInSession: boolean
  /** Begins a new session, or joins that of another tab, when this page was idle past the timeout. */
  readonly renewSession: (timeMs: number) => SessionId
  /** Writes both cookies, so that both lifetimes begin again. */
  readonly remember: (timeMs: number) => void
}

type Mutable<Type> = { -readonly [Key in keyof Type]: Type[Key] }

/** What the tag needs of the browser to know the party. */
type PartyPage = RandomPage & CookiePage

type CookiePage = {
  readonly document: Pick<Document, 'cookie'>
  readonly location: Pick<Location, 'href'>
}

type RemovalPage = CookiePage & { readonly location: Pick<Location, 'hostname'> }

type RandomPage = { readonly crypto?: Pick<Crypto, 'getRandomValues'> }

const minuteSeconds = 60
const daySeconds = 24 * 60 * minuteSeconds

/**
 * An identifier that every collector takes (`parseIdentifier` in event/identity.ts): at most twelve
 * digits fit 64 bits, and the rest stays below the collector's limit for an identifier.
 */
const identifierPattern = /^0:-?[0-9a-z]{1,12}:[^:]{0,200}$/i

/** Reads both cookies, or makes identifiers at `timeMs` where there is none that can be read. */
export function createParty(page: PartyPage, options: CookieOptions, timeMs: number): Party {
  const { document } = page
  const sessionSeconds = options.sessionTimeoutMinutes * minuteSeconds
  const knownParty = readIdentifier(options.partyCookie)
  const knownSession = readIdentifier(options.sessionCookie)
  let lastMs = timeMs

  const party: Mutable<Party> = {
    partyId: (knownParty || makeIdentifier(timeMs)) as PartyId,
    sessionId: (knownSession || makeIdentifier(timeMs)) as SessionId,
    isNew: !knownParty,
    isFirstInSession: !knownSession,
    renewSession: (timeMs) => {
      if (timeMs - lastMs >= sessionSeconds * 1000) {
        const joined = readIdentifier(options.sessionCookie)
        party.sessionId = (joined || makeIdentifier(timeMs)) as SessionId
        party.isFirstInSession = !joined
      }
      return party.sessionId
    },
    remember: (timeMs) => {
      party.isNew = party.isFirstInSession = false
      lastMs = timeMs
      const domain = options.cookieDomain
      writeCookie(page, domain, options.sessionCookie, party.sessionId, sessionSeconds, timeMs)
      writeCookie(
        page,
        domain,
        options.partyCookie,
        party.partyId,
        options.partyTimeoutDays * daySeconds,
        timeMs,
      )
    },
  }
  return party

  function makeIdentifier(timeMs: number): string {
    return randomly(page, (bytes) => createIdentifier(timeMs, bytes))
  }

  /** The first readable one: an unreadable cookie of another path or domain may stand before it. */
  function readIdentifier(name: string): string | undefined {
    return document.cookie
      .split(/; */)
      .map((cookie) => (cookie.startsWith(`${name}=`) ? cookie.slice(name.length + 1) : ''))
      .find((value) => identifierPattern.test(value))
  }
}

/**
 * Deletes both cookies, also those of an earlier visit: whichever domain they were set on when
 * `cookieDomain` or the module `domain` was another, and without asking the browser for one.
 */
export function removeCookies(page: RemovalPage, options: CookieOptions): void {
  const labels = page.location.hostname.split('.')
  // At the end there is none left: the host of the page alone.
  for (const _ of ['', ...labels]) {
    writeCookie(page, labels.join('.'), options.sessionCookie, '', 0, 0)
    writeCookie(page, labels.join('.'), options.partyCookie, '', 0, 0)
    labels.shift()
  }
}

function writeCookie(
  page: CookiePage,
  domain: string | undefined,
  name: string,
  value: string | undefined,
  ageSeconds: number,
  timeMs: number,
): void {
  const expires = new Date(timeMs + ageSeconds * 1000).toUTCString()
  let cookie = `${name}=${value}; path=/; expires=${expires}; max-age=${ageSeconds}`
  if (domain) cookie += `; domain=${domain}`
  if (/^https:/.test(page.location.href)) cookie += '; SameSite=Lax; Secure'
  page.document.cookie = cookie
}

/** A page-view identifier out of the browser's randomness. */
export function makePageViewId(page: RandomPage): PageViewId {
  return randomly(page, createPageViewId) as PageViewId
}

/** Without `crypto` the identifier ends in `!`, so that a weak one can be told. */
function randomly(page: RandomPage, create: (bytes: Uint8Array) => string): string {
  const bytes = new Uint8Array(32)
  const { crypto } = page
  if (crypto) return create(crypto.getRandomValues(bytes))
  return `${create(bytes.map(() => Math.random() * 256))}!`
}
