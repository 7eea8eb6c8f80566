import { dayMs, dayOf } from '../../src/lib/clock.ts'
import type { ClickThrough } from '../../src/store/exposure.ts'
import type { Filter, Row, TimeRange } from '../../src/store/store.ts'
import { selectRows } from './naive.ts'

/** Impressions and clicks joined as one would explain it: day by day, one item after the other. */

interface Shown {
  readonly id: string
  readonly item: string
  readonly at: number
  readonly position: number
  readonly model: string
}

export function clickThroughOf(
  rows: readonly Row[],
  range: TimeRange,
  filter: Filter,
): ClickThrough {
  const everything = { from: Number.NEGATIVE_INFINITY, to: Number.POSITIVE_INFINITY }
  const all = selectRows(rows, everything, filter)
  const shown = all.filter(({ eventType }) => eventType === 'impression').flatMap(shownOf)
  const clicks = all
    .filter(({ eventType, itemId }) => eventType === 'click' && itemId)
    .flatMap((row) => {
      const id = said(row)?.['recommendation_id']
      return isId(id) ? [{ id, item: row.itemId as string, at: row.eventTime }] : []
    })
  const isIn = (at: number): boolean => at >= range.from && at < range.to
  const causeOf = (click: { id: string; item: string; at: number }): Shown | undefined =>
    shown
      .filter(({ id, item }) => id === click.id && item === click.item)
      .filter(({ at }) => at <= click.at && at >= click.at - dayMs)
      .sort((a, b) => a.at - b.at)
      .at(-1)
  const inside = shown.filter(({ at }) => isIn(at))
  const days = Map.groupBy(inside, ({ id, item, at }) => JSON.stringify([dayOf(at), id, item]))
  const seen = [...days].map(([key, times]) => ({
    ...(times.sort(firstOf)[0] as Shown),
    isClicked: clicks.some((click) => {
      const cause = causeOf(click)
      const causeKey = cause && JSON.stringify([dayOf(cause.at), cause.id, cause.item])
      return cause !== undefined && isIn(cause.at) && causeKey === key
    }),
  }))
  const unmatched = clicks.filter((click) => isIn(click.at) && causeOf(click) === undefined)
  const groups = Map.groupBy(seen, ({ at, model, position }) =>
    JSON.stringify([dayOf(at), model, position]),
  )
  return {
    rows: [...groups]
      .map(([key, items]) => {
        const [day, model, position] = JSON.parse(key) as [string, string, number]
        const hits = items.filter(({ isClicked }) => isClicked).length
        return { day, model, position, impressions: items.length, clicks: hits }
      })
      .sort((a, b) => order(a.day, b.day) || order(a.model, b.model) || a.position - b.position),
    unmatchedClicks: new Set(
      unmatched.map(({ id, item, at }) => JSON.stringify([dayOf(at), id, item])),
    ).size,
    latest: latestOf(seen),
  }
}

function latestOf(seen: readonly (Shown & { readonly isClicked: boolean })[]) {
  return [...Map.groupBy(seen, ({ id }) => id)]
    .map(([recommendationId, ofId]) => ({
      recommendationId,
      seenAt: Math.min(...ofId.map(({ at }) => at)),
      items: [...Map.groupBy(ofId, ({ item }) => item)]
        .map(([itemId, days]) => {
          const { position, model } = days.sort(firstOf)[0] as Shown
          return { itemId, position, model, isClicked: days.some(({ isClicked }) => isClicked) }
        })
        .sort((a, b) => a.position - b.position || order(a.itemId, b.itemId)),
    }))
    .sort((a, b) => b.seenAt - a.seenAt || order(a.recommendationId, b.recommendationId))
    .slice(0, 10)
}

function firstOf(a: Shown, b: Shown): number {
  return a.at - b.at || a.position - b.position || order(a.model, b.model)
}

function shownOf(row: Row): Shown[] {
  const { recommendation_id: id, items } = said(row) ?? {}
  if (!isId(id) || !Array.isArray(items)) return []
  return items.flatMap((entry: Record<string, unknown> | null) => {
    const { item_id: item, position, model } = entry ?? {}
    const isItem = typeof item === 'number' || (typeof item === 'string' && item !== '')
    const isPlace = typeof position === 'number' && position >= 1 && position <= 100
    if (!isItem || !isPlace || !Number.isInteger(position)) return []
    const isModel = typeof model === 'string' && /^[a-z0-9-]{1,32}$/.test(model)
    const name = isModel ? model : 'unknown'
    return [{ id, item: String(item), at: row.eventTime, position, model: name }]
  })
}

function said({ parameters }: Row): Record<string, unknown> | undefined {
  try {
    return (JSON.parse(parameters ?? '') as Record<string, unknown> | null) ?? undefined
  } catch {
    return undefined
  }
}

function isId(id: unknown): id is string {
  return typeof id === 'string' && id !== '' && id.length <= 64
}

function order(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}
