import type { IncomingHttpHeaders } from 'node:http'
import type { Socket } from 'node:net'
import { MillraceError } from '../event/error.ts'
import { Source } from '../event/event.ts'
import { sendRawError } from './answer.ts'
import type { Intake } from './intake.ts'
import { stripQuery, withOptOut } from './privacy.ts'

/** What node's HTTP parser reports: the bytes in which it stopped, where it has them. */
export interface ClientError extends NodeJS.ErrnoException {
  readonly rawPacket?: Buffer
}

/** Answers what the HTTP parser itself refuses: too large a head, too slow, raw bytes, not HTTP. */
export function refuseMalformed(
  intake: Intake,
  error: ClientError,
  socket: Socket,
  eventStart: string,
  headBytesMax: number,
): void {
  // The parser reports again for whatever still comes in while our answer goes out.
  if (!socket.writable || socket.writableEnded) return
  if (error.code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  const query =
    error.code === 'HPE_INVALID_URL' ? findQuery(error.rawPacket, eventStart) : undefined
  const [refusal, reason] = refusalOf(error, query !== undefined, headBytesMax)
  intake.metrics.countRequest('other', refusal.status)
  intake.metrics.countRejection(refusal.code)
  if (query === undefined) sendRawError(socket, refusal, reason)
  else {
    const kept = keepQuery(intake, query, refusal, socket)
    void kept.then(() => sendRawError(socket, refusal, reason))
  }
}

function refusalOf(
  { code = 'unknown' }: ClientError,
  isEvent: boolean,
  headBytesMax: number,
): [MillraceError, reason: string] {
  if (isEvent) return [new MillraceError('query_undecodable', 'a raw byte'), 'Bad Request']
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return [
        new MillraceError('head_too_large', String(headBytesMax)),
        'Request Header Fields Too Large',
      ]
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return [new MillraceError('request_timeout'), 'Request Timeout']
    default:
      return [new MillraceError('request_malformed', code), 'Bad Request']
  }
}

/** An event in an URL that the parser does not take. */
interface MalformedQuery {
  readonly query: string
  /** Those that decide what may be kept; undefined when not all had arrived. */
  readonly headers: IncomingHttpHeaders | undefined
}

function findQuery(packet: Buffer | undefined, eventStart: string): MalformedQuery | undefined {
  const text = packet?.toString('latin1') ?? ''
  const start = `GET ${eventStart}`
  if (!text.startsWith(start)) return
  const [requestLine = '', ...lines] = text.split('\r\n')
  const query = requestLine.slice(start.length).replace(/ HTTP\/1\.[01]$/, '')
  if (!text.includes('\r\n\r\n')) return { query, headers: undefined }
  const headers: IncomingHttpHeaders = {}
  for (const line of lines) {
    const colon = line.indexOf(':')
    if (colon > 0) headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim()
  }
  return { query, headers }
}

function keepQuery(
  intake: Intake,
  { query, headers = {} }: MalformedQuery,
  error: MillraceError,
  socket: Socket,
): Promise<void> {
  const sender = intake.senderOf(socket.remoteAddress, headers)
  const receipt = withOptOut(intake.receiptOf(headers, sender), query)
  const body = receipt.privacy === null ? query : stripQuery(query)
  // Without all headers nobody knows whether the person wants a party to be known.
  const refused = Object.keys(headers).length > 0 ? { body } : { body: '', truncated: true }
  return intake.rejections.keep([{ source: Source.Tag, error, ...refused }], receipt)
}
