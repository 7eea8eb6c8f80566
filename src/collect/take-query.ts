import type { IncomingMessage, ServerResponse } from 'node:http'
import { MillraceError } from '../event/error.ts'
import { type Event, Source } from '../event/event.ts'
import { knowsPixel, sendNotModified, sendPixel, sendText } from './answer.ts'
import { conformed } from './event-schema.ts'
import { type Intake, refusalAtDoor } from './intake.ts'
import { refusalOf } from './json-source.ts'
import { type Outcome, outcomeOf, storeOutcome } from './outcome.ts'
import type { TagSource } from './party-cookie.ts'
import { stripQuery, withOptOut } from './privacy.ts'
import type { Receipt } from './receipt.ts'
import { eventOfQuery, hasUnreadableParameters } from './tag-source.ts'

/** Takes an event of a tag: `GET /csc-event?…`, answered by the pixel once the event is durable. */
export function takeQuery(
  intake: Intake,
  request: IncomingMessage,
  response: ServerResponse,
  sent: string,
  source: TagSource = intake.browser,
): void {
  const { metrics, making } = intake
  if (request.method !== 'GET') {
    refuseMethod(intake, request, response)
    return
  }
  const sender = intake.senderOf(request.socket.remoteAddress, request.headers)
  const wait = intake.rateLimit(sender.limitKey)
  const closed =
    wait > 0 ? new MillraceError('rate_limited', sender.limitKey) : refusalAtDoor(intake)
  if (closed !== undefined) {
    intake.refuse(response, 'event', closed, [], wait)
    return
  }
  metrics.totals.bytes += sent.length
  const [query = sent] = source.nameParty?.([sent], request, response) ?? []
  const receipt = intake.receiptOf(request.headers, sender)
  intake.underWay++
  let event: Event
  let outcome: Outcome
  try {
    event = conformed(making, eventOfQuery(query, receipt, making))
    outcome = outcomeOf(intake, [event], { source: source.name, headers: request.headers })
  } catch (thrown) {
    refuseQuery(intake, response, query, receipt, refusalOf(thrown))
    return
  }
  const known = knowsPixel(request.headers['if-none-match'])
  storeOutcome(intake, outcome, (failure) => {
    intake.underWay--
    if (failure !== undefined) {
      intake.refuse(response, 'event', failure)
      return
    }
    countEvent(intake, event, query)
    intake.inspector?.accept(event)
    metrics.countRequest('event', known ? 304 : 200)
    if (known) {
      metrics.totals.revalidated++
      sendNotModified(response)
    } else sendPixel(response)
  })
}

function countEvent({ metrics }: Intake, event: Event, query: string): void {
  metrics.countEvents(Source.Tag, 1)
  if (event.corrupt) metrics.totals.corrupt++
  if (event.bot !== null) metrics.totals.bot++
  if (hasUnreadableParameters(event, query)) metrics.totals.unreadable++
}

/** The answer waits for the dead letter, so that who hears of a refusal can find it. */
function refuseQuery(
  intake: Intake,
  response: ServerResponse,
  query: string,
  received: Receipt,
  error: MillraceError,
): void {
  const receipt = withOptOut(received, query)
  const body = receipt.privacy === null ? query : stripQuery(query)
  const truncated = error.code === 'query_too_long'
  const text = truncated ? body.slice(0, intake.options.queryBytesMax) : body
  void intake.rejections
    .keep([{ source: Source.Tag, error, body: text, truncated }], receipt)
    .then(() => {
      intake.underWay--
      intake.refuse(response, 'event', error)
    })
}

/** Divolte's own answer, to the letter. */
function refuseMethod(intake: Intake, request: IncomingMessage, response: ServerResponse): void {
  intake.metrics.countRequest('event', 405)
  intake.metrics.countRejection('method_not_allowed')
  intake.inspector?.refuse(response, new MillraceError('method_not_allowed', request.method))
  const text = `HTTP method ${request.method} not allowed.`
  sendText(response, 405, 'text/plain; charset=utf-8', text, ['Allow', 'GET'])
}
