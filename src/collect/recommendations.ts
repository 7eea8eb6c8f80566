import type { IncomingMessage, ServerResponse } from 'node:http'
import { MillraceError } from '../event/error.ts'
import { discardBody, type HeaderList, sendJson } from './answer.ts'
import { checkContentType, readBody } from './body.ts'
import type { Intake } from './intake.ts'
import { refusalOf } from './json-source.ts'
import type { Origins } from './origin.ts'

/** Recommendations on the public port: admitted here as events are, answered by what cli gives. */

/** What is asked, as it came. */
export interface RecommendationsRequest {
  /** Without its `?`. */
  readonly queryText: string
  /** Of a POST; undefined for a GET. */
  readonly body: string | undefined
}

/** @throws MillraceError for what cannot be answered */
export type AnswerRecommendations = (request: RecommendationsRequest) => object

/** Takes `GET` and `POST /recommendations`. */
export async function takeRecommendations(
  intake: Intake,
  origins: Origins,
  answer: AnswerRecommendations,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  let headers: HeaderList = []
  let retryAfterSeconds = 0
  intake.underWay++
  try {
    if (request.method === 'OPTIONS') {
      const preflight = origins.preflightFor(request.headers.origin)
      intake.metrics.countRequest('recommendations', 204)
      response.writeHead(204, ['Server', 'millrace', ...preflight]).end()
      return
    }
    headers = origins.headersFor(request.headers.origin)
    if (request.method !== 'GET' && request.method !== 'POST') {
      headers = [...headers, 'Allow', 'GET, POST, OPTIONS']
      throw new MillraceError('method_not_allowed', request.method)
    }
    const { limitKey } = intake.senderOf(request.socket.remoteAddress, request.headers)
    retryAfterSeconds = intake.rateLimit(limitKey)
    if (retryAfterSeconds > 0) throw new MillraceError('rate_limited', limitKey)
    if (intake.stopping) throw new MillraceError('stopping')
    const given = await readRequest(intake, request)
    if (given === undefined) return
    const value = answer(given)
    intake.metrics.countRequest('recommendations', 200)
    sendJson(response, 200, value, headers)
  } catch (thrown) {
    intake.refuse(response, 'recommendations', refusalOf(thrown), headers, retryAfterSeconds)
    discardBody(response)
  } finally {
    intake.underWay--
  }
}

/** undefined when the client went away. */
async function readRequest(
  intake: Intake,
  request: IncomingMessage,
): Promise<RecommendationsRequest | undefined> {
  const url = request.url ?? ''
  const mark = url.indexOf('?')
  const queryText = mark < 0 ? '' : url.slice(mark + 1)
  const { queryBytesMax, bodyBytesMax } = intake.options
  if (queryText.length > queryBytesMax) {
    throw new MillraceError('query_too_long', String(queryBytesMax))
  }
  if (request.method === 'GET') return { queryText, body: undefined }
  checkContentType(request)
  const body = await readBody(request, bodyBytesMax)
  if (body === undefined) return
  if (typeof body !== 'string') throw body.error
  return { queryText, body }
}
