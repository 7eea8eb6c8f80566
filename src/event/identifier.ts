/**
 * Identifiers, as Divolte made them: party and session `0:<base36 ms>:<32 characters>`, page view
 * `0:<32 characters>`, event = page view + counter in lower-case hex.
 */

declare const brand: unique symbol
type Branded<Name extends string> = string & { readonly [brand]: Name }

/** One browser or device, known by an identifier that it stores itself. */
export type PartyId = Branded<'PartyId'>
/** A party's run of events without a 30-minute gap. */
export type SessionId = Branded<'SessionId'>
/** One loading of a page. */
export type PageViewId = Branded<'PageViewId'>
/** One event; with the party id (or '') it is the event's identity everywhere. */
export type EventId = Branded<'EventId'>

/** 64 characters in index order; `wxzy` is Divolte's own order, not a slip. */
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxzy0123456789~_'

/** 32 characters of 6 bits each. `bytes` are 32 random bytes, of which the low 6 bits are used. */
export function randomPart(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += alphabet.charAt(byte & 63)
  return text
}

/** A party or session identifier made at `timeMs` (milliseconds since 1970) from 32 random bytes. */
export function createIdentifier(timeMs: number, bytes: Uint8Array): string {
  return `0:${timeMs.toString(36)}:${randomPart(bytes)}`
}

/** A page-view identifier from 32 random bytes. */
export function createPageViewId(bytes: Uint8Array): PageViewId {
  return `0:${randomPart(bytes)}` as PageViewId
}
