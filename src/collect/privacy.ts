import type { IncomingHttpHeaders } from 'node:http'
import { Privacy } from '../event/event.ts'
import { checksumOf, parsePairs, parseQuery } from './parse.ts'

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

/** One event of a JSON source without what names its party. */
export function stripEvent(event: unknown): unknown {
  if (typeof event !== 'object' || event === null || Array.isArray(event)) return event
  const { partyId, sessionId, newParty, firstInSession, ...rest } = event as Record<string, unknown>
  return rest
}
