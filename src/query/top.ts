import type { Dimension, Filter, OnBehind, TimeRange, TopRow } from '../store/store.ts'
import {
  filterParameters,
  type ParameterNotes,
  type Parameters,
  parseChoice,
  parseFilter,
  parseLimit,
  parseRange,
  type QueryContext,
  type QueryStore,
  rangeParameters,
  readParameters,
} from './query.ts'

/** Which values most events have. */
export interface TopQuestion {
  readonly dimension: Dimension
  readonly range: TimeRange
  readonly filter: Filter
  readonly limit: number
}

const limitDefault = 20
/** A list is for reading; who needs all of it takes the events. */
const limitMax = 1_000

export const topParameters = {
  ...rangeParameters,
  ...filterParameters,
  limit: {
    description: `Most rows in the answer, at most ${limitMax}`,
    type: 'integer',
    default: limitDefault,
  },
} as const satisfies ParameterNotes

/** Pages and referrers are those of page views: other events on a page would count it again. */
export const pageViewParameters: ParameterNotes = {
  ...topParameters,
  eventType: { ...topParameters.eventType, default: 'pageView' },
}

export const devicesParameters = {
  ...topParameters,
  by: {
    description: 'Device category, browser, or operating system',
    type: 'string',
    enum: ['device', 'browser', 'system'],
    default: 'device',
  },
} as const satisfies ParameterNotes

/**
 * @throws MillraceError `question_invalid`, `question_too_large`
 */
export function parseTop(
  queryText: string,
  context: QueryContext,
  dimension: 'itemId' | 'country',
): TopQuestion {
  return { dimension, ...parseList(readParameters(queryText, topParameters), context) }
}

/** Like `parseTop`; without an event type, of page views. */
export function parseTopOfPageViews(
  queryText: string,
  context: QueryContext,
  dimension: 'page' | 'referrer',
): TopQuestion {
  const list = parseList(readParameters(queryText, pageViewParameters), context)
  return { dimension, ...list, filter: { eventType: 'pageView', ...list.filter } }
}

/** Like `parseTop`, for what `by` names. */
export function parseDevices(queryText: string, context: QueryContext): TopQuestion {
  const parameters = readParameters(queryText, devicesParameters)
  const dimension = parseChoice(parameters, 'by', devicesParameters.by.enum) ?? 'device'
  return { dimension, ...parseList(parameters, context) }
}

function parseList(parameters: Parameters, context: QueryContext): Omit<TopQuestion, 'dimension'> {
  return {
    range: parseRange(parameters, context.clock()),
    filter: parseFilter(parameters),
    limit: parseLimit(parameters, limitMax, '') ?? limitDefault,
  }
}

/** Most first; of equal counts the value that sorts first. */
export function askTop(
  store: QueryStore,
  question: TopQuestion,
  onBehind?: OnBehind,
): Promise<readonly TopRow[]> {
  const { dimension, range, filter, limit } = question
  return store.top(dimension, range, filter, limit, onBehind)
}
