import type { IncomingMessage, ServerResponse } from 'node:http'
import type { MillraceError } from '../event/error.ts'
import { Source } from '../event/event.ts'
import { checkContentType } from './body.ts'
import type { Intake } from './intake.ts'
import { formatJson, isMarked } from './json.ts'
import { eventOfJson, eventsOfBody } from './json-source.ts'
import type { Origins } from './origin.ts'
import { stripEvent } from './privacy.ts'
import type { Receipt } from './receipt.ts'
import type { Refused } from './rejection.ts'
import { type BatchFormat, takePost } from './take-post.ts'

/** Takes events of a JSON source: `POST /events`, with an answer for each event. */
export function takeJson(
  intake: Intake,
  origins: Origins,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  return takePost(intake, origins, request, response, jsonBatch)
}

const jsonBatch: BatchFormat<unknown> = {
  source: Source.Json,
  sourceName: 'json',
  route: 'events',
  checkType: checkContentType,
  split: eventsOfBody,
  eventOf: (value, receipt, intake) => eventOfJson(value, receipt, intake.making),
  givenIdOf,
  refused: refusedEvent,
}

function refusedEvent(
  value: unknown,
  error: MillraceError,
  receipt: Receipt,
  body: string,
): Refused {
  const source = Source.Json
  const { kept, truncated } =
    receipt.privacy === null ? { kept: value, truncated: false } : stripEvent(value)
  const text = formatJson(kept)
  if (text !== undefined) return { source, error, body: text, truncated }
  // Nested too deep to be written again: the request as it came, which can be looked at only.
  return { source, error, body: receipt.privacy === null ? body : '', truncated: true }
}

function givenIdOf(value: unknown): string | null {
  const id = (value as { eventId?: unknown } | null)?.eventId
  return typeof id === 'string' && !isMarked(id) ? id.slice(0, 256).toWellFormed() : null
}
