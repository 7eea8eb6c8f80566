/**
 * Limits of the delivery and its stored queue. The bundler writes numbers in place, which makes the tag
 * smaller, only where they come from a file without imports.
 */

/** Most events and characters (ASCII) that wait for an answer; past it the oldest are dropped. */
export const itemsMax = 1000
export const charactersMax = 262_144
/** The collector believes the time of an event for 7 days. */
export const ageMaxMs = 6 * 86_400_000
/**
 * Browsers let a page have 64 KiB of bodies under way that outlive it: room for one request that is
 * under way as the page is left, and one with all that came since. The collector takes 500 events.
 */
export const batchCharactersMax = 30_000
export const batchItemsMax = 100
export const answerTimeoutMs = 30_000
/** Doubled before each try, the first too. */
export const retryMinMs = 500
export const retryMaxMs = 300_000
/** More events than can ever wait. */
export const everything = 1e9

/** Without Web Locks: a queue that is overdue for so long has no page any more. */
export const abandonedMs = 600_000

/** By then every page knows that a queue was taken from the storage. */
export const takenMs = 1000
