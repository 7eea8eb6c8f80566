/**
 * States what must hold here; a failure is a defect of this program, never of its input.
 * @throws Error when `condition` is false
 */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${message}`)
}

/** Turns anything that was thrown into an Error, so that `message` can be read from it. */
export function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown))
}
