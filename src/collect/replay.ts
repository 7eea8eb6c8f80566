import { createHash } from 'node:crypto'
import { MillraceError } from '../event/error.ts'
import { type Event, Privacy, type Rejection, Source } from '../event/event.ts'
import { createPageViewId } from '../event/identifier.ts'
import { eventOfDivolteJson, keptRequest } from './divolte-json.ts'
import { createAgentReader } from './enrich.ts'
import { type Conform, conformed } from './event-schema.ts'
import { eventOfJson, eventsOfBody } from './json-source.ts'
import type { RecordsOf } from './mapping/mapper.ts'
import type { EventOptions } from './options.ts'
import type { KeptEvent } from './outcome.ts'
import type { EventMaking, Receipt } from './receipt.ts'
import { eventOfQuery } from './tag-source.ts'

/** Where a rejection stands: this names it for ever. */
export interface RejectionPosition {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

/**
 * Reads a refused request again by today's rules and settings, as if it had come when it came: the
 * same rejection gives the same event each time, also the same id where the client gave none.
 * @throws MillraceError `dead_letter_unreplayable` when not all of it was kept, else whatever it is
 *   refused with today
 */
export function eventOfRejection(
  rejection: Rejection,
  position: RejectionPosition,
  options: EventOptions,
  conform?: Conform,
): Event {
  if (rejection.truncated) {
    throw new MillraceError('dead_letter_unreplayable', 'not all of the request was kept')
  }
  if (rejection.code === 'event_unmapped') return (JSON.parse(rejection.body) as KeptEvent).event
  const receipt: Receipt = {
    receivedAt: rejection.receivedAt,
    remoteAddress: rejection.remoteAddress,
    country: rejection.country,
    userAgent: rejection.userAgent,
    // A site that has become cookieless since takes no party from the past either.
    privacy: rejection.privacy ?? (options.cookieless ? Privacy.Cookieless : null),
  }
  const making: EventMaking = {
    options,
    readAgent: createAgentReader(),
    createEventId: () => idOf(rejection, position),
    conform,
  }
  return conformed(making, readAgain(rejection, receipt, making))
}

function readAgain(rejection: Rejection, receipt: Receipt, making: EventMaking): Event {
  if (rejection.source === Source.Tag) return eventOfQuery(rejection.body, receipt, making)
  const divolte = keptRequest(rejection.body)
  if (divolte !== undefined) return eventOfDivolteJson(divolte, receipt, making)
  const events = eventsOfBody(rejection.body, Number.POSITIVE_INFINITY)
  if (events.length === 1) return eventOfJson(events[0], receipt, making)
  throw new MillraceError('dead_letter_unreplayable', `it is a batch of ${events.length} events`)
}

/**
 * The records of such an event by the mappings of today. The request's headers are not kept: a
 * mapping that looks at them finds none.
 * @throws MillraceError `event_unmapped`
 */
export function recordsOfRejection(
  rejection: Rejection,
  event: Event,
  recordsOf: RecordsOf,
): ReturnType<RecordsOf> {
  const source =
    rejection.code === 'event_unmapped'
      ? (JSON.parse(rejection.body) as KeptEvent).source
      : rejection.source === Source.Tag
        ? 'browser'
        : 'json'
  return recordsOf(event, { source, headers: {} })
}

function idOf(rejection: Rejection, { topic, partition, offset }: RejectionPosition): string {
  const place = `${topic}/${partition}/${offset}/${rejection.receivedAt}`
  return createPageViewId(createHash('sha256').update(place).digest())
}
