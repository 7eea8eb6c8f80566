import type { ClickThrough } from '../store/exposure.ts'
import type { Filter, TimeRange } from '../store/store.ts'
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

/** Which recommendations were seen, and clicked. */
export interface ClickThroughQuestion {
  /** Of the impressions. */
  readonly range: TimeRange
  readonly filter: Filter
}

const { bots, country, device } = filterParameters

export const clickThroughParameters: ParameterNotes = { ...rangeParameters, bots, country, device }

/** @throws MillraceError `question_invalid`, `question_too_large` */
export function parseClickThrough(queryText: string, context: QueryContext): ClickThroughQuestion {
  const parameters = readParameters(queryText, clickThroughParameters)
  return { range: parseRange(parameters, context.clock()), filter: parseFilter(parameters) }
}

/** By day, model and position; the newest recommendations whole. */
export function askClickThrough(
  store: QueryStore,
  { range, filter }: ClickThroughQuestion,
): Promise<ClickThrough> {
  return store.clickThrough(range, filter)
}
