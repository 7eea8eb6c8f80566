import { MillraceError } from '../event/error.ts'
import { type Event, Privacy, Source } from '../event/event.ts'
import type { EventId, PageViewId, PartyId, SessionId } from '../event/identifier.ts'
import { parseBase36, parseIdentifier, sequenceOf } from '../event/identity.ts'
import { decodeMincode } from '../event/mincode-decode.ts'
import { timesOf } from './enrich.ts'
import { parseQuery, type WireFields } from './parse.ts'
import { cut, type EventMaking, isIdentifierText, itemIdOf, type Receipt } from './receipt.ts'

/**
 * The event in a tag's query string.
 * @throws MillraceError `query_too_long`, `query_undecodable`, `parameter_missing`,
 *   `parameter_invalid`, `parameters_too_large`
 */
export function eventOfQuery(query: string, receipt: Receipt, making: EventMaking): Event {
  const { options } = making
  if (query.length > options.queryBytesMax) {
    throw new MillraceError('query_too_long', String(options.queryBytesMax))
  }
  const fields = parseQuery(query)
  const privacy = receipt.privacy ?? (fields.g === '1' ? Privacy.Gpc : null)
  const withParty = privacy === null
  const textMax = options.textCharactersMax
  const pageViewId = readText('v', fields.v, textMax)
  const eventId = readText('e', fields.e, textMax)
  const times = timesOf(readTime(fields.c), receipt.receivedAt)
  const parameters = readParameters(fields.u, options.parametersDepthMax)
  const { agent, bot } = making.readAgent(receipt.userAgent)
  return {
    eventId: eventId as EventId,
    partyId: withParty ? (readIdentifier('p', fields.p, textMax) as PartyId) : null,
    sessionId: withParty ? (readIdentifier('s', fields.s, textMax) as SessionId) : null,
    pageViewId: pageViewId as PageViewId,
    eventType: readType(fields.t, textMax),
    eventTime: times.eventTime,
    clockSource: times.clockSource,
    receivedAt: receipt.receivedAt,
    clientTime: times.clientTime,
    location: readUrl(fields.l, options.urlCharactersMax),
    referer: readUrl(fields.r, options.urlCharactersMax),
    remoteAddress: receipt.remoteAddress,
    parameters: parametersText(parameters, options.parametersBytesMax),
    itemId: itemIdOf(parameters, options.itemIdParameter, textMax),
    sequence: sequenceOf(eventId, pageViewId),
    firstInSession: withParty && readFlag('f', fields.f),
    newParty: withParty && readFlag('n', fields.n),
    duplicate: false,
    corrupt: !fields.intact,
    viewportWidth: readInteger(fields.w),
    viewportHeight: readInteger(fields.h),
    screenWidth: readInteger(fields.i),
    screenHeight: readInteger(fields.j),
    devicePixelRatio: readRatio(fields.k),
    userAgent: receipt.userAgent,
    agent,
    bot,
    privacy,
    source: Source.Tag,
    country: receipt.country,
  }
}

/** Whether `u` was sent but holds nothing that can be read: kept apart for the metrics. */
export function hasUnreadableParameters(event: Event, query: string): boolean {
  return event.parameters === null && /(?:^|&)u=(?!n?(?:&|$))/.test(query)
}

function missing(name: keyof WireFields): MillraceError {
  return new MillraceError('parameter_missing', name)
}

function readIdentifier(name: 'p' | 's', text: string | undefined, textMax: number): string {
  if (text === undefined) throw missing(name)
  const identifier = isIdentifierText(text, textMax) ? parseIdentifier(text) : null
  if (identifier === null) throw new MillraceError('parameter_invalid', `${name} is no identifier`)
  return identifier
}

function readText(name: 'v' | 'e', text: string | undefined, textMax: number): string {
  if (text === undefined) throw missing(name)
  if (isIdentifierText(text, textMax)) return text
  throw new MillraceError(
    'parameter_invalid',
    `${name} needs 1 to ${textMax} characters, none of them a control character`,
  )
}

function readType(text: string | undefined, textMax: number): string {
  // Divolte's record has this default for an event without a type.
  if (text === undefined || text === '') return 'unknown'
  if (text.length <= textMax) return text
  throw new MillraceError('parameter_invalid', `t has more than ${textMax} characters`)
}

function readTime(text: string | undefined): number {
  if (text === undefined) throw missing('c')
  const time = parseBase36(text)
  if (time === null) throw new MillraceError('parameter_invalid', 'c is no time in base 36')
  return time
}

/** True only for exactly `t`, as in Divolte. */
function readFlag(name: 'n' | 'f', text: string | undefined): boolean {
  if (text === undefined) throw missing(name)
  return text === 't'
}

function readUrl(text: string | undefined, charactersMax: number): string | null {
  return text === undefined ? null : cut(text, charactersMax)
}

/** A signed 32-bit integer; anything else counts as absent, as in Divolte. */
function readInteger(text: string | undefined): number | null {
  if (text === undefined) return null
  const value = parseBase36(text)
  return value !== null && (value | 0) === value ? value : null
}

const ratioPattern = /^[0-9a-z]{1,8}(?:\.([0-9a-z]{1,64}))?$/i

/** The device pixel ratio as `Number.prototype.toString(36)` writes it: `2`, `1.i` for 1.5. */
function readRatio(text: string | undefined): number | null {
  if (text === undefined) return null
  const fraction = ratioPattern.exec(text)
  if (fraction === null) return null
  let value = 0
  const digits = fraction[1] ?? ''
  for (let at = digits.length - 1; at >= 0; at--) {
    value = (value + Number.parseInt(digits.charAt(at), 36)) / 36
  }
  return Number.parseInt(text, 36) + value
}

/** Malformed mincode counts as absent, as in Divolte: the event itself is sound. */
function readParameters(text: string | undefined, depthMax: number): unknown {
  return text === undefined ? undefined : decodeMincode(text, depthMax)
}

/** @throws MillraceError `parameters_too_large` */
export function parametersText(parameters: unknown, bytesMax: number): string | null {
  if (parameters === undefined || parameters === null) return null
  const text = wellFormedJson(JSON.stringify(parameters))
  // A character has at most three bytes: most texts need not be measured.
  if (text.length * 3 > bytesMax && Buffer.byteLength(text) > bytesMax) {
    throw new MillraceError('parameters_too_large', `${bytesMax} bytes of JSON`)
  }
  return text
}

/**
 * JSON writes a surrogate without its other half as an escape, which whoever reads it would turn
 * into a broken text: U+FFFD takes its place.
 */
function wellFormedJson(text: string): string {
  if (!text.includes('\\ud')) return text
  return text.replace(/(?<!\\)((?:\\\\)*)\\ud[89a-f][0-9a-f]{2}/g, '$1\ufffd')
}
