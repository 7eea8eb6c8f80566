import { MillraceError } from '../event/error.ts'
import { type Event, Source } from '../event/event.ts'
import type { EventId, PartyId, SessionId } from '../event/identifier.ts'
import { parseIdentifier } from '../event/identity.ts'
import { nearest } from '../lib/settings.ts'
import { timesOf } from './enrich.ts'
import { isMarked, parseJson, restoreNumbers } from './json.ts'
import { botOf, parseIsoTime } from './json-source.ts'
import { parsePairs } from './parse.ts'
import { cut, type EventMaking, isIdentifierText, itemIdOf, type Receipt } from './receipt.ts'
import { parametersText } from './tag-source.ts'

/** What the fields of an event of Divolte's JSON source are called. */
export const fieldNames = [
  'event_type',
  'session_id',
  'event_id',
  'is_new_party',
  'is_new_session',
  'client_timestamp_iso',
  'parameters',
] as const
type FieldName = (typeof fieldNames)[number]
type Fields = Readonly<Partial<Record<FieldName, unknown>>>

/** What may be kept of a refused event when its party may not. */
const partyless = ['event_type', 'event_id', 'client_timestamp_iso', 'parameters']

/** A request to Divolte's JSON source: the party stands in its address, one event in its body. */
export interface DivolteJsonRequest {
  readonly partyId: string | null
  readonly body: string
}

/**
 * The event of such a request.
 * @throws MillraceError `parameter_invalid` for the party, `body_not_json`, `event_invalid`,
 *   `parameters_too_large`
 */
export function eventOfDivolteJson(
  { partyId, body }: DivolteJsonRequest,
  receipt: Receipt,
  making: EventMaking,
): Event {
  const { options } = making
  const textMax = options.textCharactersMax
  const withParty = receipt.privacy === null
  const party = withParty ? readParty(partyId, textMax) : null
  const fields = readFields(body)
  const session = withParty ? readSession(fields, textMax) : null
  const times = timesOf(readTime(fields), receipt.receivedAt)
  const parameters = restoreNumbers(fields.parameters, options.parametersDepthMax)
  const { agent, bot } = making.readAgent(receipt.userAgent)
  return {
    eventId: readText(fields, 'event_id', textMax) as EventId,
    partyId: party,
    sessionId: session,
    pageViewId: null,
    eventType: readType(fields, textMax),
    ...times,
    receivedAt: receipt.receivedAt,
    location: null,
    referer: null,
    remoteAddress: receipt.remoteAddress,
    parameters: parametersText(parameters, options.parametersBytesMax),
    itemId: itemIdOf(parameters, options.itemIdParameter, textMax),
    sequence: null,
    firstInSession: withParty && readFlag(fields, 'is_new_session'),
    newParty: withParty && readFlag(fields, 'is_new_party'),
    duplicate: false,
    corrupt: false,
    viewportWidth: null,
    viewportHeight: null,
    screenWidth: null,
    screenHeight: null,
    devicePixelRatio: null,
    userAgent: receipt.userAgent,
    agent,
    bot: botOf(bot, receipt.userAgent),
    privacy: receipt.privacy,
    source: Source.Json,
    country: receipt.country,
  }
}

/** The party in the query string of such a request, by the name of its parameter. */
export function partyIn(query: string, name: string): string | null {
  try {
    return parsePairs(query).find(([each]) => each === name)?.[1][0] ?? null
  } catch {
    return null
  }
}

/** What is kept of a refused request, to be read again by `keptRequest`. */
export function keepRequest(
  { partyId, body }: DivolteJsonRequest,
  isPrivate: boolean,
): { readonly text: string; readonly truncated: boolean } {
  if (!isPrivate) return { text: JSON.stringify({ divolteJson: body, partyId }), truncated: false }
  try {
    const fields = Object.entries(JSON.parse(body) as object)
    const kept = fields.filter(([name]) => partyless.includes(name))
    const text = JSON.stringify({ divolteJson: JSON.stringify(Object.fromEntries(kept)) })
    return { text, truncated: false }
  } catch {
    // Nobody can tell where in it the party is named.
    return { text: '', truncated: true }
  }
}

/**
 * The request of a dead letter, or undefined when it is an event of another source: whoever sends
 * those may let them begin as `keepRequest` does.
 */
export function keptRequest(text: string): DivolteJsonRequest | undefined {
  if (!text.startsWith('{"divolteJson":')) return
  const { divolteJson, partyId = null } = (readJson(text) ?? {}) as Record<string, unknown>
  const isOurs =
    typeof divolteJson === 'string' && (partyId === null || typeof partyId === 'string')
  return isOurs ? { partyId, body: divolteJson } : undefined
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return
  }
}

function readParty(text: string | null, textMax: number): PartyId {
  const identifier = text !== null && isIdentifierText(text, textMax) ? parseIdentifier(text) : null
  if (identifier !== null) return identifier as PartyId
  throw new MillraceError('parameter_invalid', 'the party is no identifier')
}

function readFields(body: string): Fields {
  let value: unknown
  try {
    value = parseJson(body)
  } catch (thrown) {
    const reason = body === '' ? 'it is empty' : 'it cannot be parsed'
    throw new MillraceError('body_not_json', reason, { cause: thrown })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid('it is no object')
  }
  const known: readonly string[] = fieldNames
  const stranger = Object.keys(value).find((name) => !known.includes(name))
  if (stranger === undefined) return value as Fields
  const shown = cut(stranger, 64).toWellFormed()
  throw invalid(`unknown field ${shown}${nearest(shown, fieldNames)}`)
}

function readText(fields: Fields, name: FieldName, textMax: number): string {
  const value = fields[name]
  if (typeof value === 'string' && !isMarked(value) && isIdentifierText(value, textMax)) {
    return value.toWellFormed()
  }
  throw invalid(`${name} needs to be text of 1 to ${textMax} characters without control characters`)
}

function readSession(fields: Fields, textMax: number): SessionId {
  const identifier = parseIdentifier(readText(fields, 'session_id', textMax))
  if (identifier !== null) return identifier as SessionId
  throw invalid('session_id is no identifier')
}

/** Divolte's record has this default for an event without a type. */
function readType(fields: Fields, textMax: number): string {
  const value = fields.event_type ?? ''
  if (value === '') return 'unknown'
  if (typeof value === 'string' && !isMarked(value) && value.length <= textMax) {
    return value.toWellFormed()
  }
  throw invalid(`event_type needs to be text of at most ${textMax} characters`)
}

/** Divolte's reader of JSON takes the words in quotes too. */
function readFlag(fields: Fields, name: FieldName): boolean {
  const value = fields[name]
  if (value === true || value === 'true') return true
  if (value === false || value === 'false') return false
  throw invalid(`${name} needs to be true or false`)
}

function readTime(fields: Fields): number {
  const value = fields.client_timestamp_iso
  const time = typeof value === 'string' ? parseIsoTime(value) : undefined
  if (time !== undefined) return time
  throw invalid('client_timestamp_iso needs to be ISO 8601 with a time zone')
}

function invalid(detail: string): MillraceError {
  return new MillraceError('event_invalid', detail)
}
