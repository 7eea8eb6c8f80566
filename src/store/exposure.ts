import { dayMs, dayOf } from '../lib/clock.ts'

/**
 * Which recommendations were seen, and which of them were clicked. Two kinds of events tell it:
 *
 *   impression   {recommendation_id, items: [{item_id, position, model}, …]}
 *   click        {item_id, recommendation_id}
 *
 * An item of a recommendation is seen once on a day (UTC), however often it was told. A click
 * belongs to the last impression of the same recommendation and item that is not after it and not
 * older than 24 hours, on whose day it counts, once. So a day has the same row in every range.
 */

export const impressionEventType = 'impression'
export const clickEventType = 'click'
/** A click later than this after the impression has another cause. */
export const clickMs: number = dayMs
/** Characters of a recommendation's id. */
export const recommendationIdMax = 64
/** Items of one impression that are looked at, and the greatest position. */
export const positionMax = 100
/** Of those that pages name: the ones with most impressions; the others are `other`. */
export const modelsMax = 20
export const otherModel = 'other'
/** Stands for a model that is missing or none of ours could be called so. */
export const unknownModel = 'unknown'
export const modelPattern = '^[a-z0-9-]{1,32}$'
/** Newest recommendations that are answered whole. */
export const latestMax = 10

/** The items that a model showed at a position on a day, and how many of them were clicked. */
export interface ClickThroughRow {
  /** Of the impression: UTC, `YYYY-MM-DD`. */
  readonly day: string
  readonly model: string
  /** From 1. */
  readonly position: number
  readonly impressions: number
  readonly clicks: number
}

/** One recommendation as it was seen. */
export interface SeenRecommendation {
  readonly recommendationId: string
  /** ms since 1970: its first impression in the range. */
  readonly seenAt: number
  /** By position, at most `positionMax`. */
  readonly items: readonly SeenItem[]
}

export interface SeenItem {
  readonly itemId: string
  readonly position: number
  readonly model: string
  readonly isClicked: boolean
}

export interface ClickThrough {
  /** By day, model and position. */
  readonly rows: readonly ClickThroughRow[]
  /** Clicks in the range, once a recommendation and item and day, without an impression before. */
  readonly unmatchedClicks: number
  /** The newest, at most `latestMax`. */
  readonly latest: readonly SeenRecommendation[]
}

/** ms since 1970: `from` is inside, `to` is not. */
interface Range {
  readonly from: number
  readonly to: number
}

/** An item of an impression, or a click on it. */
export interface Exposure {
  readonly recommendationId: string
  readonly itemId: string
  readonly timeMs: number
}

export interface Impression extends Exposure {
  readonly position: number
  readonly model: string
}

/** The time around a range in which its impressions and clicks, and those that decide on them, are. */
export function exposureRange({ from, to }: Range): Range {
  return { from: from - clickMs, to: to + clickMs }
}

/** What the parameters of an impression (JSON text) say; nothing where they say something else. */
export function readImpression(parameters: string | null, timeMs: number): Impression[] {
  const said = readObject(parameters)
  const recommendationId = idOf(said)
  const items = said?.['items']
  if (recommendationId === undefined || !Array.isArray(items)) return []
  return items.slice(0, positionMax).flatMap((entry: unknown): Impression[] => {
    if (typeof entry !== 'object' || entry === null) return []
    const { item_id, position, model } = entry as Readonly<Record<string, unknown>>
    const itemId = Number.isSafeInteger(item_id) ? String(item_id) : item_id
    if (typeof itemId !== 'string' || itemId === '') return []
    if (typeof position !== 'number' || !Number.isInteger(position)) return []
    if (position < 1 || position > positionMax) return []
    const isModel = typeof model === 'string' && isModelName.test(model)
    return [{ recommendationId, itemId, timeMs, position, model: isModel ? model : unknownModel }]
  })
}

const isModelName = new RegExp(modelPattern)

/** A click on an item of a recommendation; undefined for any other click. */
export function readClick(
  parameters: string | null,
  itemId: string | null,
  timeMs: number,
): Exposure | undefined {
  const recommendationId = idOf(readObject(parameters))
  if (recommendationId === undefined || itemId === null || itemId === '') return
  return { recommendationId, itemId, timeMs }
}

function idOf(said: Readonly<Record<string, unknown>> | undefined): string | undefined {
  const id = said?.['recommendation_id']
  return typeof id === 'string' && id !== '' && id.length <= recommendationIdMax ? id : undefined
}

function readObject(parameters: string | null): Readonly<Record<string, unknown>> | undefined {
  if (parameters === null || !parameters.includes('recommendation_id')) return
  try {
    const value = JSON.parse(parameters) as unknown
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Readonly<Record<string, unknown>>)
      : undefined
  } catch {
    return
  }
}

