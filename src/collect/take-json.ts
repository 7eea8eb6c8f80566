import type { IncomingMessage, ServerResponse } from 'node:http'
import { MillraceError } from '../event/error.ts'
import { type Event, Source } from '../event/event.ts'
import type { AppendRecord } from '../log/log.ts'
import { discardBody, type HeaderList, sendJson } from './answer.ts'
import { checkContentType, type PartialBody, readBody } from './body.ts'
import { type Intake, recordOf, refusalAtDoor } from './intake.ts'
import { formatJson, isMarked } from './json.ts'
import { eventOfJson, eventsOfBody, refusalOf } from './json-source.ts'
import type { Route } from './metrics.ts'
import type { Origins } from './origin.ts'
import { stripEvent } from './privacy.ts'
import type { Receipt } from './receipt.ts'
import type { Refused } from './rejection.ts'

/** Takes events of a JSON source: `POST /events`, with an answer for each event. */
export function takeJson(
  intake: Intake,
  origins: Origins,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  return takePost(intake, origins, request, response, jsonBatch)
}

/** How the events of one kind of source stand in a body. */
export interface BatchFormat<Item> {
  readonly source: Source
  readonly route: Route
  /** @throws MillraceError `content_type_unsupported` */
  readonly checkType: (request: IncomingMessage) => void
  /** @throws MillraceError for a body that cannot be split */
  readonly split: (body: string, batchEventsMax: number) => readonly Item[]
  /** @throws MillraceError for an event that is refused */
  readonly eventOf: (item: Item, receipt: Receipt, intake: Intake) => Event
  /** The id by which the sender knows the event, as far as it is one. */
  readonly givenIdOf: (item: Item) => string | null
  /** What is kept of a refused event. */
  readonly refused: (item: Item, error: MillraceError, receipt: Receipt, body: string) => Refused
}

const jsonBatch: BatchFormat<unknown> = {
  source: Source.Json,
  route: 'events',
  checkType: checkContentType,
  split: eventsOfBody,
  eventOf: (value, receipt, intake) => eventOfJson(value, receipt, intake.making),
  givenIdOf,
  refused: refusedEvent,
}

/** Takes the events of a body, each by itself, and answers when they are durable. */
export async function takePost<Item>(
  intake: Intake,
  origins: Origins,
  request: IncomingMessage,
  response: ServerResponse,
  format: BatchFormat<Item>,
): Promise<void> {
  let headers: HeaderList = []
  let retryAfterSeconds = 0
  intake.underWay++
  try {
    if (request.method === 'OPTIONS') {
      sendPreflight(intake, origins, request, response)
      return
    }
    headers = origins.headersFor(request.headers.origin)
    if (request.method !== 'POST') {
      headers = [...headers, 'Allow', 'POST, OPTIONS']
      throw new MillraceError('method_not_allowed', request.method)
    }
    const sender = intake.senderOf(request.socket.remoteAddress, request.headers)
    const wait = intake.rateLimit(sender.limitKey)
    if (wait > 0) {
      retryAfterSeconds = wait
      throw new MillraceError('rate_limited', sender.limitKey)
    }
    const closed = refusalAtDoor(intake)
    if (closed !== undefined) throw closed
    format.checkType(request)
    const body = await readBody(request, intake.options.bodyBytesMax)
    if (body === undefined) return
    const receipt = intake.receiptOf(request.headers, sender)
    await takeBody(intake, response, headers, body, receipt, format)
  } catch (thrown) {
    intake.refuse(response, format.route, refusalOf(thrown), headers, retryAfterSeconds)
    discardBody(response)
  } finally {
    intake.underWay--
  }
}

function sendPreflight(
  intake: Intake,
  origins: Origins,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const headers = origins.preflightFor(request.headers.origin)
  intake.metrics.countRequest('events', 204)
  response.writeHead(204, ['Server', 'millrace', ...headers]).end()
}

/** What became of one event of the body. */
interface Result {
  readonly eventId: string | null
  readonly status: 'accepted' | 'rejected'
  readonly error?: MillraceError
}

interface Sorted {
  readonly results: Result[]
  readonly accepted: Event[]
  readonly records: AppendRecord[]
  readonly refused: Refused[]
}

async function takeBody<Item>(
  intake: Intake,
  response: ServerResponse,
  headers: HeaderList,
  body: string | PartialBody,
  receipt: Receipt,
  format: BatchFormat<Item>,
): Promise<void> {
  const { metrics, rejections } = intake
  const { source } = format
  let values: readonly Item[]
  const text = typeof body === 'string' ? body : body.start
  metrics.totals.bytes += text.length
  try {
    if (typeof body !== 'string') throw body.error
    values = format.split(body, intake.options.batchEventsMax)
  } catch (thrown) {
    const error = refusalOf(thrown)
    // Nobody can tell where in such a body the party is named.
    const kept = receipt.privacy === null ? text : ''
    const truncated = typeof body !== 'string' || kept !== text
    await rejections.keep([{ source, error, body: kept, truncated }], receipt)
    throw error
  }
  const sorted = sortEvents(intake, values, receipt, text, format)
  const full = intake.queue.refusal(sorted.records.length)
  if (full !== undefined) throw full
  // First the events: when they can't be stored, the sender comes again with all, refused ones too.
  if (sorted.records.length > 0) await append(intake, sorted.records)
  if (sorted.refused.length > 0) await rejections.keep(sorted.refused, receipt)
  for (const { error } of sorted.refused) metrics.countRejection(error.code)
  for (const { bot } of sorted.accepted) if (bot !== null) metrics.totals.bot++
  metrics.countEvents(source, sorted.accepted.length)
  metrics.countRequest(format.route, 200)
  sendJson(response, 200, { results: sorted.results }, headers)
}

function append(intake: Intake, records: readonly AppendRecord[]): Promise<void> {
  return new Promise((resolve, reject) => {
    intake.queue.push(records, (failure) => (failure === undefined ? resolve() : reject(failure)))
  })
}

/** Accepts or refuses each event by itself. */
function sortEvents<Item>(
  intake: Intake,
  values: readonly Item[],
  receipt: Receipt,
  body: string,
  format: BatchFormat<Item>,
): Sorted {
  const sorted: Sorted = { results: [], accepted: [], records: [], refused: [] }
  for (const value of values) {
    try {
      const event = format.eventOf(value, receipt, intake)
      sorted.records.push(recordOf(event))
      sorted.accepted.push(event)
      sorted.results.push({ eventId: event.eventId, status: 'accepted' })
    } catch (thrown) {
      const error = refusalOf(thrown)
      sorted.refused.push(format.refused(value, error, receipt, body))
      sorted.results.push({ eventId: format.givenIdOf(value), status: 'rejected', error })
    }
  }
  return sorted
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
