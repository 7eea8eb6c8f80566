import { useEffect, useState } from 'preact/hooks'
import type { DatedAnswer } from '../api/answer.ts'
import { ask, type Problem, problemOf } from './ask.ts'

/** An answer that is kept up to date. */
export interface Followed<Answer> {
  /** The newest, also while another is on its way or the server is away. */
  readonly answer: Answer | undefined
  readonly problem: Problem | undefined
  /** The answer is to another question: the one that is shown now is on its way. */
  readonly isLoading: boolean
  readonly retry: () => void
}

/** Least time between two askings of one question. */
const intervalMs = 1_000
/** A question that takes long is asked less often: it may take this part of the server's time. */
const timeShare = 1 / 10
const intervalMaxMs = 10_000
/** An answer that is behind catches up by itself, without an event that would say so. */
const behindMs = 5_000
const retryMinMs = 1_000
const retryMaxMs = 5_000

interface Shown<Answer> {
  readonly path: string
  readonly answer?: Answer | undefined
  readonly problem?: Problem | undefined
}

/**
 * Asks `path`, again whenever `changes` says so, and while the server is away until it is back.
 * @param path undefined: nothing is asked
 * @param changes an event `change` says that the answer may be another one
 */
export function useAnswer<Answer>(
  path: string | undefined,
  changes: EventTarget,
): Followed<Answer> {
  const [shown, setShown] = useState<Shown<Answer>>({ path: '' })
  const [attempt, setAttempt] = useState(0)
  useEffect(() => {
    if (path === undefined) return
    const ending = new AbortController()
    void follow<Answer>(path, changes, ending.signal, (answer, problem) => {
      setShown((before) => ({ path, answer: problem ? kept(before, path) : answer, problem }))
    })
    return () => ending.abort()
  }, [path, changes, attempt])
  const isLoading = path !== undefined && shown.path !== path
  return {
    answer: path === undefined ? undefined : shown.answer,
    problem: isLoading ? undefined : shown.problem,
    isLoading,
    retry: () => setAttempt(attempt + 1),
  }
}

/** With a problem, numbers of another question would be taken for those of this one. */
function kept<Answer>(shown: Shown<Answer>, path: string): Answer | undefined {
  return shown.path === path ? shown.answer : undefined
}

async function follow<Answer>(
  path: string,
  changes: EventTarget,
  signal: AbortSignal,
  show: (answer: Answer | undefined, problem: Problem | undefined) => void,
): Promise<void> {
  const bell = createBell(changes, signal)
  let retryMs = retryMinMs
  while (!signal.aborted) {
    const begunAt = performance.now()
    let problem: Problem | undefined
    let isBehind = false
    try {
      const answer = await ask<Answer & DatedAnswer>(path, signal)
      isBehind = answer.asOf !== undefined
      if (signal.aborted) return
      show(answer, undefined)
      retryMs = retryMinMs
    } catch (thrown) {
      if (signal.aborted) return
      problem = problemOf(thrown)
      show(undefined, problem)
    }
    const tookMs = performance.now() - begunAt
    const waitMs = Math.min(Math.max(intervalMs, tookMs / timeShare), intervalMaxMs)
    if (problem?.isPassing) {
      await Promise.race([pause(retryMs, signal), bell()])
      retryMs = Math.min(retryMs * 2, retryMaxMs)
    } else if (isBehind) {
      await Promise.race([pause(behindMs, signal), bell()])
    } else {
      await bell()
    }
    await pause(begunAt + waitMs - performance.now(), signal)
  }
}

/** Resolves at the next change, at once when there was one since the last time. */
function createBell(changes: EventTarget, signal: AbortSignal): () => Promise<void> {
  let hasRung = false
  let wake = (): void => {}
  const ring = (): void => {
    hasRung = true
    wake()
  }
  changes.addEventListener('change', ring, { signal })
  signal.addEventListener('abort', ring)
  return async () => {
    if (!hasRung) {
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
    hasRung = false
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms <= 0 || signal.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}
