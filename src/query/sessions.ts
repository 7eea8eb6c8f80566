import type { Filter, SessionRow, TimeRange } from '../store/store.ts'
import {
  filterParameters,
  type ParameterNotes,
  parseFilter,
  parseRange,
  type QueryContext,
  type QueryStore,
  rangeParameters,
  readParameters,
} from './query.ts'

/** How many sessions began on each day, and what they were like. */
export interface SessionsQuestion {
  readonly range: TimeRange
  readonly filter: Filter
}

const { bots, party, country, device } = filterParameters

/** Not by event type or item: sessions with some of their events left out are no sessions. */
export const sessionsParameters: ParameterNotes = {
  ...rangeParameters,
  bots,
  party,
  country,
  device,
}

/**
 * @throws MillraceError `question_invalid`, `question_too_large`
 */
export function parseSessions(queryText: string, context: QueryContext): SessionsQuestion {
  const parameters = readParameters(queryText, sessionsParameters)
  return { range: parseRange(parameters, context.clock()), filter: parseFilter(parameters) }
}

/** Days in their order; see `Store.sessions` for what happens at the ends of the range. */
export function askSessions(
  store: QueryStore,
  question: SessionsQuestion,
): Promise<readonly SessionRow[]> {
  return store.sessions(question.range, question.filter)
}
