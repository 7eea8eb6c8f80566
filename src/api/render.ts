import { type ErrorCode, errorTable } from '../event/error.ts'
import type { Event } from '../event/event.ts'
import type { DeadLetterRow, ReadableBody } from '../query/dead-letters.ts'
import type { Health } from '../query/health.ts'
import type { PartyPage } from '../query/party.ts'
import type { DeadLetterAnswer, EventAnswer, HealthAnswer, PartyAnswer } from './answer.ts'

/** Rows as the texts and shapes of answer.ts. */

/**
 * One event as one line of JSON (`EventAnswer`). Its parameters are spliced in as they are stored:
 * read into JavaScript numbers, those beyond 2^53 would lose their last digits.
 */
export function renderEvent(event: Event): string {
  const rest: Omit<EventAnswer, 'parameters'> = {
    eventId: event.eventId,
    partyId: event.partyId,
    sessionId: event.sessionId,
    pageViewId: event.pageViewId,
    eventType: event.eventType,
    eventTime: renderTime(event.eventTime) ?? '',
    clockSource: event.clockSource,
    receivedAt: renderTime(event.receivedAt) ?? '',
    clientTime: renderTime(event.clientTime),
    location: event.location,
    referer: event.referer,
    remoteAddress: event.remoteAddress,
    itemId: event.itemId,
    sequence: event.sequence,
    firstInSession: event.firstInSession,
    newParty: event.newParty,
    corrupt: event.corrupt,
    duplicate: event.duplicate,
    bot: event.bot,
    privacy: event.privacy,
    source: event.source,
    country: event.country,
    viewportWidth: event.viewportWidth,
    viewportHeight: event.viewportHeight,
    screenWidth: event.screenWidth,
    screenHeight: event.screenHeight,
    devicePixelRatio: event.devicePixelRatio,
    userAgent: event.userAgent,
    agent: event.agent,
  }
  return `${JSON.stringify(rest).slice(0, -1)},"parameters":${spliceable(event.parameters)}}`
}

/**
 * Stored JSON text on one line. In JSON a raw line break stands only between values, so it can be
 * a space. Text that is no JSON (a schema of the user's may hold anything) becomes a string.
 */
function spliceable(text: string | null): string {
  if (text === null) return 'null'
  try {
    JSON.parse(text)
  } catch {
    return JSON.stringify(text)
  }
  return text.replace(/[\r\n]/g, ' ')
}

/** One party's way (`PartyAnswer`). */
export function renderParty(partyId: string, page: PartyPage, next: string | null): string {
  const { extent, sessions } = page
  const rest: Omit<PartyAnswer, 'sessions'> = {
    partyId,
    firstSeen: renderTime(extent.firstTime),
    lastSeen: renderTime(extent.lastTime),
    events: extent.events,
    next,
  }
  const texts = sessions.map(({ events }) => {
    const times: Omit<PartyAnswer['sessions'][number], 'events'> = {
      start: renderTime(events[0]?.eventTime ?? null) ?? '',
      end: renderTime(events.at(-1)?.eventTime ?? null) ?? '',
    }
    return `${JSON.stringify(times).slice(0, -1)},"events":[${events.map(renderEvent).join(',')}]}`
  })
  return `${JSON.stringify(rest).slice(0, -1)},"sessions":[${texts.join(',')}]}`
}

/** ISO 8601 in UTC with milliseconds; null for a time beyond the calendar's ±8.64e15 ms. */
export function renderTime(timeMs: number | null): string | null {
  if (timeMs === null || !(Math.abs(timeMs) <= 8.64e15)) return null
  return new Date(timeMs).toISOString()
}

export function renderDeadLetter(letter: DeadLetterRow, readable: ReadableBody): DeadLetterAnswer {
  const { log, topic, partition, offset } = letter.position
  return {
    position: { log, topic, partition, offset },
    receivedAt: renderTime(letter.receivedAt) ?? '',
    code: letter.code,
    message: letter.message,
    hint: Object.hasOwn(errorTable, letter.code) ? errorTable[letter.code as ErrorCode][2] : null,
    source: letter.source,
    body: readable.body,
    bodyEncoding: readable.encoding,
    bodyTruncated: readable.truncated,
    replayable: letter.replayable,
    replayedAt: renderTime(letter.replayedAt),
  }
}

/** What the health of this process is shown with. */
export interface HealthFrame {
  readonly now: number
  readonly version: string
  readonly liveStreams: number
}

export function renderHealth(health: Health, frame: HealthFrame): string {
  const { store } = health
  const answer: HealthAnswer = {
    ok: health.ok,
    problem: health.problem,
    lag: health.lag,
    consumer: health.consumer,
    lastStoredAt: renderTime(store?.lastReceivedAt ?? null),
    lastWrittenAt: renderTime(store?.lastWrittenAt ?? null),
    events: store?.events ?? null,
    duplicates: store?.duplicates ?? null,
    deadLetters: store?.deadLetters ?? null,
    storeBytes: store?.bytes ?? null,
    fullestBucket: store?.fullestBucket ?? null,
    liveStreams: frame.liveStreams,
    collectorUrl: health.collectorUrl,
    version: frame.version,
    now: new Date(frame.now).toISOString(),
  }
  return JSON.stringify(answer)
}

/** Rows as one page: their texts, and the token for what follows. */
export interface Page {
  readonly texts: readonly string[]
  readonly next: string | null
}

/** Most bytes of one page: past it the page ends early, with `next` to go on. */
const pageCharactersMax = 16 * 1024 * 1024

/**
 * Takes rows until the page is full. Whether there is a next page is known by having seen its first
 * row, so `chunks` must give one row more than `limit`.
 */
export async function collectPage<Item>(
  chunks: AsyncIterable<readonly Item[]>,
  limit: number,
  render: (item: Item) => string | Promise<string>,
  tokenOf: (last: Item) => string,
): Promise<Page> {
  const texts: string[] = []
  let characters = 0
  let last: Item | undefined
  for await (const chunk of chunks) {
    for (const item of chunk) {
      if (last !== undefined && (texts.length === limit || characters >= pageCharactersMax)) {
        return { texts, next: tokenOf(last) }
      }
      const text = await render(item)
      texts.push(text)
      characters += text.length
      last = item
    }
  }
  return { texts, next: null }
}
