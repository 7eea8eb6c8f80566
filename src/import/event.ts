import { type AgentReader, unknownAgent } from '../collect/enrich.ts'
import { formatJson, parseJson, restoreNumbers } from '../collect/json.ts'
import { cut, isIdentifierText, itemIdOf } from '../collect/receipt.ts'
import { MillraceError } from '../event/error.ts'
import { type Event, Source } from '../event/event.ts'
import { parseIdentifier, sequenceOf } from '../event/identity.ts'
import type { FieldName } from './columns.ts'
import { parseDayAndClock, parseTime, type TimeUnit } from './time.ts'

/** Turns the fields of a row into an event. */

/** The limits of the collector, which hold for imported events too. */
export interface EventLimits {
  readonly textCharactersMax: number
  readonly urlCharactersMax: number
  readonly userAgentCharactersMax: number
  readonly parametersBytesMax: number
  readonly parametersDepthMax: number
  readonly itemIdParameter: string
}

export interface EventMaking {
  readonly limits: EventLimits
  readonly readAgent: AgentReader
  /** Of bare numbers; undefined: by their size. */
  readonly timeUnit?: TimeUnit | undefined
}

/** What a row says: a text or number of a column, any JSON value of an object; undefined or '' for none. */
export interface RowFields {
  readonly get: (field: FieldName) => unknown
  /** Columns that become parameters. */
  readonly parameters: Readonly<Record<string, unknown>> | null
}

/** Years 1 to 9999: what `YYYY-MM-DD` and every store can hold. */
const timeMsMin = -62_135_596_800_000
const timeMsMax = Date.UTC(9999, 11, 31, 23, 59, 59, 999)

/**
 * The event of one row. `receivedAt` is the source's time like `eventTime`: nothing here looks at a
 * clock. A row without an event type is a page view, and one without a party belongs to its session.
 * @param derivedId the id of a row that has none
 * @throws MillraceError `import_row`
 */
export function eventOfRow(fields: RowFields, derivedId: string, making: EventMaking): Event {
  const { limits, readAgent } = making
  const time = timeOf(fields, making.timeUnit)
  const session = readIdentifier(fields, 'session', limits)
  const party = readIdentifier(fields, 'party', limits) ?? session
  const pageViewId = readIdentifier(fields, 'pageView', limits)
  const eventId = readIdentifier(fields, 'eventId', limits) ?? derivedId
  const agentText = readText(fields, 'userAgent')
  const userAgent = agentText === null ? null : cut(agentText, limits.userAgentCharactersMax)
  const { agent, bot } = readAgent(userAgent)
  const parameters = readParameters(fields, limits)
  const item = readText(fields, 'item')
  return completeEvent({
    eventId: eventId as Event['eventId'],
    partyId: party as Event['partyId'],
    sessionId: session as Event['sessionId'],
    pageViewId: pageViewId as Event['pageViewId'],
    eventType: readType(fields, limits),
    eventTime: time,
    location: readUrl(fields, 'location', limits),
    referer: readUrl(fields, 'referer', limits),
    parameters: parameters.text,
    itemId:
      item === null
        ? itemIdOf(parameters.value, limits.itemIdParameter, limits.textCharactersMax)
        : cut(item, limits.textCharactersMax),
    userAgent,
    agent,
    bot,
    country: readCountry(fields),
  })
}

/** What every event has. */
type Known = Pick<Event, 'eventId' | 'eventTime' | 'eventType'>

/** An event of a source that knows no receipt: all its times are the one that it has. */
export function completeEvent(known: Known & Partial<Event>): Event {
  const { eventTime, pageViewId = null } = known
  const whole: Event = {
    partyId: null,
    sessionId: null,
    pageViewId,
    clockSource: 'client',
    receivedAt: eventTime,
    clientTime: eventTime,
    location: null,
    referer: null,
    remoteAddress: '',
    parameters: null,
    itemId: null,
    sequence: sequenceOf(known.eventId, pageViewId),
    firstInSession: false,
    newParty: false,
    duplicate: false,
    corrupt: false,
    viewportWidth: null,
    viewportHeight: null,
    screenWidth: null,
    screenHeight: null,
    devicePixelRatio: null,
    userAgent: null,
    agent: unknownAgent,
    bot: null,
    privacy: null,
    source: Source.Json,
    country: null,
    ...known,
  }
  checkEvent(whole)
  return whole
}

