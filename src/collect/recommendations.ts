import type { IncomingMessage, ServerResponse } from 'node:http'
import { MillraceError } from '../event/error.ts'
import { sendJson } from './answer.ts'
import { checkContentType, readBody } from './body.ts'
import { throughDoor } from './door.ts'
import type { Intake } from './intake.ts'
import type { Origins } from './origin.ts'

/** Recommendations on the public port: admitted here as events are, answered by what cli gives. */

/** What is asked, as it came. */
export interface RecommendationsRequest {
  /** Without its `?`. */
  readonly queryText: string
  /** Of a POST; undefined for a GET. */
  readonly body: string | undefined
}

/** @throws MillraceError, or rejects with one, for what cannot be answered */
export type AnswerRecommendations = (request: RecommendationsRequest) => object | Promise<object>

const door = { route: 'recommendations', methods: ['GET', 'POST'] } as const

/** Takes `GET` and `POST /recommendations`. */
export function takeRecommendations(
  intake: Intake,
  origins: Origins,
  answer: AnswerRecommendations,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  return throughDoor(intake, origins, request, response, door, async ({ headers }) => {
    if (intake.stopping) throw new MillraceError('stopping')
    const given = await readRequest(intake, request)
    if (given === undefined) return
    const value = await answer(given)
    intake.metrics.countRequest(door.route, 200)
    sendJson(response, 200, value, headers)
  })
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
