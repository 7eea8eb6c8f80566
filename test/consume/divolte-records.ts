import { existsSync, readFileSync } from 'node:fs'
import avro from 'avsc'
import { divolteSchema } from '../../src/event/schema.ts'
import { createRandom, randomText } from '../store/rows.ts'

/** A message as a topic of Divolte holds it, and the record that it says. */
export interface DivolteMessage {
  /** ms since 1970, as the producer set it. */
  readonly timestamp: number
  readonly key: string
  readonly value: Buffer
  readonly record: Readonly<Record<string, unknown>>
}

/** 600 messages of a real Divolte, kept outside of the repository. */
const recorded = process.env['DIVOLTE_TOPIC'] ?? '../shared/data/divolte-topic/messages.ndjson'

/** The recorded messages, or undefined where they are not. */
export function recordedMessages(): DivolteMessage[] | undefined {
  if (!existsSync(recorded)) return
  const lines = readFileSync(recorded, 'utf8').trim().split('\n')
  return lines.map((line) => {
    const { timestamp, key, valueHex, record } = JSON.parse(line)
    return { timestamp, key, value: Buffer.from(valueHex, 'hex'), record }
  })
}

const divolteType = avro.Type.forSchema(divolteSchema as never)

/**
 * A dozen messages as Divolte makes them: every field set and not, a repeat that Divolte has marked,
 * a corrupt one, a clock that is a month slow, one that is an hour fast, texts of all planes.
 */
export function madeMessages(now: number = Date.now()): DivolteMessage[] {
  const random = createRandom(7)
  const texts = ['/', '/ü', '/🙂', '/a%20b?c=d&e', '/\u0001']
  return Array.from({ length: 12 }, (_, index) => {
    const receivedAt = now - 3_600_000 + index * 1_000
    const isBare = index % 4 === 1
    const text = (value: string): string | null => (isBare ? null : value)
    const number = (value: number): number | null => (isBare ? null : value)
    const offMs = new Map([
      [5, -30 * 86_400_000],
      [6, 3_600_000],
    ]).get(index)
    const record = {
      detectedDuplicate: index === 8,
      detectedCorruption: index === 9,
      firstInSession: index === 0,
      timestamp: receivedAt,
      clientTimestamp: receivedAt + (offMs ?? -250),
      remoteHost: '203.0.113.7',
      referer: text('https://search.example/'),
      location: text(`http://shop.example${texts[index % texts.length]}`),
      viewportPixelWidth: number(1280),
      viewportPixelHeight: number(-1),
      screenPixelWidth: number(2 ** 31 - 1),
      screenPixelHeight: number(0),
      partyId: `0:muahht8c:${randomText(random)}`,
      sessionId: `0:mwscn94n:${randomText(random)}`,
      pageViewId: `0:${randomText(random)}`,
      eventType: index === 1 ? 'unknown' : 'pageView',
      userAgentString: text('Mozilla/5.0'),
      userAgentName: text('Chrome'),
      userAgentFamily: text('Chrome'),
      userAgentVendor: text('Google Inc.'),
      userAgentType: text('Browser'),
      userAgentVersion: text('120'),
      userAgentDeviceCategory: text('Personal computer'),
      userAgentOsFamily: text('Linux'),
      userAgentOsVersion: text(''),
      userAgentOsVendor: text(''),
    }
    const value = divolteType.toBuffer(record)
    return { timestamp: receivedAt + 5, key: record.partyId, value, record }
  })
}

/** As a store has it. */
export function storedOfMessage(message: DivolteMessage, eventId: string): object {
  const event = eventOfMessage(message, eventId) as { readonly userAgent: string | null }
  // Said to be empty, or not said: stores do not tell these apart.
  return { ...event, userAgent: event.userAgent || null }
}

/** The event that a message is, member by member, by hand; without its place in the log. */
export function eventOfMessage({ record: of }: DivolteMessage, eventId: string): object {
  const receivedAt = of['timestamp'] as number
  const clientTime = of['clientTimestamp'] as number
  const isRight = clientTime >= receivedAt - 7 * 86_400_000 && clientTime <= receivedAt + 5 * 60_000
  return {
    eventId,
    partyId: of['partyId'],
    sessionId: of['sessionId'],
    pageViewId: of['pageViewId'],
    eventType: of['eventType'],
    eventTime: isRight ? clientTime : receivedAt,
    clockSource: isRight ? 'client' : 'wrong',
    receivedAt,
    clientTime,
    location: of['location'],
    referer: of['referer'],
    remoteAddress: of['remoteHost'],
    parameters: null,
    itemId: null,
    sequence: null,
    firstInSession: of['firstInSession'],
    newParty: false,
    duplicate: of['detectedDuplicate'],
    corrupt: of['detectedCorruption'],
    viewportWidth: of['viewportPixelWidth'],
    viewportHeight: of['viewportPixelHeight'],
    screenWidth: of['screenPixelWidth'],
    screenHeight: of['screenPixelHeight'],
    devicePixelRatio: null,
    userAgent: of['userAgentString'],
    agent: {
      name: of['userAgentName'],
      family: of['userAgentFamily'],
      vendor: of['userAgentVendor'],
      type: of['userAgentType'],
      version: of['userAgentVersion'],
      deviceCategory: of['userAgentDeviceCategory'],
      osFamily: of['userAgentOsFamily'],
      osVersion: of['userAgentOsVersion'],
      osVendor: of['userAgentOsVendor'],
    },
    bot: null,
    privacy: null,
    source: 'tag',
    country: null,
    importedAt: null,
  }
}
