import { MillraceError } from '../event/error.ts'
import type { CountRow, Filter, OnBehind, TimeRange } from '../store/store.ts'
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

/** How many events there are, by day and event type. */
export interface CountsQuestion {
  readonly range: TimeRange
  readonly filter: Filter
}

export const countsParameters: ParameterNotes = { ...rangeParameters, ...filterParameters }

/** Most rows of counts: anybody can send events of a million types. */
const countRowsMax = 200_000

/**
 * @throws MillraceError `question_invalid`, `question_too_large`
 */
export function parseCounts(queryText: string, context: QueryContext): CountsQuestion {
  const parameters = readParameters(queryText, countsParameters)
  return { range: parseRange(parameters, context.clock()), filter: parseFilter(parameters) }
}

/**
 * The counts in the order of day and event type.
 * @throws MillraceError `question_too_large` when there are too many event types to show
 */
export async function askCounts(
  store: QueryStore,
  question: CountsQuestion,
  onBehind?: OnBehind,
): Promise<readonly CountRow[]> {
  const rows = await store.counts(question.range, question.filter, onBehind)
  if (rows.length <= countRowsMax) return rows
  throw new MillraceError(
    'question_too_large',
    `${rows.length} counts of a day and an event type, where ${countRowsMax} are the most`,
  )
}
