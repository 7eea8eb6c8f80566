import { createIdentifier, createPageViewId } from '../../src/event/identifier.ts'
import { dayMs, hourMs, minuteMs } from '../../src/lib/clock.ts'
import type { DeadLetter, Position, Row, WriteBatch } from '../../src/store/store.ts'
import { createRandom, makeDeadLetter, makeRow, type RowInput, topic } from './rows.ts'

/**
 * A site's history as consumers write it, the same for the same seed: people, bots and nobody, in
 * sessions of page views; late events, wrong and absent clocks, lost numbers; receipts that come again
 * as they were, later, or under another clock; refused requests; and batches that are replayed.
 */
export interface History {
  readonly batches: readonly WriteBatch[]
  readonly receipts: number
  /** Parties that are worth asking about. */
  readonly parties: readonly string[]
  readonly sessionId: string
  /** Positions of dead letters that can be replayed. */
  readonly replayable: readonly Position[]
  /** ms since 1970: its first and last moment, whole days of UTC. */
  readonly from: number
  readonly to: number
}

export interface HistoryOptions {
  /** Events; receipts are some 6 % more. */
  readonly events: number
  readonly days: number
  readonly seed: number
  readonly batchRows: number
}

const firstDay = Date.UTC(2026, 2, 2)
const partitions = 3
const eventTypes = ['preview', 'addToBasket', 'removeFromBasket', 'purchase', 'search', 'görüntü']
const countries = ['NL', 'DE', 'TR', 'GB', null]
const referers = [
  null,
  'https://www.example.org/search?q=shoes',
  'https://shop.example/list/7',
  'HTTP://News.Example:8080/a',
  'android-app://com.example',
]
const agents = [
  { name: 'Chrome', deviceCategory: 'Desktop', osFamily: 'Linux' },
  { name: 'Safari', deviceCategory: 'Smartphone', osFamily: 'iOS' },
  { name: 'Firefox', deviceCategory: 'Tablet', osFamily: null },
  { name: null, deviceCategory: null, osFamily: null },
]

export function makeHistory({ events, days, seed, batchRows }: HistoryOptions): History {
  const random = createRandom(seed)
  const to = firstDay + days * dayMs
  const maker = createMaker(random, events)
  const receipts: Row[] = []
  for (let made = 0; made < events; ) {
    // More in the day than at night, and a gap now and then, so that sessions are of all kinds.
    const time = firstDay + Math.floor((Math.floor(random() * days) + random() ** 0.7) * dayMs)
    const session = maker.session(Math.min(time, to - 1), to)
    made += session.length
    for (const row of session) receipts.push(row, ...again(row, random))
  }
  receipts.sort((a, b) => a.receivedAt - b.receivedAt)
  const { batches, replayable } = cutBatches(receipts, batchRows, random)
  return {
    batches,
    receipts: receipts.length,
    parties: maker.parties.slice(0, 5),
    sessionId: receipts.find(({ sessionId }) => sessionId !== null)?.sessionId ?? '',
    replayable,
    from: firstDay,
    to,
  }
}

interface Maker {
  readonly parties: readonly string[]
  readonly session: (time: number, to: number) => Row[]
}

function createMaker(random: () => number, events: number): Maker {
  const bytes = (): Uint8Array => Uint8Array.from({ length: 32 }, () => random() * 64)
  const pick = <Item>(items: readonly Item[]): Item =>
    items[Math.floor(random() * items.length)] as Item
  const parties = Array.from({ length: Math.ceil(events / 25) }, () =>
    createIdentifier(firstDay - Math.floor(random() * 300 * dayMs), bytes()),
  )

  function pageView(start: number, person: RowInput, load: string): Row[] {
    const pageViewId = load === '' ? createPageViewId(bytes()) : load
    const item = Math.floor(3_000 * random() ** 3)
    const location = pick([
      `https://shop.example/item/${item}?q=${Math.floor(random() * 9)}#top`,
      `https://shop.example/list/${item % 50}`,
      'about:blank',
      null,
    ])
    const rows: Row[] = []
    const count = 1 + Math.floor(random() * 5)
    for (let sequence = 0; sequence < count; sequence++) {
      if (random() < 0.03) continue
      const eventTime = start + sequence * Math.floor(random() * 20_000)
      const itemId = random() < 0.6 ? String(100_000 + item) : null
      rows.push(
        makeRow({
          ...person,
          eventId: `${pageViewId}${sequence.toString(16)}`,
          pageViewId: random() < 0.98 ? pageViewId : null,
          eventType: sequence === 0 ? 'pageView' : pick(eventTypes),
          ...timesOf(eventTime, random),
          location,
          referer: pick(referers),
          itemId,
          parameters: itemId === null ? null : `{"item_id":"${itemId}","price":${item % 97}}`,
          sequence: random() < 0.97 ? sequence : null,
          firstInSession: sequence === 0 && random() < 0.3,
          newParty: random() < 0.05,
          corrupt: random() < 0.01,
          duplicate: random() < 0.01,
          viewportWidth: random() < 0.9 ? 1_200 + (item % 40) : null,
          devicePixelRatio: pick([1, 1.5, null]),
        }),
      )
    }
    return rows
  }

  return {
    parties,
    session(time, to) {
      const index = Math.floor(parties.length * random() ** 2)
      const isNobody = random() < 0.05
      const isBot = index % 20 === 7
      const agent = agents[index % agents.length]
      const person = {
        partyId: isNobody ? null : (parties[index] as string),
        sessionId: isNobody ? null : createIdentifier(time, bytes()),
        bot: isBot ? 'crawler' : null,
        privacy: isNobody ? ('gpc' as const) : null,
        country: countries[index % countries.length] as string | null,
        agent: { ...makeRow().agent, ...agent },
        userAgent: agent?.name === null ? null : `${agent?.name}/${index % 90}`,
        remoteAddress: `192.0.2.${index % 250}`,
      }
      const load = random() < 0.2 ? createPageViewId(bytes()) : ''
      const rows: Row[] = []
      let at = time
      for (let view = 0, last = random() * 5; view < last; view++) {
        // A page view that is missing whole, and one that begins a session of its own.
        at += random() < 0.05 ? 40 * minuteMs : Math.floor(random() * 3 * minuteMs)
        if (random() < 0.02) continue
        const id = load === '' ? '' : `${load}.${view.toString(16)}.`
        if (at < to - minuteMs) rows.push(...pageView(at, person, id))
      }
      return rows
    },
  }
}

