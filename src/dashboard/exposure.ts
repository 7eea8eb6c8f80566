import type { ClickThroughAnswer } from '../api/answer.ts'

/** Rows of click-through put together in one way or another. */

type Row = ClickThroughAnswer['rows'][number]

export interface Exposed {
  readonly impressions: number
  readonly clicks: number
}

/** Impressions and clicks by what `keyOf` says of a row, in the order in which the keys come first. */
export function sumBy<Key>(rows: readonly Row[], keyOf: (row: Row) => Key): Map<Key, Exposed> {
  const sums = new Map<Key, Exposed>()
  for (const row of rows) {
    const { impressions, clicks } = sums.get(keyOf(row)) ?? { impressions: 0, clicks: 0 }
    sums.set(keyOf(row), {
      impressions: impressions + row.impressions,
      clicks: clicks + row.clicks,
    })
  }
  return sums
}

/** All of it. */
export function sumOf(rows: readonly Row[]): Exposed {
  return sumBy(rows, () => 0).get(0) ?? { impressions: 0, clicks: 0 }
}

/** What is drawn: a count, or the clicked share in per cent; undefined of nothing. */
export function amountOf(exposed: Exposed | undefined, metric: string): number | undefined {
  const { impressions, clicks } = exposed ?? { impressions: 0, clicks: 0 }
  if (metric === 'clicks') return clicks
  if (metric === 'impressions') return impressions
  return impressions === 0 ? undefined : (100 * clicks) / impressions
}
