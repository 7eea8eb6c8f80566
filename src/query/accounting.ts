import type { AccountingRow, Filter, TimeRange } from '../store/store.ts'
import {
  filterParameters,
  type ParameterNotes,
  parseChoice,
  parseRange,
  type QueryContext,
  type QueryStore,
  rangeParameters,
  readParameters,
} from './query.ts'

/** What became of what was sent, by day. */
export interface AccountingQuestion {
  readonly range: TimeRange
  readonly filter: Pick<Filter, 'bots'>
}

/** A book-keeping that leaves events out does not add up, so here bots count unless they must not. */
export const accountingParameters: ParameterNotes = {
  ...rangeParameters,
  bots: {
    ...filterParameters.bots,
    description: 'Whether events of bots count; rejected requests always do',
    default: 'include',
  },
}

/**
 * @throws MillraceError `question_invalid`, `question_too_large`
 */
export function parseAccounting(queryText: string, context: QueryContext): AccountingQuestion {
  const parameters = readParameters(queryText, accountingParameters)
  const bots = parseChoice(parameters, 'bots', filterParameters.bots.enum) ?? 'include'
  return { range: parseRange(parameters, context.clock()), filter: { bots } }
}

/** Days in their order; see `Store.accounting` for what counts where. */
export function askAccounting(
  store: QueryStore,
  question: AccountingQuestion,
): Promise<readonly AccountingRow[]> {
  return store.accounting(question.range, question.filter)
}
