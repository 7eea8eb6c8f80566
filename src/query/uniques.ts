import type { Filter, OnBehind, TimeRange, Uniques } from '../store/store.ts'
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

/** How many different parties there are, by day and in all. */
export interface UniquesQuestion {
  readonly range: TimeRange
  readonly filter: Filter
}

export const uniquesParameters: ParameterNotes = { ...rangeParameters, ...filterParameters }

/**
 * @throws MillraceError `question_invalid`, `question_too_large`
 */
export function parseUniques(queryText: string, context: QueryContext): UniquesQuestion {
  const parameters = readParameters(queryText, uniquesParameters)
  return { range: parseRange(parameters, context.clock()), filter: parseFilter(parameters) }
}

/** Days in their order; those without a party are left out. */
export function askUniques(
  store: QueryStore,
  question: UniquesQuestion,
  onBehind?: OnBehind,
): Promise<Uniques> {
  return store.uniques(question.range, question.filter, onBehind)
}