/** When it happened, and came: most at once, some days late, some by a clock that is wrong or absent. */
function timesOf(eventTime: number, random: () => number): Partial<Row> {
  const receivedAt = eventTime + 20 + Math.floor(random() * 400)
  const kind = random()
  if (kind < 0.02) {
    const clientTime = eventTime + (random() < 0.5 ? -1 : 1) * Math.ceil(8 + random() * 900) * dayMs
    return { clockSource: 'wrong', clientTime, receivedAt, eventTime: receivedAt }
  }
  if (kind < 0.03) {
    return { clockSource: 'absent', clientTime: receivedAt, receivedAt, eventTime: receivedAt }
  }
  if (kind < 0.06) return { eventTime, receivedAt: eventTime + Math.floor(random() * 7 * dayMs) }
  return { eventTime, receivedAt }
}

/** Receipts of the same event: what may differ between them does. */
function again(row: Row, random: () => number): Row[] {
  const chance = random()
  // The spool's copy: the same receipt at another position.
  if (chance < 0.01) return [row]
  if (chance > 0.05) return []
  const isOutside = row.clockSource === 'client' && chance > 0.04
  const receivedAt =
    row.eventTime + (isOutside ? 7 * dayMs + hourMs : 2_000 + (row.eventTime % 9_000))
  if (receivedAt <= row.receivedAt) return []
  const isMoved = isOutside || row.clockSource !== 'client'
  const later: Row = {
    ...row,
    receivedAt,
    remoteAddress: '198.51.100.0',
    userAgent: `${row.userAgent ?? ''} again`,
    ...(isMoved && { eventTime: receivedAt }),
    ...(isOutside && { clockSource: 'wrong' as const }),
    ...(row.clockSource === 'absent' && { clientTime: receivedAt }),
  }
  return [later]
}

/** Gives the receipts their positions, and mixes in what was refused and what is written again. */
function cutBatches(
  receipts: readonly Row[],
  batchRows: number,
  random: () => number,
): Pick<History, 'batches' | 'replayable'> {
  const next = Array.from({ length: partitions }, () => 0)
  const batches: WriteBatch[] = []
  const replayable: Position[] = []
  for (let from = 0; from < receipts.length; from += batchRows) {
    const rows: Row[] = []
    const deadLetters: DeadLetter[] = []
    for (const row of receipts.slice(from, from + batchRows)) {
      const partition = Math.floor(random() * partitions)
      rows.push({ ...row, position: take(next, partition) })
      if (random() > 0.004) continue
      const code = random() < 0.5 ? 'record_undecodable' : 'parameter_missing'
      const position = take(next, partition)
      const letter = makeDeadLetter(0, { position, receivedAt: row.receivedAt + 1, code })
      deadLetters.push({ ...letter, replayable: random() < 0.5 })
      if (deadLetters.at(-1)?.replayable === true) replayable.push(position)
    }
    const positions = next.map((offset, partition) => positionOf(partition, offset))
    batches.push({ rows, deadLetters, positions })
    const before = batches[Math.floor(random() * batches.length)] as WriteBatch
    if (random() < 0.15) batches.push({ ...before, positions: [] })
  }
  return { batches, replayable }
}

function take(next: number[], partition: number): Position {
  const offset = next[partition] as number
  next[partition] = offset + 1
  return positionOf(partition, offset)
}

function positionOf(partition: number, offset: number): Position {
  return { log: 'history', topic, partition, offset }
}
