import type { IncomingMessage, ServerResponse } from 'node:http'
import { type ErrorCode, MillraceError } from '../event/error.ts'
import { type Event, Source } from '../event/event.ts'
import { discardBody, sendText } from './answer.ts'
import { type PartialBody, readBody } from './body.ts'
import {
  type DivolteJsonRequest,
  eventOfDivolteJson,
  fieldNames,
  keepRequest,
  partyIn,
} from './divolte-json.ts'
import { conformed } from './event-schema.ts'
import { type Intake, refusalAtDoor } from './intake.ts'
import { refusalOf } from './json-source.ts'
import { type Outcome, outcomeOf, storeOutcome } from './outcome.ts'
import type { Receipt } from './receipt.ts'

/** A source as Divolte's of type `json`. */
export interface DivolteJsonSource {
  readonly type: 'json'
  /** In the configuration. */
  readonly name: string
  readonly path: string
  readonly partyIdParameter: string
  readonly bodyBytesMax: number
}

/**
 * Takes one event of a program: `POST PATH?p=PARTY`, answered by 204 once it is durable. Refused are,
 * in this order: another method (405), another content type (415), a body that is too large (413),
 * and what is no event (400).
 */
export async function takeDivolteJson(
  intake: Intake,
  source: DivolteJsonSource,
  request: IncomingMessage,
  response: ServerResponse,
  query: string,
): Promise<void> {
  if (!isWellMade(intake, request, response)) return
  intake.underWay++
  let waitSeconds = 0
  try {
    const sender = intake.senderOf(request.socket.remoteAddress, request.headers)
    waitSeconds = intake.rateLimit(sender.limitKey)
    if (waitSeconds > 0) throw new MillraceError('rate_limited', sender.limitKey)
    const closed = refusalAtDoor(intake)
    if (closed !== undefined) throw closed
    const body = await readBody(request, source.bodyBytesMax)
    if (body === undefined) return
    const receipt = intake.receiptOf(request.headers, sender)
    await takeBody(intake, source, request, body, receipt, query)
    intake.metrics.countRequest('events', 204)
    response.writeHead(204, ['Server', 'millrace']).end()
  } catch (thrown) {
    const error = withHint(refusalOf(thrown), source)
    const headers = error.code === 'body_too_large' ? ['Connection', 'close'] : []
    intake.refuse(response, 'events', error, headers, waitSeconds)
    discardBody(response)
  } finally {
    intake.underWay--
  }
}

/** The table's hints are those of `POST /events`, which has other settings and another body. */
function withHint(error: MillraceError, { name }: DivolteJsonSource): MillraceError {
  const hints: Partial<Record<ErrorCode, string>> = {
    body_too_large: `Send less, or raise sources.${name}.bodyBytesMax`,
    body_not_json: 'Send one event as a JSON object: {"event_type": ...}',
    event_invalid: `Send one object with ${fieldNames.join(', ')}`,
  }
  const hint = hints[error.code]
  return hint === undefined ? error : Object.assign(error, { hint })
}

/** Divolte's own answers, to the letter. */
function isWellMade(intake: Intake, request: IncomingMessage, response: ServerResponse): boolean {
  if (request.method !== 'POST') {
    const text = `HTTP method ${request.method} not allowed.`
    refuse(new MillraceError('method_not_allowed', request.method), text, ['Allow', 'POST'])
    return false
  }
  const types = request.headersDistinct['content-type'] ?? []
  if (types.length === 1 && types[0]?.toLowerCase() === 'application/json') return true
  const detail = types.join(', ') || 'none is given'
  refuse(
    new MillraceError('content_type_unsupported', detail),
    'Content type must be application/json.',
  )
  return false

  function refuse(error: MillraceError, text: string, headers: readonly string[] = []): void {
    intake.metrics.countRequest('events', error.status)
    intake.metrics.countRejection(error.code)
    intake.inspector?.refuse(response, error)
    sendText(response, error.status, 'text/plain; charset=utf-8', text, headers)
    discardBody(response)
  }
}

async function takeBody(
  intake: Intake,
  source: DivolteJsonSource,
  request: IncomingMessage,
  body: string | PartialBody,
  receipt: Receipt,
  query: string,
): Promise<void> {
  const { metrics, making } = intake
  const sent: DivolteJsonRequest = {
    partyId: partyIn(query, source.partyIdParameter),
    body: typeof body === 'string' ? body : body.start,
  }
  metrics.totals.bytes += sent.body.length
  let event: Event
  let outcome: Outcome
  try {
    if (typeof body !== 'string') throw body.error
    event = conformed(making, eventOfDivolteJson(sent, receipt, making))
    outcome = outcomeOf(intake, [event], { source: source.name, headers: request.headers })
  } catch (thrown) {
    const error = refusalOf(thrown)
    const { text, truncated } = keepRequest(sent, receipt.privacy !== null)
    const isCut = truncated || typeof body !== 'string'
    const refused = { source: Source.Json, error, body: text, truncated: isCut }
    await intake.rejections.keep([refused], receipt)
    throw error
  }
  await new Promise<void>((resolve, reject) => {
    storeOutcome(intake, outcome, (failure) => (failure ? reject(failure) : resolve()))
  })
  metrics.countEvents(Source.Json, 1)
  if (event.bot !== null) metrics.totals.bot++
  intake.inspector?.accept(event)
}
