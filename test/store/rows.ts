import type { Event } from '../../src/event/event.ts'
import type { DeadLetter, Position, Row, WriteBatch } from '../../src/store/store.ts'

/** Rows, dead letters and positions for the tests of stores. */

export const log = 'log-1'
export const topic = 'events'

/** Noon of a Tuesday in UTC: all tests take place around it. */
export const noon = Date.UTC(2026, 2, 10, 12)

/** What a test wants to say of a row; `offset` stands for the position. */
export type RowInput = Partial<Omit<Row, 'eventId' | 'partyId' | 'sessionId' | 'pageViewId'>> & {
  readonly eventId?: string
  readonly partyId?: string | null
  readonly sessionId?: string | null
  readonly pageViewId?: string | null
  readonly offset?: number
}

/**
 * A receipt as the collector makes it: received when it happened, at offset 0, unless `input` says
 * otherwise. `clientTime` follows `eventTime`, and `receivedAt` too.
 */
export function makeRow(input: RowInput = {}): Row {
  const { offset = 0, ...given } = input
  const eventTime = input.eventTime ?? noon
  const event: Event = {
    eventId: 'event' as Event['eventId'],
    partyId: '0:party' as Event['partyId'],
    sessionId: '0:session' as Event['sessionId'],
    pageViewId: '0:page' as Event['pageViewId'],
    eventType: 'pageView',
    eventTime,
    clockSource: 'client',
    receivedAt: eventTime,
    clientTime: eventTime,
    location: 'https://shop.example/item/1',
    referer: null,
    remoteAddress: '192.0.2.0',
    parameters: null,
    itemId: null,
    sequence: null,
    firstInSession: false,
    newParty: false,
    duplicate: false,
    corrupt: false,
    viewportWidth: null,
    viewportHeight: null,
    screenWidth: null,
    screenHeight: null,
    devicePixelRatio: null,
    userAgent: null,
    agent: {
      name: null,
      family: null,
      vendor: null,
      type: null,
      version: null,
      deviceCategory: null,
      osFamily: null,
      osVersion: null,
      osVendor: null,
    },
    bot: null,
    privacy: null,
    source: 'tag',
    country: null,
  }
  return { ...event, position: at(offset), importedAt: null, ...given } as Row
}

/** The position of an offset in partition 0 of the log `log`. */
export function at(offset: number, partition = 0): Position {
  return { log, topic, partition, offset }
}

export function makeDeadLetter(offset: number, over: Partial<DeadLetter> = {}): DeadLetter {
  return {
    position: at(offset),
    receivedAt: noon + offset,
    code: 'record_undecodable',
    message: 'it ends too early',
    source: 'log',
    value: new Uint8Array([0, 1, 255]),
    schema: 'abc',
    replayable: true,
    ...over,
  }
}

/** Rows alone, as a replay writes them. */
export function batchOf(...rows: Row[]): WriteBatch {
  return { rows, deadLetters: [], positions: [] }
}

/** 32-bit numbers that are the same in every run: mulberry32. */
export function createRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789~_'

/** 32 random characters, as identifiers have them. */
export function randomText(random: () => number): string {
  let text = ''
  for (let index = 0; index < 32; index++) text += alphabet.charAt(random() * 64)
  return text
}

/** Rows like a shop's: a few parties, five events to a page view, ids of full entropy. */
export function makeTraffic(
  count: number,
  from: { readonly eventTime: number; readonly offset: number; readonly spanMs: number },
  random: () => number,
): Row[] {
  const parties = Array.from({ length: 50 }, () => [randomText(random), randomText(random)])
  const rows: Row[] = []
  let pageViewId = ''
  for (let index = 0; index < count; index++) {
    if (index % 5 === 0) pageViewId = `0:${randomText(random)}`
    const [party, session] = parties[Math.floor(random() * parties.length)] as [string, string]
    const eventTime = from.eventTime + Math.floor((index * from.spanMs) / count)
    rows.push(
      makeRow({
        eventId: `${pageViewId}${index % 5}`,
        pageViewId,
        partyId: `0:k${party}`,
        sessionId: `0:k${session}`,
        eventType: index % 5 === 0 ? 'pageView' : 'addToBasket',
        eventTime,
        receivedAt: eventTime + 30,
        clientTime: eventTime,
        location: `https://shop.example.com/item/${index % 1000}?q=abc`,
        referer: index % 3 === 0 ? null : 'https://www.example.com/',
        parameters: '{"item_id":101321,"event_date":3213213}',
        itemId: index % 2 === 0 ? '101321' : null,
        sequence: index % 5,
        viewportWidth: 1200,
        viewportHeight: 800,
        screenWidth: 1920,
        screenHeight: 1080,
        devicePixelRatio: 1,
        userAgent: `Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${index % 100}.0.0.0 Safari/537.36`,
        agent: {
          name: 'Chrome',
          family: 'Chrome',
          vendor: 'Google',
          type: 'Browser',
          version: `${index % 100}.0`,
          deviceCategory: 'Desktop',
          osFamily: 'Linux',
          osVersion: null,
          osVendor: null,
        },
        offset: from.offset + index,
      }),
    )
  }
  return rows
}
