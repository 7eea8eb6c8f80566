import { isMillraceError } from '../event/error.ts'
import { askEvents } from '../query/events.ts'
import {
  filterParameters,
  invalid,
  type ParameterNotes,
  parseChoice,
  parseFilter,
  parseRange,
  type QueryStore,
  quote,
  rangeParameters,
  readParameters,
} from '../query/query.ts'
import type { Filter, Row, TimeRange } from '../store/store.ts'

/** The events of a span of time to take along: which, and in what form. */

export const exportFormats = ['parquet', 'csv', 'ndjson'] as const
export type ExportFormat = (typeof exportFormats)[number]

export interface ExportQuestion {
  readonly range: TimeRange
  readonly filter: Filter
  readonly format: ExportFormat
}

export const exportParameters: ParameterNotes = {
  ...rangeParameters,
  ...filterParameters,
  bots: {
    ...filterParameters.bots,
    // A copy is for questions of one's own; what was left out of it cannot be asked for any more.
    description: 'Whether events of bots are in it; the column bot tells them apart',
    default: 'include',
  },
  day: { description: 'One day (UTC), instead of a range', type: 'string', example: '2026-01-31' },
  format: { description: 'The form of the file', type: 'string', enum: exportFormats },
}

/** Rows asked of the store at once: a page has a price of its own, so fewer and larger ones. */
const pageRows = 5_000

/**
 * @throws MillraceError `question_invalid`, `question_too_large`
 */
export function parseExport(queryText: string, nowMs: number): ExportQuestion {
  const parameters = readParameters(queryText, exportParameters)
  const format = parseChoice(parameters, 'format', exportFormats)
  if (format === undefined) throw invalid(`format is needed: ${exportFormats.join(', ')}`)
  const bots = parseChoice(parameters, 'bots', ['exclude', 'include']) ?? 'include'
  const filter = { ...parseFilter(parameters), bots }
  const day = parameters.get('day')
  if (day === undefined) return { range: parseRange(parameters, nowMs), filter, format }
  for (const name of ['last', 'from', 'to']) {
    if (parameters.has(name)) throw invalid(`day cannot be given together with ${name}`)
  }
  return { range: parseDay(day, nowMs), filter, format }
}

function parseDay(day: string, nowMs: number): TimeRange {
  const fault = `day is one such as 2026-01-31, not ${quote(day)}`
  if (!/^\d{4}-\d{2}-\d{2}$/.test(day)) throw invalid(fault)
  try {
    return parseRange(
      new Map([
        ['from', day],
        ['to', day],
      ]),
      nowMs,
    )
  } catch (thrown) {
    if (isMillraceError(thrown, 'question_invalid')) throw invalid(fault)
    throw thrown
  }
}

/** The events, a page at a time, in the order of their time; the next page is read when asked for. */
export function exportPages(
  store: Pick<QueryStore, 'events'>,
  { range, filter }: Pick<ExportQuestion, 'range' | 'filter'>,
): AsyncGenerator<readonly Row[], void, undefined> {
  const question = { range, filter, order: 'asc', limit: undefined, after: undefined, key: '' }
  return askEvents(store, question as Parameters<typeof askEvents>[1], undefined, pageRows)
}
