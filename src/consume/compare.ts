import { dayMs, dayOf } from '../lib/clock.ts'
import type { EventCursor, Row, Store, TimeRange } from '../store/store.ts'

/** Compares the events of two stores, key by key, in the order that both read them in. */

/** Events of a day and type in both stores. */
export interface ComparedCount {
  /** UTC, `YYYY-MM-DD`. */
  readonly day: string
  readonly eventType: string
  readonly source: number
  readonly target: number
}

export interface Comparison {
  /** By day, then event type. */
  readonly counts: readonly ComparedCount[]
  /** Events of the source that the target does not have. */
  readonly missing: number
  /** The first of them. */
  readonly samples: readonly Row[]
  /** The days that they are of. */
  readonly incomplete: readonly string[]
  /** Events that only the target has: it may be read from other logs too. */
  readonly more: number
}

const samplesMax = 10
const pageRows = 5_000

/**
 * @param days of the source, oldest first (UTC, `YYYY-MM-DD`)
 * @param onMore gets the events that only the target has
 */
export async function compareStores(
  source: Pick<Store, 'events'>,
  target: Pick<Store, 'events'>,
  days: readonly string[],
  onDay: (done: number, total: number) => void = () => {},
  onMore: (row: Row) => void = () => {},
): Promise<Comparison> {
  const counts: ComparedCount[] = []
  const samples: Row[] = []
  const incomplete: string[] = []
  let [missing, more] = [0, 0]
  for (const [done, day] of days.entries()) {
    const from = Date.parse(`${day}T00:00:00Z`)
    const range = { from, to: from + dayMs }
    const counted = await compareDay(source, target, range, samples, onMore)
    counts.push(...counted.counts)
    if (counted.missing > 0) incomplete.push(day)
    missing += counted.missing
    more += counted.more
    onDay(done + 1, days.length)
  }
  return { counts, missing, samples, incomplete, more }
}

async function compareDay(
  source: Pick<Store, 'events'>,
  target: Pick<Store, 'events'>,
  range: TimeRange,
  samples: Row[],
  onMore: (row: Row) => void,
): Promise<Pick<Comparison, 'counts' | 'missing' | 'more'>> {
  const types = new Map<string, { source: number; target: number }>()
  const count = ({ eventType }: Row, where: 'source' | 'target'): void => {
    const known = types.get(eventType) ?? { source: 0, target: 0 }
    known[where]++
    types.set(eventType, known)
  }
  let [missing, more] = [0, 0]
  const [ours, theirs] = [source, target].map((store) => rowsOf(store, range))
  let [one, other] = [await ours?.next(), await theirs?.next()]
  while (one?.value !== undefined || other?.value !== undefined) {
    const order = compareKeys(one?.value, other?.value)
    if (one?.value !== undefined && order <= 0) {
      count(one.value, 'source')
      if (order < 0) {
        missing++
        if (samples.length < samplesMax) samples.push(one.value)
      }
    }
    if (other?.value !== undefined && order >= 0) {
      count(other.value, 'target')
      if (order > 0) {
        more++
        onMore(other.value)
      }
    }
    if (order <= 0) one = await ours?.next()
    if (order >= 0) other = await theirs?.next()
  }
  const day = dayOf(range.from)
  const counts = [...types]
    .map(([eventType, counted]) => ({ day, eventType, ...counted }))
    .sort((a, b) => (a.eventType < b.eventType ? -1 : 1))
  return { counts, missing, more }
}

/** An end comes after everything. */
function compareKeys(a: Row | undefined, b: Row | undefined): number {
  if (a === undefined || b === undefined) return a === b ? 0 : a === undefined ? 1 : -1
  return (
    a.eventTime - b.eventTime ||
    compareTexts(a.eventId, b.eventId) ||
    compareTexts(a.partyId ?? '', b.partyId ?? '')
  )
}

/** By their UTF-8 bytes, which is not the order of JavaScript's texts. */
function compareTexts(a: string, b: string): number {
  return a === b ? 0 : Buffer.compare(Buffer.from(a), Buffer.from(b))
}

async function* rowsOf(
  store: Pick<Store, 'events'>,
  range: TimeRange,
): AsyncGenerator<Row, undefined> {
  for await (const page of pagesOf(store, range, pageRows)) yield* page
}

/** All events of a range, or those of one party ('' for none), bots too, in the order of their keys. */
export async function* pagesOf(
  store: Pick<Store, 'events'>,
  range: TimeRange,
  limit: number,
  partyId?: string,
): AsyncGenerator<readonly Row[], void> {
  const filter = { bots: 'include', ...(partyId !== undefined && { partyId }) } as const
  let after: EventCursor | undefined
  for (;;) {
    const page = { order: 'asc', limit, ...(after && { after }) } as const
    const rows = await store.events(range, filter, page)
    const last = rows.at(-1)
    if (last !== undefined) yield rows
    if (last === undefined || rows.length < limit) return
    after = { eventTime: last.eventTime, eventId: last.eventId, partyId: last.partyId ?? '' }
  }
}
