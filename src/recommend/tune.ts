import { accuracyOf, askAll, indexSessions, type Protocol, predictionsOf } from './evaluate.ts'
import type { FileSession } from './session-file.ts'
import { createSessionKnn, type SessionKnnOptions, sessionKnnDefaults } from './session-knn.ts'

/** Values that are tried, one option after the other, the others as they are best so far. */
const candidates: Readonly<Record<keyof SessionKnnOptions, readonly number[]>> = {
  itemDecay: [1, 1.5, 2, 3, 6],
  lengthPower: [0, 0.25, 0.5],
  ageDays: [0, 2, 5, 10, 30],
  distanceDecay: [0, 2, 4, 8],
  beforeWeight: [0.4, 0.7, 1],
  rarityPower: [0, 0.5, 1, 1.5],
  matchDecay: [0, 1, 2, 3, 5],
  neighbours: [100, 200, 500, 1_000],
  sessionsMax: [500, 1_000, 2_500],
}

/** Of the training sessions, in their order of time, the last part is foreseen from the others. */
const learntShare = 0.8
/** Enough to tell good from better; all would take minutes. */
const predictionsMax = 2_000
const rounds = 2

/**
 * Chooses the options of session-kNN by HR@20 + MRR@20 on the newest fifth of the training
 * sessions: nothing of the test is looked at.
 */
export async function tuneSessionKnn(
  training: readonly FileSession[],
  protocol: Protocol,
): Promise<SessionKnnOptions> {
  const cut = Math.floor(training.length * learntShare)
  const held = training.slice(cut)
  const all = predictionsOf(held, protocol)
  const step = Math.max(1, Math.ceil(all.length / predictionsMax))
  const predictions = all.filter((_, at) => at % step === 0)
  if (cut === 0 || predictions.length === 0) return sessionKnnDefaults
  const index = await indexSessions(training.slice(0, cut))
  const goodness = (options: SessionKnnOptions): number => {
    const { ranks } = askAll(createSessionKnn(index, options), predictions, protocol)
    const { hr20, mrr20 } = accuracyOf(ranks)
    return hr20 + mrr20
  }
  let best = sessionKnnDefaults
  let bestGoodness = goodness(best)
  for (let round = 0; round < rounds; round++) {
    const before = best
    for (const [name, values] of Object.entries(candidates)) {
      const current = best[name as keyof SessionKnnOptions]
      for (const value of values) {
        if (value === current) continue
        const options = { ...best, [name]: value }
        const found = goodness(options)
        if (found <= bestGoodness) continue
        bestGoodness = found
        best = options
      }
    }
    if (best === before) break
  }
  return best
}
