import type { Socket } from 'node:net'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { isMillraceError, MillraceError } from '../event/error.ts'
import type { ErrorAnswer } from './answer.ts'

/** Answers an error as `ErrorAnswer`, with the status of the table. Never a stack, never a path. */
export function sendError(
  thrown: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  onError: (thrown: unknown) => void,
): void {
  const error = toAnswerable(thrown, onError, `${request.method} ${request.url.slice(0, 200)}`)
  if (error.status === 503) reply.header('retry-after', '1')
  void reply
    .code(error.status)
    .header('cache-control', 'no-store')
    .type('application/json; charset=utf-8')
    .send(renderError(error))
}

export function renderError(error: MillraceError): string {
  const answer: ErrorAnswer = { error: error.toJSON() }
  return JSON.stringify(answer)
}

/** Answers what is no HTTP request, or came too slowly, and hangs up. */
export function refuseBytes(thrown: Error, socket: Socket): void {
  const { code } = thrown as NodeJS.ErrnoException
  // The other side has gone; there is nobody to tell.
  if (code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const what = code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 'it came too slowly' : 'it is no HTTP request'
  const text = renderError(new MillraceError('question_invalid', what))
  const head = `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(text)}`
  socket.end(`HTTP/1.1 400 Bad Request\r\nconnection: close\r\n${head}\r\n\r\n${text}`)
}

/** An error of the table; what is none is told to `onError` and becomes `internal`. */
export function toAnswerable(
  thrown: unknown,
  onError: (thrown: unknown) => void,
  doing: string,
): MillraceError {
  if (isMillraceError(thrown)) return thrown
  const refused = fromFastify(thrown)
  if (refused !== undefined) return refused
  onError(thrown)
  return new MillraceError('internal', `while answering ${doing}`, { cause: thrown })
}

interface FastifyFailure {
  readonly code?: unknown
  readonly statusCode?: unknown
  readonly message: string
  readonly validation?: readonly { instancePath: string; message?: string; params?: object }[]
}

/** What fastify itself refuses: bodies that are too large, not JSON, or not as the schema has it. */
function fromFastify(thrown: unknown): MillraceError | undefined {
  if (!(thrown instanceof Error)) return undefined
  const failure = thrown as Error & FastifyFailure
  const options = { cause: thrown }
  if (failure.validation !== undefined) {
    return new MillraceError('question_invalid', describeValidation(failure.validation), options)
  }
  if (failure.code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return new MillraceError('question_too_large', 'the body is too long', options)
  }
  if (failure.code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    return new MillraceError('content_type_unsupported', 'use application/json', options)
  }
  const status = failure.statusCode
  if (typeof status === 'number' && status >= 400 && status < 500) {
    return new MillraceError('question_invalid', `the request: ${failure.message}`, options)
  }
  return undefined
}

function describeValidation(faults: NonNullable<FastifyFailure['validation']>): string {
  return faults
    .map(({ instancePath, message, params }) => {
      const where = instancePath === '' ? 'the body' : instancePath.slice(1).replaceAll('/', '.')
      const unknown = (params as { additionalProperty?: string }).additionalProperty
      return unknown === undefined
        ? `${where} ${message}`
        : `unknown member ${JSON.stringify(unknown)}`
    })
    .join('; ')
}
