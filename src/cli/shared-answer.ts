/**
 * Several that ask at once get one answer, or an error after `limitMs`: what takes long must not hold
 * up whoever reads it beside other numbers.
 */
export function shareAnswer<Answer>(
  limitMs: number,
  ask: () => Promise<Answer>,
): () => Promise<Answer> {
  let asking: Promise<Answer> | undefined
  return () => {
    asking ??= ask().finally(() => {
      asking = undefined
    })
    return within(limitMs, asking)
  }
}

function within<Answer>(limitMs: number, answer: Promise<Answer>): Promise<Answer> {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error(`no answer within ${limitMs} ms`)), limitMs)
  return Promise.race([answer, promise]).finally(() => clearTimeout(timer))
}
