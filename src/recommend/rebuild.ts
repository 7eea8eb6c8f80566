import { secondMs } from '../lib/clock.ts'

const quietMs = 2 * secondMs
/** Reading the store may take a tenth of the time. */
const pauseShare = 10

/**
 * Returns what to call whenever the store got something that is not on the log. Imports come in
 * batches: `build` runs once nothing more has come for a while.
 */
export function createRebuild(
  build: () => Promise<{ readonly milliseconds: number }>,
  onFailure: (thrown: unknown) => void,
  signal: AbortSignal,
): () => void {
  let timer: NodeJS.Timeout | undefined
  let pauseMs = quietMs
  const rebuild = async (): Promise<void> => {
    if (signal.aborted) return
    try {
      pauseMs = Math.max(quietMs, pauseShare * (await build()).milliseconds)
    } catch (thrown) {
      onFailure(thrown)
    }
  }
  return () => {
    clearTimeout(timer)
    timer = setTimeout(() => void rebuild(), pauseMs).unref()
  }
}
