import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { randomPart } from '../event/identifier.ts'
import { parseIdentifier } from '../event/identity.ts'
import type { CollectOptions } from './options.ts'
import { checksumOf, parsePairs, parseQuery, type WireFields } from './parse.ts'
import { privacyOf, withOptOut } from './privacy.ts'
import type { TagScriptOptions } from './script.ts'

/** The cookie in which the collector keeps a party, for pages whose tag has the module `httponly`. */
export interface PartyCookie {
  readonly name: string
  readonly days: number
  /** Unset: the collector's own host. */
  readonly domain?: string | undefined
}

/** What a collector has to know of the tags that pages load from it. */
export function tagFacts(
  tag: TagScriptOptions,
): Pick<CollectOptions, 'name' | 'eventSuffix' | 'partyCookie'> {
  const { name, eventSuffix, modules, partyCookie, partyTimeoutDays, cookieDomain } = tag
  const cookie = { name: partyCookie, days: partyTimeoutDays, domain: cookieDomain }
  return { name, eventSuffix, partyCookie: modules.includes('httponly') ? cookie : undefined }
}

/**
 * Puts the party of the request's cookie, or a new one, into the query strings that name none, and
 * sends the cookie with the answer, whatever that is. Who refuses to be known loses the cookie.
 */
export type NameParty = (
  queries: readonly string[],
  request: IncomingMessage,
  response: ServerResponse,
) => readonly string[]

/** What a tag posts instead of an event when the person refuses: no script can delete the cookie. */
export const refusalLine = 'g=1'

/** Where events of a tag come from, and who their party is when they do not say. */
export interface TagSource {
  /** In the configuration. */
  readonly name: string
  /** Absent: every tag names its party itself. */
  readonly nameParty: NameParty | undefined
}

export function tagSourceOf(
  name: string,
  cookie: PartyCookie | undefined,
  cookieless: boolean,
): TagSource {
  return { name, nameParty: cookie && createNameParty(cookie, cookieless) }
}

const daySeconds = 86_400

function createNameParty(cookie: PartyCookie, cookieless: boolean): NameParty {
  return (queries, request, response) => {
    const known = readCookie(request.headers.cookie, cookie.name)
    const isRefused =
      privacyOf(request.headers, cookieless) !== null || queries.some((query) => saysRefusal(query))
    if (isRefused) {
      if (known !== undefined) response.setHeader('Set-Cookie', cookieText(cookie, '', 0, false))
      return queries
    }
    const events = queries.map((query) => ({ query, fields: fieldsOf(query) }))
    const nameless = events.find(({ fields }) => fields !== null && fields.p === undefined)
    const partyId = known ?? partyOf(nameless?.fields?.s)
    if (nameless === undefined || partyId === undefined) return queries
    const isSecure = nameless.fields?.l?.startsWith('https:') === true
    const seconds = cookie.days * daySeconds
    response.setHeader('Set-Cookie', cookieText(cookie, partyId, seconds, isSecure))
    return events.map(({ query, fields }) =>
      fields === null || fields.p !== undefined ? query : withParty(query, fields, partyId),
    )
  }
}

function saysRefusal(query: string): boolean {
  return withOptOut({ privacy: null }, query).privacy !== null
}

/** null when it cannot be read; it is refused as it is. */
function fieldsOf(query: string): WireFields | null {
  try {
    return parseQuery(query)
  } catch {
    return null
  }
}

/**
 * The party that begins with a session: made from it, so that a retry whose first answer, and with
 * it the cookie, was lost is the same event.
 */
function partyOf(session: string | undefined): string | undefined {
  const sessionId = session === undefined ? null : parseIdentifier(session)
  if (sessionId === null) return
  const [, time] = sessionId.split(':')
  return `0:${time}:${randomPart(createHash('sha256').update(sessionId).digest())}`
}

function withParty(query: string, fields: WireFields, partyId: string): string {
  const isNew = fields.f === 't' && partyOf(fields.s) === partyId
  const kept = query.split('&').filter((pair) => !/^[nx](?:=|$)/.test(pair))
  const named = [`p=${encodeURIComponent(partyId)}`, `n=${isNew ? 't' : 'f'}`, ...kept].join('&')
  // An event that arrived damaged stays so.
  return fields.intact ? `${named}&x=${checksumOf(parsePairs(named))}` : named
}

/** The first readable one: an unreadable cookie of another path or domain may stand before it. */
function readCookie(header: string | undefined, name: string): string | undefined {
  for (const pair of header?.split(';') ?? []) {
    const [key, value = ''] = pair.trim().split('=', 2)
    if (key !== name || value.length > 256) continue
    const partyId = parseIdentifier(value)
    if (partyId !== null) return partyId
  }
  return
}

/**
 * `Secure` where the page is https, which cannot reach a collector without it. Lax: a page of
 * another site brings no cookie, so it cannot speak for this site's visitors.
 */
function cookieText(
  { name, domain }: PartyCookie,
  value: string,
  seconds: number,
  isSecure: boolean,
): string {
  const parts = [`${name}=${value}`, 'Path=/', `Max-Age=${seconds}`, 'HttpOnly', 'SameSite=Lax']
  if (domain !== undefined) parts.push(`Domain=${domain}`)
  if (isSecure) parts.push('Secure')
  return parts.join('; ')
}
