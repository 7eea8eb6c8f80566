import type { Event } from '../../src/event/event.ts'
import { encodeRejection, rejectionRecordSchema } from '../../src/event/record.ts'
import type { DeadLetter, Row } from '../../src/store/store.ts'
import { createRandom, makeRow, randomText } from '../store/rows.ts'

/** Ninety days of a shop, the same in every run: for what is looked at with the eye or by rules. */

const dayMs = 86_400_000
const daysMax = 90
const items = ['oak-table-3', 'lamp-208', 'chair-14', 'rug-71', 'shelf-990', 'vase-5', 'mirror-33']
const referrers = ['https://www.google.com/', 'https://duckduckgo.com/', 'https://mastodon.social/']
const countries = ['DE', 'DE', 'NL', 'US', 'FR', 'GB', null]
const agents: readonly Partial<Event['agent']>[] = [
  { name: 'Chrome', deviceCategory: 'Personal computer', osFamily: 'Windows' },
  { name: 'Safari', deviceCategory: 'Smartphone', osFamily: 'iOS' },
  { name: 'Chrome', deviceCategory: 'Smartphone', osFamily: 'Android' },
  { name: 'Firefox', deviceCategory: 'Personal computer', osFamily: 'Linux' },
  { name: 'Safari', deviceCategory: 'Tablet', osFamily: 'iOS' },
]

interface Person {
  readonly partyId: string
  readonly country: string | null
  readonly agent: Event['agent']
  readonly bot: string | null
}

/**
 * Rows up to `nowMs`, oldest first: sessions of page views with a few events each, some parties that
 * come again, weekends, a little growth, bots, and here and there an event that was lost on its way.
 */
export function shopRows(nowMs: number, sessionsPerDay: number, seed = 1): Row[] {
  const random = createRandom(seed)
  const people: Person[] = []
  const rows: Row[] = []
  const today = Math.floor(nowMs / dayMs)
  for (let day = today - daysMax + 1; day <= today; day++) {
    const weekend = [0, 6].includes(new Date(day * dayMs).getUTCDay()) ? 0.7 : 1
    const growth = 1 - (today - day) / 200
    const sessions = Math.ceil(sessionsPerDay * weekend * growth * (0.85 + 0.3 * random()))
    for (let session = 0; session < sessions; session++) {
      // The middle of the day has most of it.
      const at = day * dayMs + ((random() + random()) / 2) * dayMs
      if (at < nowMs) rows.push(...sessionRows(personOf(people, random), at, random))
    }
  }
  return rows
    .filter((row) => row.eventTime <= nowMs)
    .sort((a, b) => a.eventTime - b.eventTime)
    .map((row, offset) => ({ ...row, position: { ...row.position, offset } }))
}

function pick<Item>(list: readonly Item[], random: () => number): Item {
  // The first ones come more often.
  return list[Math.floor(random() * random() * list.length)] as Item
}

function personOf(people: Person[], random: () => number): Person {
  if (people.length > 0 && random() < 0.35) {
    // Who was here lately comes again more likely.
    return people[Math.floor(people.length * (1 - random() ** 2 * 0.999))] as Person
  }
  const person: Person = {
    // Canonical, as the collector stores them.
    partyId: `0:${(1_750_000_000_000 + Math.floor(random() * 2 ** 32)).toString(36)}:${randomText(random)}`,
    country: pick(countries, random),
    agent: { ...makeRow().agent, ...pick(agents, random) },
    bot: random() < 0.04 ? 'crawler' : null,
  }
  people.push(person)
  return person
}

function sessionRows(person: Person, startMs: number, random: () => number): Row[] {
  const rows: Row[] = []
  const sessionId = `0:${randomText(random)}`
  const referer = random() < 0.4 ? pick(referrers, random) : null
  let eventTime = Math.floor(startMs)
  let isGoing = true
  for (let view = 0; isGoing; view++) {
    const itemId = view % 2 === 1 ? pick(items, random) : null
    const pageViewId = `0:${randomText(random)}`
    const types = typesOf(itemId, random)
    types.forEach((eventType, sequence) => {
      eventTime += 800 + Math.floor(random() * 9_000)
      const isLost = sequence > 0 && sequence < types.length - 1 && random() < 0.01
      if (isLost) return
      rows.push(
        makeRow({
          ...person,
          eventId: `${pageViewId}${sequence.toString(16)}`,
          sessionId,
          pageViewId,
          eventType,
          eventTime,
          itemId,
          sequence,
          location: `https://shop.example/${itemId === null ? '' : `items/${itemId}`}`,
          referer: view === 0 ? referer : 'https://shop.example/',
          firstInSession: view === 0 && sequence === 0,
          parameters: itemId === null ? null : `{"item_id":"${itemId}"}`,
        }),
      )
    })
    isGoing = random() < 0.62
    eventTime += Math.floor(random() * 60_000)
  }
  return rows
}

function typesOf(itemId: string | null, random: () => number): string[] {
  if (itemId === null) return ['pageView', 'impression', 'impression']
  const types = ['pageView', 'preview']
  if (random() < 0.4) types.push('addToBasket')
  if (types.length === 3 && random() < 0.45) types.push('purchase')
  return types
}

/** Second receipts of a few of `rows`, as retries leave them. */
export function repeatsOf(rows: readonly Row[]): Row[] {
  return rows
    .filter((_, index) => index % 170 === 0)
    .map((row) => ({
      ...row,
      receivedAt: row.receivedAt + 900,
      position: { ...row.position, offset: row.position.offset + 10_000_000 },
    }))
}

const refusals = [
  [
    'parameter_missing',
    'The parameter is missing: t',
    'p=0%3Akq1%3Ax&s=0%3Aa&v=0%3Ab&e=0%3Ab0&c=m1',
  ],
  [
    'parameter_invalid',
    'A parameter is not valid: c is not a time',
    'p=0%3Akq1%3Ax&t=pageView&c=%00',
  ],
  ['body_too_large', 'The body is larger than 1048576 bytes', '{"events":[{"eventType":"bulk"'],
] as const

/** Refused requests of the last hours, the newest first. */
export function shopLetters(nowMs: number, count: number): DeadLetter[] {
  return Array.from({ length: count }, (_, index) => {
    const [code, message, body] = refusals[index % refusals.length] ?? refusals[0]
    const receivedAt = nowMs - index * 420_000
    const truncated = code === 'body_too_large'
    const rest = { remoteAddress: '192.0.2.0', userAgent: null, privacy: null, country: null }
    const source = truncated ? 'json' : 'tag'
    return {
      position: { log: 'log-1', topic: 'rejected', partition: 0, offset: count - index },
      receivedAt,
      code,
      message,
      source,
      value: encodeRejection({ receivedAt, code, message, source, body, truncated, ...rest }),
      schema: rejectionRecordSchema.fingerprint,
      replayable: !truncated,
    }
  })
}
