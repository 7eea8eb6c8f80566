import { MillraceError } from '../event/error.ts'
import type { Event } from '../event/event.ts'
import { parseIdentifier } from '../event/identity.ts'
import { type Clock, dayMs } from '../lib/clock.ts'
import { nearest } from '../lib/settings.ts'
import { type Filter, type Row, type Store, type TimeRange, unknownValue } from '../store/store.ts'

/**
 * What all questions share: their parameters, read from a query string into the store's types. A
 * file each has one question. Days are UTC, and `last=30d` is today and the 29 days before.
 */

/** What the questions need of the store: to read it, nothing else. */
export type QueryStore = Pick<
  Store,
  | 'events'
  | 'counts'
  | 'extent'
  | 'uniques'
  | 'top'
  | 'sessions'
  | 'funnel'
  | 'retention'
  | 'accounting'
  | 'clickThrough'
  | 'deadLetters'
  | 'health'
>

/** One stored event. */
export type EventRow = Row

export type { OnBehind } from '../store/store.ts'

/** What a question is asked against. */
export interface QueryContext {
  readonly clock: Clock
  /** Most rows in one answer. */
  readonly rowsMax: number
}

/** What a parameter may be, for whoever reads /api/openapi.json. */
export interface ParameterNote {
  readonly description: string
  readonly type: 'string' | 'integer'
  readonly enum?: readonly string[]
  readonly default?: string | number
  readonly example?: string
}

/** The names of a question's parameters and what they may be. */
export type ParameterNotes = Readonly<Record<string, ParameterNote>>

export const rangeParameters = {
  last: {
    description: 'This many days: today (UTC) and the days before. Not together with from and to',
    type: 'string',
    default: '30d',
    example: '90d',
  },
  from: {
    description: 'The first day (UTC), or an instant (ISO 8601 with a zone), which is included',
    type: 'string',
    example: '2026-01-31',
  },
  to: {
    description:
      'The last day (UTC), which is included, or an instant, which is not; without it, today',
    type: 'string',
    example: '2026-02-28',
  },
} as const satisfies ParameterNotes

export const filterParameters = {
  bots: {
    description: 'Whether events of bots count',
    type: 'string',
    enum: ['exclude', 'include'],
    default: 'exclude',
  },
  party: { description: 'Only events of this party', type: 'string' },
  session: { description: 'Only events of this session', type: 'string' },
  eventType: { description: 'Only events of this type', type: 'string', example: 'pageView' },
  item: { description: 'Only events with this item', type: 'string' },
  country: {
    description: 'Only events from this country (ISO 3166-1 alpha-2), or `unknown`',
    type: 'string',
    example: 'NL',
  },
  device: {
    description: 'Only events of this device category, as /api/devices names it',
    type: 'string',
    example: 'Smartphone',
  },
} as const satisfies ParameterNotes

/** The parameters of one question as they were given. */
export type Parameters = ReadonlyMap<string, string>

/** Ten years: a longer range is a slip of the pen, and would touch every file there is. */
export const rangeDaysMax = 3_660
/** Longest value of a filter, in characters; nothing longer is ever stored in these columns. */
const valueCharactersMax = 1_024
const limitDefault = 100

/**
 * Reads a query string (without `?`) strictly: a name that is unknown, given twice or broken would
 * otherwise give an answer to a question that nobody asked.
 * @throws MillraceError `question_invalid`
 */
export function readParameters(queryText: string, known: ParameterNotes): Parameters {
  const parameters = new Map<string, string>()
  for (const pair of queryText.split('&')) {
    if (pair === '') continue
    const equals = pair.indexOf('=')
    const name = decode(equals < 0 ? pair : pair.slice(0, equals))
    const value = equals < 0 ? '' : decode(pair.slice(equals + 1))
    if (!Object.hasOwn(known, name)) {
      throw invalid(`unknown parameter ${quote(name)}${nearest(name, Object.keys(known))}`)
    }
    if (parameters.has(name)) throw invalid(`${name} is given twice`)
    if (value === '') throw invalid(`${name} is empty`)
    if (value.length > valueCharactersMax) {
      throw invalid(`${name} is longer than ${valueCharactersMax} characters`)
    }
    parameters.set(name, value)
  }
  return parameters
}

/**
 * The span of event time of `last`, or of `from` and `to`; that of `lastDefault` without any.
 * @throws MillraceError `question_invalid`, and `question_too_large` beyond ten years
 */
export function parseRange(
  parameters: Parameters,
  nowMs: number,
  lastDefault: string = rangeParameters.last.default,
): TimeRange {
  const tomorrow = Math.floor(nowMs / dayMs) * dayMs + dayMs
  const last = parameters.get('last')
  const from = parameters.get('from')
  const to = parameters.get('to')
  if (from === undefined) {
    if (to !== undefined) throw invalid('to needs from')
    return {
      from: tomorrow - parseDays(last ?? lastDefault) * dayMs,
      to: tomorrow,
    }
  }
  if (last !== undefined) throw invalid('last cannot be given together with from and to')
  const range = {
    from: parseTime('from', from).timeMs,
    to: to === undefined ? tomorrow : endOf(parseTime('to', to)),
  }
  if (range.from >= range.to) throw invalid('from is not before to')
  assertRangeSize(range.to - range.from)
  return range
}

