import type { IncomingMessage, ServerResponse } from 'node:http'
import { MillraceError } from '../event/error.ts'
import type { Sender } from './address.ts'
import { discardBody, type HeaderList } from './answer.ts'
import type { Intake } from './intake.ts'
import { refusalOf } from './json-source.ts'
import type { Route } from './metrics.ts'
import type { Origins } from './origin.ts'

/** What pages of other origins may ask of one address of the public port. */
export interface Door {
  readonly route: Route
  readonly methods: readonly ('GET' | 'POST')[]
}

/** A request that came in. */
export interface Admitted {
  readonly sender: Sender
  /** For the answer, so that the page may read it. */
  readonly headers: HeaderList
}

/**
 * Answers a preflight; lets a request in by its origin, its method and the rate of its sender, and
 * answers with the refusal where that, or `work`, throws one.
 */
export async function throughDoor(
  intake: Intake,
  origins: Origins,
  request: IncomingMessage,
  response: ServerResponse,
  { route, methods }: Door,
  work: (admitted: Admitted) => Promise<void>,
): Promise<void> {
  let headers: HeaderList = []
  let retryAfterSeconds = 0
  intake.underWay++
  try {
    if (request.method === 'OPTIONS') {
      const preflight = origins.preflightFor(request.headers.origin)
      intake.metrics.countRequest(route, 204)
      response.writeHead(204, ['Server', 'millrace', ...preflight]).end()
      return
    }
    headers = origins.headersFor(request.headers.origin)
    if (!methods.some((method) => method === request.method)) {
      headers = [...headers, 'Allow', [...methods, 'OPTIONS'].join(', ')]
      throw new MillraceError('method_not_allowed', request.method)
    }
    const sender = intake.senderOf(request.socket.remoteAddress, request.headers)
    retryAfterSeconds = intake.rateLimit(sender.limitKey)
    if (retryAfterSeconds > 0) throw new MillraceError('rate_limited', sender.limitKey)
    await work({ sender, headers })
  } catch (thrown) {
    intake.refuse(response, route, refusalOf(thrown), headers, retryAfterSeconds)
    discardBody(response)
  } finally {
    intake.underWay--
  }
}