/** One item of one recommendation on one day. */
interface Seen {
  first: Impression
  isClicked: boolean
}

/**
 * Joins what was read of `exposureRange(range)`, for stores that cannot do it themselves. All of it
 * is in memory: the caller puts a bound on it.
 */
export function joinClicks(
  impressions: readonly Impression[],
  clicks: readonly Exposure[],
  range: Range,
): ClickThrough {
  const isInside = (timeMs: number): boolean => timeMs >= range.from && timeMs < range.to
  const byItem = Map.groupBy(impressions, keyOf)
  const seen = new Map<string, Seen>()
  for (const impression of impressions) {
    if (!isInside(impression.timeMs)) continue
    const key = dayKeyOf(impression)
    const before = seen.get(key)
    if (before === undefined) seen.set(key, { first: impression, isClicked: false })
    else if (isBefore(impression, before.first)) before.first = impression
  }
  const unmatched = new Set<string>()
  for (const click of clicks) {
    if (click.timeMs < range.from) continue
    const cause = lastBefore(byItem.get(keyOf(click)) ?? [], click.timeMs)
    if (cause === undefined) {
      if (isInside(click.timeMs)) unmatched.add(dayKeyOf(click))
      continue
    }
    const clicked = isInside(cause.timeMs) ? seen.get(dayKeyOf(cause)) : undefined
    if (clicked !== undefined) clicked.isClicked = true
  }
  const all = [...seen.values()]
  return { rows: rowsOf(all), unmatchedClicks: unmatched.size, latest: latestOf(all) }
}

function keyOf({ recommendationId, itemId }: Exposure): string {
  return JSON.stringify([recommendationId, itemId])
}

function dayKeyOf(exposure: Exposure): string {
  return `${Math.floor(exposure.timeMs / dayMs)}${keyOf(exposure)}`
}

function isBefore(a: Impression, b: Impression): boolean {
  if (a.timeMs !== b.timeMs) return a.timeMs < b.timeMs
  if (a.position !== b.position) return a.position < b.position
  return a.model < b.model
}

function lastBefore(impressions: readonly Impression[], timeMs: number): Impression | undefined {
  let last: Impression | undefined
  for (const impression of impressions) {
    if (impression.timeMs > timeMs || impression.timeMs < timeMs - clickMs) continue
    if (last === undefined || impression.timeMs > last.timeMs) last = impression
  }
  return last
}

function rowsOf(seen: readonly Seen[]): ClickThroughRow[] {
  const totals = new Map<string, number>()
  for (const { first } of seen) totals.set(first.model, (totals.get(first.model) ?? 0) + 1)
  const named = [...totals]
    .sort(([a, more], [b, most]) => most - more || (a < b ? -1 : 1))
    .slice(0, modelsMax)
  const known = new Set(named.map(([model]) => model))
  const rows = new Map<string, { -readonly [Key in keyof ClickThroughRow]: ClickThroughRow[Key] }>()
  for (const { first, isClicked } of seen) {
    const { position, timeMs } = first
    const model = known.has(first.model) ? first.model : otherModel
    const day = dayOf(timeMs)
    const key = `${day} ${model} ${position}`
    const row = rows.get(key) ?? { day, model, position, impressions: 0, clicks: 0 }
    rows.set(key, row)
    row.impressions++
    if (isClicked) row.clicks++
  }
  return [...rows.values()].sort(
    (a, b) => compare(a.day, b.day) || compare(a.model, b.model) || a.position - b.position,
  )
}

function compare(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1
}

function latestOf(seen: readonly Seen[]): SeenRecommendation[] {
  const groups = Map.groupBy(seen, ({ first }) => first.recommendationId)
  return [...groups]
    .map(([recommendationId, items]) => ({
      recommendationId,
      seenAt: Math.min(...items.map(({ first }) => first.timeMs)),
      items,
    }))
    .sort((a, b) => b.seenAt - a.seenAt || compareUtf8(a.recommendationId, b.recommendationId))
    .slice(0, latestMax)
    .map(({ items, ...rest }) => ({ ...rest, items: itemsOf(items) }))
}

/** Seen on two days an item is one, as it was first; clicked on either day it is clicked. */
function itemsOf(seen: readonly Seen[]): SeenItem[] {
  const items = Map.groupBy(seen, ({ first }) => first.itemId)
  return [...items.values()]
    .map((days) => {
      const { first } = days.reduce((a, b) => (isBefore(b.first, a.first) ? b : a))
      const { itemId, position, model } = first
      return { itemId, position, model, isClicked: days.some(({ isClicked }) => isClicked) }
    })
    .sort((a, b) => a.position - b.position || compareUtf8(a.itemId, b.itemId))
    .slice(0, positionMax)
}

function compareUtf8(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}
