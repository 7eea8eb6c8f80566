import type { EventId, PageViewId, PartyId, SessionId } from '../event/identifier.ts'
import { createPageViewId } from '../event/identifier.ts'
import type { Random } from './random.ts'
import { type Device, drawCategory, drawItem, drawReferer, type Item, shopUrl } from './shop.ts'

/** One visit of the shop, event by event, as the tag would tell it. */

/** Who visits, and the session that this is. */
export interface Visitor {
  readonly partyId: PartyId
  readonly sessionId: SessionId
  /** The party's first visit. */
  readonly isNew: boolean
  readonly isBot: boolean
  readonly device: Device
  readonly country: string
}

export interface SimulatedEvent extends Visitor {
  readonly pageViewId: PageViewId
  readonly eventId: EventId
  readonly eventType: string
  /** ms since 1970. */
  readonly eventTime: number
  readonly location: string
  readonly referer: string | null
  readonly parameters: Readonly<Record<string, string | number>> | null
  readonly firstInSession: boolean
}

/** What happens next, and how long after what was before. */
interface Step {
  readonly eventType: string
  /** The page that is loaded by it; undefined: the page stays. */
  readonly page?: string
  readonly parameters?: Readonly<Record<string, string | number>>
  readonly afterMs: number
}

/**
 * The events of a visit. `clock` is asked for the time of each, given the time that a person would
 * take before it.
 */
export function* visitEvents(
  visitor: Visitor,
  random: Random,
  clock: (afterMs: number) => number,
): Generator<SimulatedEvent, void, undefined> {
  let page = { id: '' as PageViewId, location: '', referer: null as string | null, events: 0 }
  let pages = 0
  for (const step of visitor.isBot ? crawl(random) : shop(random)) {
    if (step.page !== undefined) {
      const referer = pages === 0 ? drawReferer(random) : page.location
      const id = createPageViewId(random.bytes(32))
      page = { id, location: `${shopUrl}${step.page}`, referer, events: 0 }
      pages++
    }
    yield {
      ...visitor,
      isNew: visitor.isNew && pages === 1,
      pageViewId: page.id,
      eventId: `${page.id}${(page.events++).toString(16)}` as EventId,
      eventType: step.eventType,
      eventTime: clock(step.afterMs),
      location: page.location,
      referer: page.referer,
      parameters: step.parameters ?? null,
      firstInSession: pages === 1,
    }
  }
}

const secondMs = 1_000

/** About three pages and six events: lists, products, now and then a basket and an order. */
function* shop(random: Random): Generator<Step, void, undefined> {
  let category = drawCategory(random)
  const basket: Item[] = []
  let isOnProduct = random.chance(0.45)
  do {
    if (isOnProduct) {
      yield* lookAt(drawItem(random, category), basket, random)
    } else {
      if (random.chance(0.3)) category = drawCategory(random)
      yield* browse(category, random)
    }
    isOnProduct = isOnProduct ? random.chance(0.35) : random.chance(0.75)
  } while (random.chance(0.66))
  if (basket.length === 0 || random.chance(0.5)) return
  yield pageView('/basket', random)
  const [dropped] = basket
  if (dropped !== undefined && random.chance(0.25)) {
    basket.shift()
    yield after('removeFromBasket', itemOf(dropped), 8 * secondMs, random)
  }
  if (basket.length === 0 || random.chance(0.4)) return
  yield pageView('/thanks', random)
  for (const item of basket) {
    yield after('purchase', { ...itemOf(item), price: item.price }, 0.05 * secondMs, random)
  }
}

function* browse(category: string, random: Random): Generator<Step, void, undefined> {
  yield pageView(`/list/${category}`, random)
  for (let shown = random.below(3); shown > 0; shown--) {
    yield after('impression', itemOf(drawItem(random, category)), 2 * secondMs, random)
  }
  if (random.chance(0.2)) {
    yield after('preview', itemOf(drawItem(random, category)), 6 * secondMs, random)
  }
}

function* lookAt(item: Item, basket: Item[], random: Random): Generator<Step, void, undefined> {
  yield { ...pageView(`/item/${item.id}`, random), parameters: itemOf(item) }
  if (random.chance(0.35)) yield after('preview', itemOf(item), 7 * secondMs, random)
  if (!random.chance(0.18)) return
  basket.push(item)
  yield after('addToBasket', { ...itemOf(item), price: item.price }, 15 * secondMs, random)
}

/** A crawler goes from product to product and buys nothing. */
function* crawl(random: Random): Generator<Step, void, undefined> {
  do {
    const item = drawItem(random)
    yield { ...pageView(`/item/${item.id}`, random), parameters: itemOf(item) }
  } while (random.chance(0.9))
}

function itemOf(item: Item): Readonly<Record<string, string | number>> {
  return { item_id: item.id, category: item.category }
}

function pageView(page: string, random: Random): Step {
  return { eventType: 'pageView', page, afterMs: Math.round(random.exponential(40 * secondMs)) }
}

function after(
  eventType: string,
  parameters: Readonly<Record<string, string | number>>,
  meanMs: number,
  random: Random,
): Step {
  return { eventType, parameters, afterMs: 1 + Math.round(random.exponential(meanMs)) }
}
