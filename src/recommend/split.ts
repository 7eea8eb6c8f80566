import { MillraceError } from '../event/error.ts'
import type { FileSession } from './session-file.ts'

/** Sessions to learn from, and later ones to foresee. */
export interface Split {
  readonly training: readonly FileSession[]
  readonly test: readonly FileSession[]
}

/**
 * Splits at a moment: what ended before it is learnt from, what began at it or later is foreseen. A
 * session across it is neither, as its end would be known before its beginning is asked about.
 * @param atMs ms since 1970
 * @throws MillraceError `evaluate_invalid` when one of the two is empty
 */
export function splitAt(sessions: readonly FileSession[], atMs: number): Split {
  const training = sessions.filter(({ times }) => (times.at(-1) as number) < atMs)
  const test = sessions.filter(({ times }) => (times[0] as number) >= atMs)
  if (training.length > 0 && test.length > 0) return { training, test }
  const where = new Date(atMs).toISOString()
  const sides = `${training.length} sessions of two clicks or more before ${where} and ${test.length} after`
  throw new MillraceError('evaluate_invalid', `the store has ${sides}; both are needed`)
}
