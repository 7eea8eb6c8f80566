import type { Filter, TimeRange } from '../store/store.ts'
import {
  filterParameters,
  invalid,
  type ParameterNotes,
  parseFilter,
  parseRange,
  type QueryContext,
  type QueryStore,
  rangeParameters,
  readParameters,
} from './query.ts'

/** How many parties did some things one after the other. */
export interface FunnelQuestion {
  readonly range: TimeRange
  readonly filter: Filter
  readonly steps: readonly string[]
}

/** Parties that came to a step, by way of all before it. */
export interface FunnelStep {
  readonly step: string
  readonly parties: number
}

const stepsMin = 2
const stepsMax = 10

const { bots, party, item, country, device } = filterParameters

export const funnelParameters: ParameterNotes = {
  steps: {
    description: `${stepsMin} to ${stepsMax} event types in their order, with commas between them`,
    type: 'string',
    example: 'pageView,addToBasket,purchase',
  },
  ...rangeParameters,
  bots,
  party,
  item,
  country,
  device,
}

/**
 * @throws MillraceError `question_invalid`, `question_too_large`
 */
export function parseFunnel(queryText: string, context: QueryContext): FunnelQuestion {
  const parameters = readParameters(queryText, funnelParameters)
  return {
    range: parseRange(parameters, context.clock()),
    filter: parseFilter(parameters),
    steps: parseSteps(parameters.get('steps')),
  }
}

function parseSteps(text: string | undefined): readonly string[] {
  const words = `${stepsMin} to ${stepsMax} event types with commas between them`
  if (text === undefined) throw invalid(`steps is missing: ${words}`)
  const steps = text.split(',')
  if (steps.length < stepsMin || steps.length > stepsMax) {
    throw invalid(`steps is ${words}, not ${steps.length}`)
  }
  if (steps.includes('')) throw invalid('a step of steps is empty')
  return steps
}

/** A row for each step. */
export async function askFunnel(
  store: QueryStore,
  { range, filter, steps }: FunnelQuestion,
): Promise<readonly FunnelStep[]> {
  const parties = await store.funnel(range, filter, steps)
  return steps.map((step, index) => ({ step, parties: parties[index] ?? 0 }))
}
