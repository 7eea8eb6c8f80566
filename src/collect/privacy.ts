import type { IncomingHttpHeaders } from 'node:http'
import { Privacy } from '../event/event.ts'
import { isEventField } from './json-source.ts'
import { checksumOf, parsePairs, parseQuery } from './parse.ts'
import type { Receipt } from './receipt.ts'

/**
 * What the request and the site say about parties: null lets the event carry one. Global Privacy
 * Control goes before Do Not Track, and both before the site's own choice.
 */
export function privacyOf(headers: IncomingHttpHeaders, cookieless: boolean): Privacy | null {
  // A header sent twice arrives as `1, 1`: who repeats a wish still has it.
  if (saysOne(headers['sec-gpc'])) return Privacy.Gpc
  if (saysOne(headers['dnt'])) return Privacy.Dnt
  return cookieless ? Privacy.Cookieless : null
}

function saysOne(value: string | string[] | undefined): boolean {
  return value === '1' || (value !== undefined && String(value).startsWith('1,'))
}

/** The receipt of a query that can't be read whole, with the wish that the tag itself says in it. */
export function withOptOut<Wish extends Pick<Receipt, 'privacy'>>(
  receipt: Wish,
  query: string,
): Wish {
  if (receipt.privacy !== null) return receipt
  const wishes = query.split('&').some((pair) => /^(?:g|%67)=(?:1|%31)$/.test(pair))
  return wishes ? { ...receipt, privacy: Privacy.Gpc } : receipt
}

const partyParameters = ['p', 's', 'n', 'f']

/**
 * A refused query without what names its party, to be kept under a wish for privacy. A checksum
 * that was right is made right for the rest, so that a replay does not find the event corrupt.
 */
export function stripQuery(query: string): string {
  const kept = query.split('&').filter((pair) => {
    const name = nameOf(pair)
    return name !== undefined && !partyParameters.includes(name)
  })
  try {
    if (!parseQuery(query).intact) return kept.join('&')
    const rest = kept.filter((pair) => nameOf(pair) !== 'x').join('&')
    return `${rest}&x=${checksumOf(parsePairs(rest))}`
  } catch {
    return kept.join('&')
  }
}

/** The decoded name of a pair, or undefined when nobody can tell what it names. */
function nameOf(pair: string): string | undefined {
  const equals = pair.indexOf('=')
  const name = equals < 0 ? pair : pair.slice(0, equals)
  try {
    return decodeURIComponent(name)
  } catch {
    return
  }
}

/** What may be kept of a refused event of a JSON source. */
export interface StrippedEvent {
  /** undefined when nobody can tell where in it the party is named. */
  readonly kept: unknown
  /** More was there than a party. */
  readonly truncated: boolean
}

/**
 * One event of a JSON source without what names its party: of an object the fields that are known,
 * as a party may stand under any other name; of anything else nothing.
 */
export function stripEvent(event: unknown): StrippedEvent {
  if (typeof event !== 'object' || event === null || Array.isArray(event)) {
    return { kept: undefined, truncated: true }
  }
  const { partyId, sessionId, newParty, firstInSession, ...rest } = event as Record<string, unknown>
  const fields = Object.entries(rest)
  const known = fields.filter(([name]) => isEventField(name))
  return { kept: Object.fromEntries(known), truncated: known.length < fields.length }
}
