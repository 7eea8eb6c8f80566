import { encodeEvent } from '../src/event/encode.ts'
import { type Event, Source } from '../src/event/event.ts'
import { eventRecordSchema } from '../src/event/record.ts'
import type { AppendRecord, Log } from '../src/log/log.ts'
import { jsonEvent, pageAddress, userAgent } from './requests.ts'

/** Events as a collector puts them on the log: received now, ids of full entropy. */

const appendedAtOnce = 2_000

/** Appends `total` events of parties that have one each. */
export async function fillLog(log: Log, total: number): Promise<void> {
  for (let first = 0; first < total; first += appendedAtOnce) {
    const count = Math.min(appendedAtOnce, total - first)
    await log.append(Array.from({ length: count }, (_, at) => recordOf(first + at)))
  }
}

function recordOf(index: number): AppendRecord {
  const event = eventOf(index)
  return {
    key: event.partyId ?? '',
    value: encodeEvent(event),
    schema: eventRecordSchema.fingerprint,
  }
}

function eventOf(index: number): Event {
  const now = Date.now()
  const sent = jsonEvent(index)
  return {
    eventId: sent.eventId as Event['eventId'],
    partyId: sent.partyId as Event['partyId'],
    sessionId: sent['sessionId'] as Event['sessionId'],
    pageViewId: sent['pageViewId'] as Event['pageViewId'],
    eventType: 'preview',
    eventTime: now,
    clockSource: 'client',
    receivedAt: now,
    clientTime: now,
    location: pageAddress(index),
    referer: 'https://www.example.org/search?q=shoes',
    remoteAddress: '192.0.2.0',
    parameters: JSON.stringify(sent['parameters']),
    itemId: String(100_000 + (index % 5_000)),
    sequence: 0,
    firstInSession: true,
    newParty: true,
    duplicate: false,
    corrupt: false,
    viewportWidth: 1280,
    viewportHeight: 720,
    screenWidth: 1440,
    screenHeight: 860,
    devicePixelRatio: 2,
    userAgent: userAgent(index),
    agent: {
      name: 'Chrome',
      family: 'Chrome',
      vendor: 'Google',
      type: 'browser',
      version: '120.0.0.0',
      deviceCategory: 'desktop',
      osFamily: 'Linux',
      osVersion: null,
      osVendor: null,
    },
    bot: null,
    privacy: null,
    source: Source.Tag,
    country: 'NL',
  }
}
