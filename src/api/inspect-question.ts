import { MillraceError } from '../event/error.ts'
import {
  filterParameters,
  invalid,
  matchesFilter,
  type ParameterNotes,
  type Parameters,
  parseFilter,
  parseLimit,
  quote,
  readParameters,
} from '../query/query.ts'
import type { InspectedEvent, InspectedRejection } from './inspect.ts'

/** What who tests a site may ask: arrivals that match, at once or as soon as there are enough. */

/** Longest time that an answer may wait for events, below the idle timeout of usual proxies. */
export const waitMsMax = 25_000
/** Most arrivals in one answer. */
const arrivalsMax = 1_000

const waitParameters = {
  after: {
    description: 'Only arrivals with a greater number: `last` of an answer before',
    type: 'integer',
  },
  limit: { description: 'Most arrivals in the answer, the newest', type: 'integer', default: 100 },
  waitMs: {
    description: `Wait so long, at most ${waitMsMax} ms, until there are \`count\`; then 404`,
    type: 'integer',
  },
  count: { description: 'How many to wait for, with waitMs', type: 'integer', default: 1 },
} as const satisfies ParameterNotes

export const inspectEventsParameters: ParameterNotes = {
  ...filterParameters,
  bots: { ...filterParameters.bots, default: 'include' },
  parameters: {
    description: 'JSON: only events whose parameters have at least these members with these values',
    type: 'string',
    example: '{"item_id":"teapot"}',
  },
  location: { description: 'Only events of pages whose address has this text', type: 'string' },
  ...waitParameters,
}

export const inspectRejectionsParameters: ParameterNotes = {
  code: { description: 'Only refusals with this code', type: 'string', example: 'event_schema' },
  ...waitParameters,
}

export const inspectParameters: ParameterNotes = {
  since: {
    description: '`changes` of an answer before: wait until there are more',
    type: 'integer',
  },
  waitMs: { description: 'With since: how long to wait at most', type: 'integer' },
}

/** How many arrivals an answer has, and whether it may wait for them. */
export interface WaitQuestion {
  readonly after: number
  readonly limit: number
  /** 0 answers at once. */
  readonly waitMs: number
  readonly count: number
}

export interface ArrivalsQuestion<Arrival> extends WaitQuestion {
  readonly matches: (arrival: Arrival) => boolean
  /** What is asked for, for an answer that there is none. */
  readonly wanted: string
}

/** @throws MillraceError `question_invalid` */
export function parseInspectEvents(queryText: string): ArrivalsQuestion<InspectedEvent> {
  const parameters = readParameters(queryText, inspectEventsParameters)
  const withBots = new Map(parameters)
  // A browser that a program drives is often taken for a bot: here its events are what is looked for.
  if (!withBots.has('bots')) withBots.set('bots', 'include')
  const filter = parseFilter(withBots)
  const wanted = readWanted(parameters.get('parameters'))
  const location = parameters.get('location') ?? ''
  return {
    ...parseWait(parameters),
    matches: ({ event }) =>
      matchesFilter(filter, event) &&
      (location === '' || event.location?.includes(location) === true) &&
      (wanted === undefined || has(event.parameters, wanted)),
    wanted: filter.eventType ?? 'events',
  }
}

/** @throws MillraceError `question_invalid` */
export function parseInspectRejections(queryText: string): ArrivalsQuestion<InspectedRejection> {
  const parameters = readParameters(queryText, inspectRejectionsParameters)
  const code = parameters.get('code')
  return {
    ...parseWait(parameters),
    matches: ({ error }) => code === undefined || error.code === code,
    wanted: code ?? 'refusals',
  }
}

/** @returns undefined when the answer need not wait */
export function parseInspect(
  queryText: string,
): { readonly since: number; readonly waitMs: number } | undefined {
  const parameters = readParameters(queryText, inspectParameters)
  const since = readCount(parameters, 'since', Number.MAX_SAFE_INTEGER)
  return since === undefined ? undefined : { since, waitMs: readWaitMs(parameters) }
}

function parseWait(parameters: Parameters): WaitQuestion {
  const count = readCount(parameters, 'count', arrivalsMax)
  const waitMs = readWaitMs(parameters)
  if (count !== undefined && waitMs === 0) throw invalid('count needs waitMs')
  return {
    after: readCount(parameters, 'after', Number.MAX_SAFE_INTEGER) ?? 0,
    limit: parseLimit(parameters, arrivalsMax, '') ?? Math.max(100, count ?? 0),
    waitMs,
    count: count ?? 1,
  }
}

function readWaitMs(parameters: Parameters): number {
  return readCount(parameters, 'waitMs', waitMsMax) ?? 0
}

function readCount(parameters: Parameters, name: string, max: number): number | undefined {
  const text = parameters.get(name)
  if (text === undefined) return undefined
  const count = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  if (count <= max) return count
  throw invalid(`${name} is a number from 0 to ${max}, not ${quote(text)}`)
}

function readWanted(text: string | undefined): Record<string, unknown> | undefined {
  if (text === undefined) return undefined
  let wanted: unknown
  try {
    wanted = JSON.parse(text)
  } catch (thrown) {
    const reason = (thrown as Error).message
    throw new MillraceError('question_invalid', `parameters is no JSON: ${reason}`, {
      cause: thrown,
    })
  }
  if (typeof wanted === 'object' && wanted !== null && !Array.isArray(wanted)) {
    return wanted as Record<string, unknown>
  }
  throw invalid('parameters is a JSON object such as {"item_id":"teapot"}')
}

function has(text: string | null, wanted: unknown): boolean {
  return text !== null && covers(JSON.parse(text), wanted)
}

/** Objects may have more members than wanted; arrays and all else are equal. */
function covers(value: unknown, wanted: unknown): boolean {
  if (typeof wanted !== 'object' || wanted === null) return value === wanted
  if (typeof value !== 'object' || value === null) return false
  if (Array.isArray(wanted) !== Array.isArray(value)) return false
  if (Array.isArray(wanted) && wanted.length !== (value as unknown[]).length) return false
  return Object.entries(wanted).every(
    ([name, one]) =>
      Object.hasOwn(value, name) && covers((value as Record<string, unknown>)[name], one),
  )
}