function parseDays(text: string): number {
  const days = /^(\d{1,9})d$/.exec(text)?.[1]
  if (days === undefined || Number(days) < 1) {
    throw invalid(`last is a number of days such as 30d, not ${quote(text)}`)
  }
  assertRangeSize(Number(days) * dayMs)
  return Number(days)
}

function assertRangeSize(ms: number): void {
  if (ms <= rangeDaysMax * dayMs) return
  const days = Math.ceil(ms / dayMs)
  throw new MillraceError(
    'question_too_large',
    `${days} days, where ${rangeDaysMax} days are the most`,
  )
}

interface GivenTime {
  readonly timeMs: number
  readonly isDay: boolean
}

function endOf(time: GivenTime): number {
  return time.isDay ? time.timeMs + dayMs : time.timeMs
}

const dayPattern = /^\d{4}-\d{2}-\d{2}$/
const instantPattern =
  /^\d{4}-\d{2}-\d{2}T([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})$/

function parseTime(name: string, text: string): GivenTime {
  // A `+` that nobody escaped has become a space on its way.
  const given = text.replace(/ (?=\d{2}:\d{2}$)/, '+')
  const isDay = dayPattern.test(given)
  const timeMs = isDay || instantPattern.test(given) ? Date.parse(given) : Number.NaN
  if (Number.isNaN(timeMs) || !isCalendarDay(given.slice(0, 10))) {
    throw invalid(
      `${name} is a day such as 2026-01-31 or an instant such as 2026-01-31T12:00:00Z, not ${quote(text)}`,
    )
  }
  return { timeMs, isDay }
}

/** Date.parse takes the 30th of February for the 2nd of March. */
function isCalendarDay(day: string): boolean {
  const timeMs = Date.parse(day)
  return !Number.isNaN(timeMs) && new Date(timeMs).toISOString().startsWith(day)
}

/**
 * Which events count; bots do not unless asked for.
 * @throws MillraceError `question_invalid`
 */
export function parseFilter(parameters: Parameters): Filter {
  const party = parameters.get('party')
  const session = parameters.get('session')
  const eventType = parameters.get('eventType')
  const item = parameters.get('item')
  const country = parameters.get('country')
  const device = parameters.get('device')
  return {
    bots: parseChoice(parameters, 'bots', filterParameters.bots.enum) ?? 'exclude',
    ...(party !== undefined && { partyId: parseIdentifier(party) ?? party }),
    ...(session !== undefined && { sessionId: parseIdentifier(session) ?? session }),
    ...(eventType !== undefined && { eventType }),
    ...(item !== undefined && { itemId: item }),
    ...(country !== undefined && { country: parseCountry(country) }),
    ...(device !== undefined && { device }),
  }
}

/** Country codes are stored in upper case; people write either. */
function parseCountry(text: string): string {
  return text.length === 2 ? text.toUpperCase() : text
}

/** One of a few words, or undefined when it is not given. */
export function parseChoice<Word extends string>(
  parameters: Parameters,
  name: string,
  words: readonly Word[],
): Word | undefined {
  const text = parameters.get(name)
  if (text === undefined) return undefined
  const word = words.find((candidate) => candidate === text)
  if (word === undefined) throw invalid(`${name} is ${words.join(' or ')}, not ${quote(text)}`)
  return word
}

/**
 * How many rows to answer; undefined when it is not given.
 * @param advice how to come by more
 * @throws MillraceError `question_invalid` beyond `rowsMax`, which it names
 */
export function parseLimit(
  parameters: Parameters,
  rowsMax: number,
  advice = '; go on with after=, or ask for NDJSON',
): number | undefined {
  const text = parameters.get('limit')
  if (text === undefined) return undefined
  const limit = /^\d{1,15}$/.test(text) ? Number(text) : 0
  if (limit < 1) throw invalid(`limit is a number from 1 to ${rowsMax}, not ${quote(text)}`)
  if (limit > rowsMax) throw invalid(`limit is at most ${rowsMax}${advice}`)
  return limit
}

/** The rows of one answer when the question does not say. */
export function limitFallback(rowsMax: number): number {
  return Math.min(limitDefault, rowsMax)
}

/** Whether an event that is not in the store yet would be in the answer. */
export function matchesFilter(filter: Filter, event: Event): boolean {
  return (
    (filter.bots === 'include' || event.bot === null) &&
    (filter.partyId === undefined || event.partyId === filter.partyId) &&
    (filter.sessionId === undefined || event.sessionId === filter.sessionId) &&
    (filter.eventType === undefined || event.eventType === filter.eventType) &&
    (filter.itemId === undefined || event.itemId === filter.itemId) &&
    (filter.country === undefined || (event.country ?? unknownValue) === filter.country) &&
    (filter.device === undefined || (event.agent.deviceCategory ?? unknownValue) === filter.device)
  )
}

/** A `question_invalid` with its detail. */
export function invalid(detail: string): MillraceError {
  return new MillraceError('question_invalid', detail)
}

/** A value as an error shows it: quoted, cut, nothing in it can act. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text)
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    throw invalid(`broken percent escape in ${quote(text)}`)
  }
}
