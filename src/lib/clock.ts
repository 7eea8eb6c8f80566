/** The time in milliseconds since 1970. An argument wherever time matters, so that tests decide it. */
export type Clock = () => number

/** The machine's clock. */
export const systemClock: Clock = () => Date.now()

export const secondMs = 1_000
export const minuteMs = 60 * secondMs
export const hourMs = 60 * minuteMs
export const dayMs = 24 * hourMs

/** The UTC day of a time in milliseconds, as `YYYY-MM-DD`. */
export function dayOf(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 10)
}
