import type { EventId, PartyId } from './identifier.ts'

const maxInt64 = 2n ** 63n - 1n
const base36Pattern = /^[+-]?[0-9a-z]{1,14}$/i

/**
 * Reads a signed 64-bit integer in base 36, either case, as Java's `Long.parseLong(text, 36)`.
 * Returns null for anything else. Exact only within ±2^53, which the callers' ranges keep to.
 */
export function parseBase36(text: string): number | null {
  const short = parseShort(text)
  if (short >= 0) return short
  if (!base36Pattern.test(text)) return null
  const value = Number.parseInt(text, 36)
  if (!Number.isSafeInteger(value) && !fitsInt64(text)) return null
  return value
}

/** Up to ten digits in lower case, which is what the tag sends; -1 for anything else. */
function parseShort(text: string): number {
  if (text.length === 0 || text.length > 10) return -1
  let value = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code >= 48 && code <= 57) value = value * 36 + (code - 48)
    else if (code >= 97 && code <= 122) value = value * 36 + (code - 87)
    else return -1
  }
  return value
}

function fitsInt64(text: string): boolean {
  let value = 0n
  const digits = text.replace(/^[+-]/, '')
  for (const digit of digits) value = value * 36n + BigInt(Number.parseInt(digit, 36))
  return value <= maxInt64 || (text.startsWith('-') && value === maxInt64 + 1n)
}

/**
 * Reads a party or session identifier and returns its canonical form (the time in lower case and
 * without leading zeros), or null when it is none: three parts, the first `0`, the second a signed
 * base-36 64-bit integer, the third any text without `:`, even an empty one.
 */
export function parseIdentifier(text: string): string | null {
  const first = text.indexOf(':')
  if (first !== 1 || text.charCodeAt(0) !== 48) return null
  const second = text.indexOf(':', 2)
  if (second < 0 || text.indexOf(':', second + 1) >= 0) return null
  const time = text.slice(2, second)
  // An identifier as the tag writes it is already canonical: keep the string that we have.
  if (time.charCodeAt(0) !== 48 && parseShort(time) >= 0) return text
  const timeMs = parseBase36(time)
  if (timeMs === null) return null
  if (Number.isSafeInteger(timeMs)) return `0:${timeMs.toString(36)}:${text.slice(second + 1)}`
  const canonicalTime = time
    .toLowerCase()
    .replace(/^\+/, '')
    .replace(/^(-?)0+(?=.)/, '$1')
  return `0:${canonicalTime}:${text.slice(second + 1)}`
}

/** The key under which an event is known everywhere: `(partyId or '', eventId)`. */
export function identityOf(partyId: PartyId | null, eventId: EventId): string {
  return `${partyId ?? ''}\n${eventId}`
}

/**
 * The counter at the end of an event id, or null when the id does not begin with its page view.
 * The tag writes it in lower-case hex; at most 2^31 - 1 counts.
 */
export function sequenceOf(eventId: string, pageViewId: string | null): number | null {
  if (pageViewId === null || pageViewId === '' || !eventId.startsWith(pageViewId)) return null
  const counter = eventId.slice(pageViewId.length)
  if (!/^(0|[1-9a-f][0-9a-f]{0,7})$/.test(counter)) return null
  const value = Number.parseInt(counter, 16)
  return value <= 0x7fffffff ? value : null
}
