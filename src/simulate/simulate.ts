import { createIdentifier, type PartyId, type SessionId } from '../event/identifier.ts'
import { dayMs } from '../lib/clock.ts'
import { createRandom, type Random } from './random.ts'
import { busyness, drawBot, drawCountry, drawDevice, drawTimeOfDay } from './shop.ts'
import { type SimulatedEvent, type Visitor, visitEvents } from './visit.ts'

/**
 * A shop's traffic. What happens on a day is decided by the seed and the day alone, so the past can
 * be filled again tomorrow: the days that are there stay as they are.
 */

export interface TrafficOptions {
  readonly seed: string
  /** On an ordinary day; weekends have more. */
  readonly eventsPerDay: number
}

/** One receipt of an event: the same event twice is a repeat. */
export interface SimulatedReceipt {
  readonly event: SimulatedEvent
  /** ms since 1970. */
  readonly receivedAt: number
}

/** The share of sessions that are of crawlers, of parties that were never there, and of repeats. */
const botShare = 0.04
const newShare = 0.45
const repeatShare = 0.01
/** How many days ago a party that comes back was there first, on average. */
const returnDaysMean = 9
/** Events of a session on average, to know how many parties a day brings. */
const sessionEventsMean = 6

/** The receipts of one day (whole days since 1970, UTC), in the order of their time. */
export function simulateDay(day: number, options: TrafficOptions): SimulatedReceipt[] {
  const random = createRandom(`${options.seed}/day/${day}`)
  const count = Math.max(1, Math.round(options.eventsPerDay * busyness(day)))
  const receipts: SimulatedReceipt[] = []
  let newParties = 0
  while (receipts.length < count) {
    const isNew = random.chance(newShare)
    const start = day * dayMs + drawTimeOfDay(random)
    const visitor = isNew
      ? visitorOf({ day, number: newParties++ }, start, true, options, random)
      : visitorOf(drawParty(day, options, random), start, false, options, random)
    let time = start
    for (const event of visitEvents(visitor, random, (afterMs) => (time += afterMs))) {
      const receivedAt = event.eventTime + 20 + random.below(200)
      receipts.push({ event, receivedAt })
      if (!random.chance(repeatShare)) continue
      receipts.push({ event, receivedAt: receivedAt + 1_000 + random.below(30_000) })
    }
  }
  receipts.length = count
  return receipts.sort((a, b) => a.event.eventTime - b.event.eventTime)
}

/** Visits as they happen now, without end: each call is the next event of one of `visits` visits, now and then the one before again. */
export function createLiveTraffic(
  options: TrafficOptions,
  visits: number,
  clock: () => number,
): () => SimulatedEvent {
  const startedAt = clock()
  const random = createRandom(`${options.seed}/live/${startedAt}`)
  const day = Math.floor(startedAt / dayMs)
  const open: Iterator<SimulatedEvent, void>[] = []
  let newParties = 0

  function begin(): Iterator<SimulatedEvent, void> {
    const isNew = random.chance(newShare)
    const party = isNew
      ? { day, number: startedAt + newParties++ }
      : drawParty(day, options, random)
    return visitEvents(visitorOf(party, clock(), isNew, options, random), random, clock)
  }

  let latest: SimulatedEvent | undefined
  return () => {
    if (latest !== undefined && random.chance(repeatShare)) return latest
    for (;;) {
      const at = random.below(visits)
      const visit = open[at] ?? begin()
      open[at] = visit
      const { value } = visit.next()
      if (value !== undefined) {
        latest = value
        return value
      }
      delete open[at]
    }
  }
}

/** A party by the day that it was there first and its number among those of that day. */
interface PartyKey {
  readonly day: number
  readonly number: number
}

function drawParty(day: number, options: TrafficOptions, random: Random): PartyKey {
  const first = day - 1 - Math.floor(random.exponential(returnDaysMean))
  const perDay = (options.eventsPerDay * newShare) / sessionEventsMean
  return { day: first, number: random.below(Math.max(1, Math.round(perDay))) }
}

/** Everything about a party follows from its key; a crawler comes as somebody new each time. */
function visitorOf(
  key: PartyKey,
  start: number,
  isNew: boolean,
  { seed }: TrafficOptions,
  random: Random,
): Visitor {
  const own = createRandom(`${seed}/party/${key.day}/${key.number}`)
  const isBot = isNew && random.chance(botShare / newShare)
  const firstSeen = isNew ? start : key.day * dayMs + drawTimeOfDay(own)
  return {
    partyId: createIdentifier(firstSeen, own.bytes(32)) as PartyId,
    sessionId: createIdentifier(start, random.bytes(32)) as SessionId,
    isNew,
    isBot,
    device: isBot ? drawBot(own) : drawDevice(own),
    country: drawCountry(own),
  }
}
