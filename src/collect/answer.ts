import type { OutgoingHttpHeader, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { MillraceError } from '../event/error.ts'

/** The answers of the collector, their headers written once. */

/** A transparent pixel: the 37 bytes that Divolte sends, as a text that node joins to the headers. */
const pixel = Buffer.from(
  '4749463839610100010000000021f904010a0001002c00000000010001000002024c01003b',
  'hex',
).toString('latin1')

/** Divolte's constant, which caches in the world already hold. */
export const pixelTag = '"6b3edc43-20ec-4078-bc47-e965dd76b88a"'

// As flat lists, which node writes as they are.
const cacheHeaders: OutgoingHttpHeader[] = [
  'ETag',
  pixelTag,
  'Cache-Control',
  'private, no-cache, proxy-revalidate',
  'Pragma',
  'no-cache',
  'Expires',
  'Fri, 14 Apr 1995 11:30:00 GMT',
  'Server',
  'millrace',
]
const pixelHeaders: OutgoingHttpHeader[] = [
  'Content-Type',
  'image/gif',
  'Content-Length',
  '37',
  ...cacheHeaders,
]

/** 200 with the pixel: the event is durable. */
export function sendPixel(response: ServerResponse): void {
  response.writeHead(200, pixelHeaders)
  response.end(pixel, 'latin1')
}

/** 304 for a cache that knows the pixel: the event is durable all the same. */
export function sendNotModified(response: ServerResponse): void {
  response.writeHead(304, cacheHeaders)
  response.end()
}

/** True when the header names our ETag, strong or weak; `*` does not count, as in Divolte. */
export function knowsPixel(ifNoneMatch: string | undefined): boolean {
  return ifNoneMatch?.includes(pixelTag) === true
}

/** Headers as `name, value, name, value`. */
export type HeaderList = readonly string[]

/** Any other answer, nothing of which may be cached. */
export function sendText(
  response: ServerResponse,
  status: number,
  type: string,
  body: string,
  headers: HeaderList = [],
): void {
  const bytes = Buffer.byteLength(body)
  response.writeHead(status, [
    'Content-Type',
    type,
    'Content-Length',
    String(bytes),
    'Cache-Control',
    'no-store',
    'Server',
    'millrace',
    ...headers,
  ])
  // ASCII, as most is, leaves in one write without being encoded. Of HEAD node leaves the body out.
  response.end(body, bytes === body.length ? 'latin1' : 'utf8')
}

export function sendJson(
  response: ServerResponse,
  status: number,
  value: unknown,
  headers?: HeaderList,
): void {
  sendText(response, status, jsonType, JSON.stringify(value), headers)
}

const jsonType = 'application/json; charset=utf-8'

/** The answer to a refused request: the code, in words, and what to do. */
export function sendError(
  response: ServerResponse,
  error: MillraceError,
  headers?: HeaderList,
): void {
  sendJson(response, error.status, { error }, headers)
}

/** Bytes and time in which a refused client may finish what it is sending, to hear the answer. */
const lingerBytesMax = 4 * 1024 * 1024
const lingerMs = 2_000

/** Answers what never became a request, then closes; not at once, or the client sees a reset only. */
export function sendRawError(socket: Socket, error: MillraceError, reason: string): void {
  const body = JSON.stringify({ error })
  socket.end(
    `HTTP/1.1 ${error.status} ${reason}\r\nConnection: close\r\nContent-Type: ${jsonType}\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nServer: millrace\r\n\r\n${body}`,
  )
  const timer = setTimeout(() => socket.destroy(), lingerMs)
  socket.once('close', () => clearTimeout(timer))
}

/** Reads on and throws away, up to a bound, so that the client can hear that it was refused. */
export function discardBody(response: ServerResponse): void {
  const { req: request } = response
  if (request.readableEnded) return
  let left = lingerBytesMax
  request.removeAllListeners('data')
  request.on('data', (chunk: Buffer) => {
    left -= chunk.length
    if (left < 0) request.socket.destroy()
  })
  request.resume()
}
