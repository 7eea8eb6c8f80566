import { dayMs } from '../lib/clock.ts'
import type { EventCursor, EventPage, Filter, TimeRange } from '../store/store.ts'
import {
  type EventRow,
  filterParameters,
  limitFallback,
  type ParameterNotes,
  type Parameters,
  parseChoice,
  parseFilter,
  parseLimit,
  parseRange,
  type QueryContext,
  type QueryStore,
  rangeDaysMax,
  rangeParameters,
  readParameters,
} from './query.ts'
import { invalidToken, questionKey, readToken, writeToken } from './token.ts'

/** Which events there are, in the order of their time. */
export interface EventsQuestion {
  readonly range: TimeRange
  readonly filter: Filter
  readonly order: EventPage['order']
  /** undefined: all, where they are streamed. */
  readonly limit: number | undefined
  readonly after: EventCursor | undefined
  readonly key: string
}

export const eventsParameters: ParameterNotes = {
  ...rangeParameters,
  ...filterParameters,
  order: {
    description: 'By event time',
    type: 'string',
    enum: ['asc', 'desc'],
    default: 'asc',
  },
  limit: { description: 'Most events in the answer', type: 'integer', default: 100 },
  after: { description: 'Go on from here: `next` of the answer before', type: 'string' },
}

/** Rows asked of the store at once: enough for its cost per question, little enough for memory. */
const chunkRowsMax = 1_000

/**
 * @throws MillraceError `question_invalid`, `question_too_large`, `token_foreign`
 */
export function parseEvents(queryText: string, context: QueryContext): EventsQuestion {
  const parameters = readParameters(queryText, eventsParameters)
  const limit = parseLimit(parameters, context.rowsMax) ?? limitFallback(context.rowsMax)
  return { ...parsePages(parameters, context), limit }
}

/** The same question where the answer is streamed: without a limit it is the whole range. */
export function parseEventStream(queryText: string, context: QueryContext): EventsQuestion {
  const parameters = readParameters(queryText, eventsParameters)
  const limit = parseLimit(parameters, Number.MAX_SAFE_INTEGER)
  return { ...parsePages(parameters, context), limit }
}

function parsePages(parameters: Parameters, context: QueryContext): Omit<EventsQuestion, 'limit'> {
  const range = parseRange(parameters, context.clock())
  const filter = parseFilter(parameters)
  const order = parseChoice(parameters, 'order', ['asc', 'desc']) ?? 'asc'
  // The range as it was asked for, not as it is now: `last` moves on at midnight, the token stays.
  const asked = ['last', 'from', 'to'].map((name) => parameters.get(name) ?? null)
  const key = questionKey('events', [asked, filter, order])
  const token = parameters.get('after')
  if (token === undefined) return { range, filter, order, key, after: undefined }
  return { filter, order, key, ...readPlace(key, token) }
}

/** Where the answer goes on after `row`: with the range of the first page, whatever the day is then. */
export function tokenAfter(question: Pick<EventsQuestion, 'range' | 'key'>, row: EventRow): string {
  const { range, key } = question
  return writeToken(key, [range.from, range.to, row.eventTime, row.eventId, row.partyId ?? ''])
}

/**
 * The range of the first page and the place where this one goes on.
 * @throws MillraceError `token_foreign`, `question_invalid`
 */
export function readPlace(key: string, token: string): { range: TimeRange; after: EventCursor } {
  const [from, to, eventTime, eventId, partyId] = readToken(key, token)
  if (
    !isTime(from) ||
    !isTime(to) ||
    !isTime(eventTime) ||
    typeof eventId !== 'string' ||
    typeof partyId !== 'string' ||
    from >= to ||
    to - from > rangeDaysMax * dayMs
  ) {
    throw invalidToken()
  }
  return { range: { from, to }, after: { eventTime, eventId, partyId } }
}

function isTime(value: unknown): value is number {
  return Number.isSafeInteger(value)
}

/**
 * The events, a chunk at a time; the next chunk is read only when asked for. Ends after `rowsMax`
 * rows, or with the range when it is undefined. Events that arrive meanwhile are neither lost nor
 * repeated: each chunk goes on after the last key of the one before.
 */
export async function* askEvents(
  store: Pick<QueryStore, 'events'>,
  question: EventsQuestion,
  rowsMax: number | undefined,
  chunkRows: number = chunkRowsMax,
): AsyncGenerator<readonly EventRow[], void, undefined> {
  let left = rowsMax ?? Number.POSITIVE_INFINITY
  let after = question.after
  while (left > 0) {
    const limit = Math.min(chunkRows, left)
    const rows = await store.events(question.range, question.filter, {
      order: question.order,
      limit,
      ...(after !== undefined && { after }),
    })
    if (rows.length > 0) yield rows
    const last = rows.at(-1)
    if (last === undefined || rows.length < limit) return
    left -= rows.length
    after = { eventTime: last.eventTime, eventId: last.eventId, partyId: last.partyId ?? '' }
  }
}
