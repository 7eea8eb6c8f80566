import type { EventId, PageViewId, PartyId, SessionId } from '../../src/event/identifier.ts'
import { dayOf } from '../../src/lib/clock.ts'
import type { QueryStore } from '../../src/query/query.ts'
import type { EventCursor, Position, Row, StoredDeadLetter } from '../../src/store/store.ts'
import {
  accountingOf,
  extentOf,
  funnelOf,
  retentionOf,
  selectRows,
  sessionsOf,
  topOf,
  uniquesOf,
} from '../store/naive.ts'
import { clickThroughOf } from '../store/naive-exposure.ts'

/** What the questions need of a store, over arrays: for faults and moments that a disk won't give. */
export interface MemoryStore extends QueryStore {
  readonly rows: Row[]
  readonly letters: StoredDeadLetter[]
  /** Called before every page of events. */
  beforePage: () => void | Promise<void>
}

export function createMemoryStore(): MemoryStore {
  const store: MemoryStore = {
    rows: [],
    letters: [],
    beforePage: () => {},
    async events(range, filter, page) {
      await store.beforePage()
      const { after, order } = page
      const sign = order === 'asc' ? 1 : -1
      return selectRows(store.rows, range, filter)
        .filter((row) => after === undefined || sign * compare(cursorOf(row), after) > 0)
        .sort((a, b) => sign * compare(cursorOf(a), cursorOf(b)))
        .slice(0, page.limit)
    },
    async counts(range, filter) {
      const counts = new Map<string, number>()
      for (const row of selectRows(store.rows, range, filter)) {
        const key = `${dayOf(row.eventTime)} ${row.eventType}`
        counts.set(key, (counts.get(key) ?? 0) + 1)
      }
      return [...counts].sort().map(([key, count]) => ({
        day: key.slice(0, 10),
        eventType: key.slice(11),
        count,
      }))
    },
    extent: async (...question) => extentOf(store.rows, ...question),
    uniques: async (range, filter) => uniquesOf(store.rows, range, filter),
    top: async (dimension, range, filter, limit) =>
      topOf(store.rows, dimension, range, filter, limit),
    sessions: async (...question) => sessionsOf(store.rows, ...question),
    funnel: async (...question) => funnelOf(store.rows, ...question),
    retention: async (...question) => retentionOf(store.rows, ...question),
    accounting: async (...question) => accountingOf(store.rows, store.letters, ...question),
    clickThrough: async (...question) => clickThroughOf(store.rows, ...question),
    async deadLetters({ limit, after, code }) {
      const newestFirst = [...store.letters].sort((a, b) => b.position.offset - a.position.offset)
      return newestFirst
        .filter((letter) => code === undefined || letter.code === code)
        .filter((letter) => after === undefined || letter.position.offset < after.offset)
        .slice(0, limit)
    },
    async health() {
      return {
        events: store.rows.length,
        lastReceivedAt: store.rows.at(-1)?.receivedAt ?? null,
        lastWrittenAt: null,
        duplicates: 0,
        deadLetters: store.letters.length,
        bytes: 0,
        damagedDays: [],
      }
    },
  }
  return store
}

function cursorOf(row: Row): EventCursor {
  return { eventTime: row.eventTime, eventId: row.eventId, partyId: row.partyId ?? '' }
}

function compare(a: EventCursor, b: EventCursor): number {
  const keys = [
    [a.eventTime, b.eventTime],
    [a.eventId, b.eventId],
    [a.partyId, b.partyId],
  ] as const
  for (const [left, right] of keys) {
    if (left !== right) return left < right ? -1 : 1
  }
  return 0
}

/** A row number `n`, received at `timeMs`; `over` says what is special about it. */
export function rowOf(n: number, timeMs: number, over: Partial<Row> = {}): Row {
  const pageViewId = `0:page${Math.floor(n / 4)}` as PageViewId
  return {
    eventId: `${pageViewId}${(n % 4).toString(16)}` as EventId,
    partyId: `0:iq8k:party${n % 7}` as PartyId,
    sessionId: `0:iq8k:session${n % 7}` as SessionId,
    pageViewId,
    eventType: n % 2 === 0 ? 'pageView' : 'addToBasket',
    eventTime: timeMs,
    clockSource: 'client',
    receivedAt: timeMs,
    clientTime: timeMs,
    location: 'https://shop.example/',
    referer: null,
    remoteAddress: '192.0.2.0',
    parameters: null,
    itemId: null,
    sequence: n % 4,
    firstInSession: n % 4 === 0,
    newParty: false,
    duplicate: false,
    corrupt: false,
    viewportWidth: 1200,
    viewportHeight: 800,
    screenWidth: 1920,
    screenHeight: 1080,
    devicePixelRatio: 1.25,
    userAgent: 'Mozilla/5.0',
    agent: {
      name: 'Chrome',
      family: 'Chrome',
      vendor: null,
      type: 'Browser',
      version: '140',
      deviceCategory: 'Personal computer',
      osFamily: 'Linux',
      osVersion: null,
      osVendor: null,
    },
    bot: null,
    privacy: null,
    source: 'tag',
    country: null,
    importedAt: null,
    position: positionOf(n),
    ...over,
  }
}

export function positionOf(offset: number, topic = 'events'): Position {
  return { log: 'test-log', topic, partition: 0, offset }
}
