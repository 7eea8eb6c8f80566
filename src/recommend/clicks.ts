import { MillraceError } from '../event/error.ts'
import type { Event } from '../event/event.ts'
import { dayMs } from '../lib/clock.ts'
import { askEvents } from '../query/events.ts'
import type { Row, Store, TimeRange } from '../store/store.ts'
import type { Click } from './open-sessions.ts'

/** Which events say something about an item, and how much. */
export interface ClickRules {
  /** Event type → weight, 1 to 255. */
  readonly weights: ReadonlyMap<string, number>
  readonly boughtTypes: ReadonlySet<string>
}

const weightMax = 255

/**
 * Reads settings such as `preview=1`, `purchase=3`.
 * @throws MillraceError `config_invalid`
 */
export function readClickRules(
  eventTypes: readonly string[],
  boughtTypes: readonly string[],
): ClickRules {
  const weights = new Map<string, number>()
  for (const text of eventTypes) {
    const [, type = '', digits = '1'] = /^(.*?)(?:=(\d{1,3}))?$/s.exec(text) ?? []
    const weight = Number(digits)
    if (type === '' || weight < 1 || weight > weightMax) {
      const rule = `is an event type and a weight from 1 to ${weightMax}, such as purchase=3`
      throw new MillraceError('config_invalid', `recommend.eventTypes: ${rule}, not ${text}`)
    }
    weights.set(type, weight)
  }
  return { weights, boughtTypes: new Set(boughtTypes) }
}

/** The click of an event; undefined where it has no item, nobody's, a bot's, or of another type. */
export function clickOf(event: Event, rules: ClickRules): Click | undefined {
  const { itemId, eventType } = event
  const key = event.partyId ?? event.sessionId
  const weight = rules.weights.get(eventType)
  if (itemId === null || itemId === '' || key === null || event.bot !== null) return
  if (weight === undefined) return
  return {
    key,
    sessionId: event.sessionId,
    itemId,
    timeMs: event.eventTime,
    weight,
    isBought: rules.boughtTypes.has(eventType),
  }
}

/** Rows asked of the store at once: other work of the thread waits for so many to be made. */
const pageRows = 500

/**
 * The clicks of a range in the order of time, one page of rows for each event type in memory. Other
 * event types are not read: they may be most of what is stored.
 * @throws what `Store.events` throws
 */
export async function* readClicks(
  store: Pick<Store, 'events'>,
  range: TimeRange,
  rules: ClickRules,
): AsyncGenerator<Click, void, undefined> {
  const readers = [...rules.weights.keys()].map((eventType) => rowsOf(store, range, eventType))
  const heads = await Promise.all(readers.map((reader) => reader.next()))
  for (;;) {
    let first = -1
    for (const [at, head] of heads.entries()) {
      if (head.done === true) continue
      const best = first < 0 ? undefined : heads[first]?.value?.eventTime
      if (best === undefined || head.value.eventTime < best) first = at
    }
    const row = heads[first]?.value
    const reader = readers[first]
    if (row === undefined || reader === undefined) return
    const click = clickOf(row, rules)
    if (click !== undefined) yield click
    heads[first] = await reader.next()
  }
}

/** Day by day: a page of a long range would look through all that comes after it. */
async function* rowsOf(
  store: Pick<Store, 'events'>,
  range: TimeRange,
  eventType: string,
): AsyncGenerator<Row, undefined, undefined> {
  const filter = { bots: 'exclude', eventType } as const
  const question = { filter, order: 'asc', limit: undefined, after: undefined, key: '' } as const
  for (let from = range.from; from < range.to; ) {
    const to = Math.min(range.to, (Math.floor(from / dayMs) + 1) * dayMs)
    const pages = askEvents(store, { ...question, range: { from, to } }, undefined, pageRows)
    for await (const rows of pages) yield* rows
    from = to
  }
  return undefined
}
