import { setTimeout as sleep } from 'node:timers/promises'
import { MillraceError } from '../event/error.ts'
import { encodeMincode } from '../event/mincode.ts'
import { toError } from '../lib/assert.ts'
import { secondMs } from '../lib/clock.ts'
import { buildQuery } from '../tag/query.ts'
import type { SimulatedEvent } from './visit.ts'

/** Sends events to a collector as the tag does: a GET each, with its checksum. */

export interface SendOptions {
  /** Where the collector listens, and the name of its events there. */
  readonly url: string
  readonly eventSuffix: string
  /** Events a second. */
  readonly rate: number
  /** How long to go on; undefined: until `signal` aborts. */
  readonly seconds?: number | undefined
  readonly signal: AbortSignal
  readonly onProgress?: (counts: SendCounts) => void
}

export interface SendCounts {
  sent: number
  accepted: number
  /** Answers 4xx but 429, which sending again cannot mend. */
  refused: number
  /** Answers 429: too many from one address. */
  limited: number
  /** Answers 503, and connections that failed; each was tried again. */
  retried: number
  /** Given up after some tries. */
  lost: number
}

/** Requests at once: beyond them the collector is slower than the rate, and the rate gives way. */
const inFlightMax = 64
const attemptsMax = 5
const retryAfterMsMax = 10 * secondMs
const answerTimeoutMs = 10 * secondMs

/**
 * Sends at a steady rate what `nextEvent` gives. Past the collector's strength it slows down; it
 * never sends faster to make up for it.
 * @throws MillraceError `collector_absent` when the first event finds nobody
 */
export async function sendEvents(
  nextEvent: () => SimulatedEvent,
  options: SendOptions,
): Promise<SendCounts> {
  const { rate, seconds, signal } = options
  const counts: SendCounts = { sent: 0, accepted: 0, refused: 0, limited: 0, retried: 0, lost: 0 }
  const eventsMax = seconds === undefined ? Number.POSITIVE_INFINITY : Math.round(seconds * rate)
  const underWay = new Set<Promise<void>>()
  let failure: Error | undefined
  let due = performance.now()
  while (!signal.aborted && failure === undefined && counts.sent < eventsMax) {
    await pause(due - performance.now(), signal)
    if (signal.aborted) break
    // Late by more than a second is late for good.
    due = Math.max(due + secondMs / rate, performance.now() - secondMs)
    counts.sent++
    const sending = sendOne(nextEvent(), options, counts)
      .catch((thrown) => {
        failure ??= toError(thrown)
      })
      .finally(() => underWay.delete(sending))
    underWay.add(sending)
    if (underWay.size >= inFlightMax) await Promise.race(underWay)
    options.onProgress?.(counts)
  }
  await Promise.all(underWay)
  options.onProgress?.(counts)
  if (failure !== undefined) throw failure
  return counts
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  // Timers are no finer than this; shorter waits come together.
  if (ms < 2) return
  await sleep(ms, undefined, { signal }).catch(() => {})
}

async function sendOne(
  event: SimulatedEvent,
  { url, eventSuffix, signal }: SendOptions,
  counts: SendCounts,
): Promise<void> {
  const address = `${url.replace(/\/+$/, '')}/${eventSuffix}?${queryOf(event)}`
  const headers = { 'User-Agent': event.device.userAgent, 'Accept-Language': 'en' }
  for (let attempt = 1; attempt <= attemptsMax; attempt++) {
    const answer = await get(address, headers)
    if (answer === undefined && counts.accepted === 0 && attempt === attemptsMax) {
      throw new MillraceError('collector_absent', url)
    }
    if (answer !== undefined && answer.status < 400) {
      counts.accepted++
      return
    }
    if (answer?.status === 429) {
      counts.limited++
      return
    }
    if (answer !== undefined && answer.status < 500) {
      counts.refused++
      return
    }
    counts.retried++
    await pause(answer?.retryAfterMs ?? 200 * attempt, signal)
  }
  counts.lost++
}

async function get(
  address: string,
  headers: Record<string, string>,
): Promise<{ readonly status: number; readonly retryAfterMs: number } | undefined> {
  try {
    const answer = await fetch(address, { headers, signal: AbortSignal.timeout(answerTimeoutMs) })
    await answer.arrayBuffer()
    const seconds = Number(answer.headers.get('Retry-After') ?? 1)
    const retryAfterMs = Number.isFinite(seconds) ? seconds * secondMs : secondMs
    return { status: answer.status, retryAfterMs: Math.min(retryAfterMsMax, retryAfterMs) }
  } catch {
    return undefined
  }
}

/** The query string of an event, in the tag's order. */
export function queryOf(event: SimulatedEvent): string {
  const { device, parameters } = event
  return buildQuery([
    ['p', event.partyId],
    ['s', event.sessionId],
    ['v', event.pageViewId],
    ['e', event.eventId],
    ['c', event.eventTime],
    ['n', event.isNew ? 't' : 'f'],
    ['f', event.firstInSession ? 't' : 'f'],
    ['l', event.location],
    ['r', event.referer ?? undefined],
    ['i', device.width],
    ['j', device.height],
    ['k', device.ratio],
    ['w', device.width],
    ['h', Math.round(device.height * 0.9)],
    ['t', event.eventType],
    ['u', parameters === null ? undefined : encodeMincode(parameters)],
  ])
}
