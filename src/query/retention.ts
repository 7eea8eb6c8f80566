import { dayMs } from '../lib/clock.ts'
import type { Filter, RetentionRow, TimeRange } from '../store/store.ts'
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

/** How many of the parties that were new in a week came again in later ones. */
export interface RetentionQuestion {
  readonly range: TimeRange
  readonly filter: Filter
}

const { bots, eventType, item, country, device } = filterParameters

export const retentionParameters: ParameterNotes = {
  ...rangeParameters,
  bots,
  eventType,
  item,
  country,
  device,
}

/**
 * The range ends today at the latest: of weeks to come nobody knows who stayed away.
 * @throws MillraceError `question_invalid`, `question_too_large`
 */
export function parseRetention(queryText: string, context: QueryContext): RetentionQuestion {
  const parameters = readParameters(queryText, retentionParameters)
  const now = context.clock()
  const { from, to } = parseRange(parameters, now)
  const tomorrow = Math.floor(now / dayMs) * dayMs + dayMs
  return {
    range: { from, to: Math.max(from, Math.min(to, tomorrow)) },
    filter: parseFilter(parameters),
  }
}

/** Weeks in their order; see `Store.retention` for who is new. */
export function askRetention(
  store: QueryStore,
  question: RetentionQuestion,
): Promise<readonly RetentionRow[]> {
  return store.retention(question.range, question.filter)
}
