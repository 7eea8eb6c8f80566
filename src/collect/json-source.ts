import { isMillraceError, MillraceError } from '../event/error.ts'
import { ClockSource, type Event, Source } from '../event/event.ts'
import type { EventId, PageViewId, PartyId, SessionId } from '../event/identifier.ts'
import { parseIdentifier, sequenceOf } from '../event/identity.ts'
import { nearest } from '../lib/settings.ts'
import { type EventTimes, timesOf } from './enrich.ts'
import { isMarked, parseJson, restoreNumbers } from './json.ts'
import { cut, type EventMaking, isIdentifierText, itemIdOf, type Receipt } from './receipt.ts'
import { parametersText } from './tag-source.ts'

/** What the fields of an event may be called. */
const fieldNames = [
  'eventId',
  'partyId',
  'sessionId',
  'pageViewId',
  'eventType',
  'clientTime',
  'location',
  'referer',
  'parameters',
  'newParty',
  'firstInSession',
  'viewportWidth',
  'viewportHeight',
  'screenWidth',
  'screenHeight',
  'devicePixelRatio',
] as const
type FieldName = (typeof fieldNames)[number]
type Fields = Readonly<Partial<Record<FieldName, unknown>>>

const known = new Set<string>(fieldNames)

/** Whether an event of a JSON source may have a field of this name. */
export function isEventField(name: string): boolean {
  return known.has(name)
}

/**
 * The events in the body of a POST: one event, an array of them, or `{"events": [...]}`.
 * @throws MillraceError `body_not_json`, `body_invalid`, `batch_too_large`
 */
export function eventsOfBody(text: string, batchEventsMax: number): readonly unknown[] {
  let body: unknown
  try {
    body = parseJson(text)
  } catch (thrown) {
    throw new MillraceError('body_not_json', text === '' ? 'it is empty' : reasonOf(thrown), {
      cause: thrown,
    })
  }
  const events = listOf(body)
  if (events.length > batchEventsMax) {
    throw new MillraceError('batch_too_large', String(batchEventsMax))
  }
  return events
}

/** The parser's own words without the piece of the body that it quotes. */
function reasonOf(thrown: unknown): string {
  return (thrown as Error).message.replace(/,? ?"[\s\S]*$/, '')
}

function listOf(body: unknown): readonly unknown[] {
  if (Array.isArray(body)) return body
  if (typeof body !== 'object' || body === null) {
    throw new MillraceError('body_invalid', `it is ${body === null ? 'null' : `a ${typeof body}`}`)
  }
  if (!Object.hasOwn(body, 'events')) return [body]
  const { events, ...rest } = body as { events: unknown }
  const others = Object.keys(rest)
  if (others.length > 0) {
    const names = cut(others.join(', '), 256).toWellFormed()
    throw new MillraceError('body_invalid', `beside events there is ${names}`)
  }
  if (!Array.isArray(events)) throw new MillraceError('body_invalid', 'events is no array')
  return events
}

/**
 * One event of a JSON source, as `eventsOfBody` gives it.
 * @throws MillraceError `event_invalid`, `parameters_too_large`
 */
export function eventOfJson(value: unknown, receipt: Receipt, making: EventMaking): Event {
  const { options } = making
  const fields = checkNames(value)
  const withParty = receipt.privacy === null
  const textMax = options.textCharactersMax
  const givenId = readIdentifier(fields, 'eventId', textMax)
  const pageViewId = readIdentifier(fields, 'pageViewId', textMax)
  const partyId = readIdentifier(fields, 'partyId', textMax)
  const sessionId = readIdentifier(fields, 'sessionId', textMax)
  const times = readTimes(fields, givenId !== null, receipt.receivedAt)
  const parameters = restoreNumbers(fields.parameters, options.parametersDepthMax)
  const newParty = readBoolean(fields, 'newParty')
  const firstInSession = readBoolean(fields, 'firstInSession')
  const { agent, bot } = making.readAgent(receipt.userAgent)
  const eventId = givenId ?? making.createEventId()
  return {
    eventId: eventId as EventId,
    partyId: withParty && partyId !== null ? (canonical(partyId) as PartyId) : null,
    sessionId: withParty && sessionId !== null ? (canonical(sessionId) as SessionId) : null,
    pageViewId: pageViewId as PageViewId | null,
    eventType: readType(fields, textMax),
    eventTime: times.eventTime,
    clockSource: times.clockSource,
    receivedAt: receipt.receivedAt,
    clientTime: times.clientTime,
    location: readUrl(fields, 'location', options.urlCharactersMax),
    referer: readUrl(fields, 'referer', options.urlCharactersMax),
    remoteAddress: receipt.remoteAddress,
    parameters: parametersText(parameters, options.parametersBytesMax),
    itemId: itemIdOf(parameters, options.itemIdParameter, textMax),
    sequence: sequenceOf(eventId, pageViewId),
    firstInSession: withParty && firstInSession,
    newParty: withParty && newParty,
    duplicate: false,
    corrupt: false,
    viewportWidth: readInteger(fields, 'viewportWidth'),
    viewportHeight: readInteger(fields, 'viewportHeight'),
    screenWidth: readInteger(fields, 'screenWidth'),
    screenHeight: readInteger(fields, 'screenHeight'),
    devicePixelRatio: readNumber(fields, 'devicePixelRatio'),
    userAgent: receipt.userAgent,
    agent,
    bot: botOf(bot, receipt.userAgent),
    privacy: receipt.privacy,
    source: Source.Json,
    country: receipt.country,
  }
}

/**
 * A JSON event may well come from a program: that its HTTP client names itself (`curl/8.5`) says
 * nothing of who acted. A crawler that runs the scripts of pages looks like a browser.
 */
export function botOf(bot: string | null, userAgent: string | null): string | null {
  return userAgent?.startsWith('Mozilla/') === true ? bot : null
}

function invalid(detail: string): MillraceError {
  return new MillraceError('event_invalid', detail)
}

function checkNames(value: unknown): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid('it is no object')
  }
  for (const name of Object.keys(value)) {
    if (known.has(name)) continue
    const shown = cut(name, 64).toWellFormed()
    throw invalid(`unknown field ${shown}${nearest(shown, fieldNames)}`)
  }
  return value as Fields
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && !isMarked(value)
}

