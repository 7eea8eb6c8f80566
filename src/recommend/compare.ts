import {
  type EvaluateRow,
  evaluate,
  indexSessions,
  type Protocol,
  predictionsOf,
} from './evaluate.ts'
import { createItemToItem } from './item-to-item.ts'
import { createPopularity } from './popularity.ts'
import type { Recommender } from './recommend.ts'
import { createScored, type Scores } from './scores.ts'
import type { FileSession } from './session-file.ts'
import { createSessionKnn, type SessionKnnOptions } from './session-knn.ts'
import { tuneSessionKnn } from './tune.ts'

/** The models side by side, on sessions that none of them has learnt from. */
export interface Comparison {
  readonly rows: readonly EvaluateRow[]
  /** What was chosen for session-kNN on a part of the training data. */
  readonly chosen: Readonly<Partial<Record<Protocol, SessionKnnOptions>>>
}

/** Of the sessions with an item all are counted: a batch has no time limit. */
const sessionsMax = Number.MAX_SAFE_INTEGER

export interface CompareInput {
  readonly training: readonly FileSession[]
  readonly test: readonly FileSession[]
  readonly protocols: readonly Protocol[]
  /** Answers of another program; absent, it has no row. */
  readonly scores?: Scores | undefined
}

/** Learns from `training`, then asks for every next click of `test`. */
export async function compareModels(input: CompareInput): Promise<Comparison> {
  const { training, test, protocols, scores } = input
  const index = await indexSessions(training)
  const chosen: Partial<Record<Protocol, SessionKnnOptions>> = {}
  const rows: EvaluateRow[] = []
  for (const protocol of protocols) {
    const options = await tuneSessionKnn(training, protocol)
    chosen[protocol] = options
    const models: readonly Recommender[] = [
      createPopularity(index),
      createItemToItem(index, { sessionsMax, decay: 0, cosine: false }),
      createItemToItem(index, { sessionsMax, decay: 0.8, cosine: true }, 'item-knn'),
      createSessionKnn(index, options),
      ...(scores === undefined ? [] : [createScored(scores)]),
    ]
    const predictions = predictionsOf(test, protocol)
    for (const model of models) {
      rows.push(evaluate(model, model.model, index, predictions, protocol))
    }
  }
  return { rows, chosen }
}
