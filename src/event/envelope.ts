import { ClockSource, type Event } from './event.ts'
import type { EventId, PartyId } from './identifier.ts'

/**
 * What a record of a user's own schema need not say: who and when. It travels in headers beside the
 * value, so that the value is exactly what the schema says.
 *
 *     millrace-event-id      the event's id
 *     millrace-party-id      its party; absent when it has none
 *     millrace-received-at   ms since 1970
 *     millrace-event-time    ms since 1970
 *     millrace-clock-source  absent when it is `client`; see `ClockSource`
 *     millrace-client-time   ms since 1970; absent when it is the event's time
 */
export interface Envelope {
  readonly eventId: EventId
  readonly partyId: PartyId | null
  readonly receivedAt: number
  readonly eventTime: number
  readonly clockSource: ClockSource
  readonly clientTime: number
}

type Headers = Readonly<Record<string, string>>

export function headersOf(event: Envelope): Headers {
  const { eventId, partyId, receivedAt, eventTime, clockSource, clientTime } = event
  return {
    'millrace-event-id': eventId,
    ...(partyId !== null && { 'millrace-party-id': partyId }),
    'millrace-received-at': String(receivedAt),
    'millrace-event-time': String(eventTime),
    ...(clockSource !== ClockSource.Client && { 'millrace-clock-source': clockSource }),
    ...(clientTime !== eventTime && { 'millrace-client-time': String(clientTime) }),
  }
}

/** What the headers of a record say, or undefined when they are none of a mapped event. */
export function envelopeOf(headers: Headers | undefined): Envelope | undefined {
  const eventId = headers?.['millrace-event-id']
  if (headers === undefined || eventId === undefined) return
  const receivedAt = Number(headers['millrace-received-at'])
  const eventTime = Number(headers['millrace-event-time'])
  if (!Number.isSafeInteger(receivedAt) || !Number.isSafeInteger(eventTime)) return
  const clientTime = Number(headers['millrace-client-time'] ?? eventTime)
  return {
    eventId: eventId as EventId,
    partyId: (headers['millrace-party-id'] as PartyId | undefined) ?? null,
    receivedAt,
    eventTime,
    clockSource: clockSourceOf(headers['millrace-clock-source']),
    clientTime: Number.isSafeInteger(clientTime) ? clientTime : eventTime,
  }
}

function clockSourceOf(text: string | undefined): Event['clockSource'] {
  return Object.values(ClockSource).find((one) => one === text) ?? ClockSource.Client
}