function readIdentifier(fields: Fields, name: FieldName, textMax: number): string | null {
  const value = fields[name] ?? null
  if (value === null) return null
  if (isText(value) && isIdentifierText(value, textMax)) return value.toWellFormed()
  throw invalid(`${name} needs to be text of 1 to ${textMax} characters without control characters`)
}

/** An identifier in Divolte's form is written one way; other sources have ids of their own. */
function canonical(text: string): string {
  return parseIdentifier(text) ?? text
}

function readType(fields: Fields, textMax: number): string {
  const value = fields.eventType
  if (isText(value) && value !== '' && value.length <= textMax) return value.toWellFormed()
  throw invalid(`eventType needs to be text of 1 to ${textMax} characters`)
}

function readUrl(fields: Fields, name: FieldName, charactersMax: number): string | null {
  const value = fields[name] ?? null
  if (value === null) return null
  if (isText(value)) return cut(value, charactersMax).toWellFormed()
  throw invalid(`${name} needs to be text`)
}

function readBoolean(fields: Fields, name: FieldName): boolean {
  const value = fields[name] ?? false
  if (typeof value === 'boolean') return value
  throw invalid(`${name} needs to be true or false`)
}

function readInteger(fields: Fields, name: FieldName): number | null {
  const value = fields[name] ?? null
  if (value === null || (typeof value === 'number' && (value | 0) === value)) return value
  throw invalid(`${name} needs to be a whole number`)
}

function readNumber(fields: Fields, name: FieldName): number | null {
  const value = fields[name] ?? null
  if (value === null || typeof value === 'number') return value
  throw invalid(`${name} needs to be a number`)
}

const isoPattern = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:[Zz]|[+-]\d\d:\d\d)$/

function readTimes(fields: Fields, idGiven: boolean, receivedAt: number): EventTimes {
  const value = fields.clientTime ?? null
  if (value === null) {
    const clockSource = idGiven ? ClockSource.Absent : ClockSource.Collector
    return { eventTime: receivedAt, clientTime: receivedAt, clockSource }
  }
  if (typeof value === 'number') return timesOf(Math.floor(value), receivedAt)
  const time = isText(value) ? parseIsoTime(value) : undefined
  if (time !== undefined) return timesOf(time, receivedAt)
  throw invalid('clientTime needs to be ISO 8601 with a time zone, or ms since 1970')
}

/** ISO 8601 with a time zone as ms since 1970. */
export function parseIsoTime(text: string): number | undefined {
  const time = isoPattern.test(text) ? Date.parse(text.toUpperCase()) : Number.NaN
  return Number.isNaN(time) ? undefined : time
}

/** What a sender is told about an event that was not taken. */
export function refusalOf(thrown: unknown): MillraceError {
  if (isMillraceError(thrown)) return thrown
  return new MillraceError('internal', (thrown as Error).message, { cause: thrown })
}
