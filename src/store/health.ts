/** How the store is, in numbers that can be alarmed on. */
export interface StoreHealth {
  readonly events: number
  /** ms since 1970 by the collector's clock: the newest receipt stored, or null when there is none. */
  readonly lastReceivedAt: number | null
  /** ms since 1970: when the last write was made by this process, or null. */
  readonly lastWrittenAt: number | null
  /** Receipts kept as repeats. */
  readonly duplicates: number
  /** Those that were not replayed yet. */
  readonly deadLetters: number
  /** Sizes on disk. */
  readonly bytes: number
  /** Closed days (UTC, `YYYY-MM-DD`) whose file is missing or cut: questions that need them fail. */
  readonly damagedDays: readonly string[]
  /** The store partition with most rows, where there are any; beyond `bucketRowsMax` it hurts. */
  readonly fullestBucket?: { readonly name: string; readonly rows: number }
}

/** Rows of a store partition beyond which reads and compaction suffer; planned are 100,000. */
export const bucketRowsMax = 500_000

/**
 * Called, once or several times, by a question whose answer may lack what was stored after `asOf` (ms
 * since 1970, the earliest counts): it is being counted. Not called, the answer has all.
 */
export type OnBehind = (asOf: number) => void