/**
 * What holds for every imported event, wherever it comes from.
 * @throws MillraceError `import_row`
 */
export function checkEvent(event: Event): void {
  const times = [event.eventTime, event.receivedAt, event.clientTime]
  if (!times.every(Number.isSafeInteger)) throw refusal(`its times are no whole ms: ${times}`)
  if (event.eventTime < timeMsMin || event.eventTime > timeMsMax) {
    throw refusal(`its time ${event.eventTime} ms is in no year from 1 to 9999`)
  }
  if (event.eventId === '') throw refusal('it has no event id')
  if (event.eventType === '') throw refusal('it has no event type')
}

/** A row that cannot be an event, and why. */
export function refusal(detail: string, options?: ErrorOptions): MillraceError {
  return new MillraceError('import_row', detail, options)
}

/** A value as an error shows it: quoted and cut. */
export function shown(value: unknown): string {
  return JSON.stringify(cut(String(value), 60))
}

function timeOf(fields: RowFields, unit: TimeUnit | undefined): number {
  const time = fields.get('time')
  const [day, clock] = [fields.get('day'), fields.get('clock')]
  if (isNone(time) && isNone(day)) throw refusal('it has no time')
  const timeMs = isNone(time) ? parseDayAndClock(day, clock) : parseTime(time, unit)
  if (timeMs !== null) return timeMs
  throw refusal(`${shown(isNone(time) ? `${day} ${clock}` : time)} is no time`)
}

function isNone(value: unknown): value is undefined | null | '' {
  return value === undefined || value === null || value === ''
}

function readText(fields: RowFields, name: FieldName): string | null {
  const value = fields.get(name)
  if (isNone(value)) return null
  if (typeof value === 'string') return value.toWellFormed()
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  throw refusal(`its ${name} is neither text nor a number`)
}

function readIdentifier(fields: RowFields, name: FieldName, limits: EventLimits): string | null {
  const text = readText(fields, name)
  if (text === null) return null
  if (!isIdentifierText(text, limits.textCharactersMax)) {
    throw refusal(
      `its ${name} ${shown(text)} is no text of 1 to ${limits.textCharactersMax} characters without control characters`,
    )
  }
  const isOfTag = name === 'party' || name === 'session'
  return isOfTag ? (parseIdentifier(text) ?? text) : text
}

function readType(fields: RowFields, limits: EventLimits): string {
  const text = readText(fields, 'eventType') ?? 'pageView'
  if (text.length <= limits.textCharactersMax) return text
  throw refusal(`its eventType has more than ${limits.textCharactersMax} characters`)
}

function readUrl(fields: RowFields, name: FieldName, limits: EventLimits): string | null {
  const text = readText(fields, name)
  return text === null ? null : cut(text, limits.urlCharactersMax)
}

function readCountry(fields: RowFields): string | null {
  const text = readText(fields, 'country')
  if (text === null || text === 'unknown') return null
  if (/^[A-Za-z]{2}$/.test(text)) return text.toUpperCase()
  throw refusal(`its country ${shown(text)} is no code of two letters`)
}

interface ParametersOfRow {
  readonly value: unknown
  readonly text: string | null
}

/** The JSON of a column `parameters`, with the columns that become parameters over it. */
function readParameters(fields: RowFields, limits: EventLimits): ParametersOfRow {
  const given = fields.get('parameters')
  if (isNone(given) && fields.parameters === null) return { value: null, text: null }
  let value: unknown
  try {
    value = typeof given === 'string' && given !== '' ? parseJson(given) : (given ?? null)
  } catch (thrown) {
    throw refusal('its parameters are no JSON', { cause: thrown })
  }
  if (fields.parameters !== null) {
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    if (!isNone(value) && !isObject) throw refusal('its parameters are no object')
    value = { ...(value as object | null), ...fields.parameters }
  }
  const text = formatJson(value) ?? ''
  if (text === '' || Buffer.byteLength(text) > limits.parametersBytesMax) {
    throw refusal(`its parameters are more than ${limits.parametersBytesMax} bytes of JSON`)
  }
  try {
    return { value: restoreNumbers(value, limits.parametersDepthMax), text }
  } catch (thrown) {
    throw refusal(`its parameters are more than ${limits.parametersDepthMax} levels deep`, {
      cause: thrown,
    })
  }
}
