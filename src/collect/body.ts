import type { IncomingMessage } from 'node:http'
import { MillraceError } from '../event/error.ts'

/** What was read of a body that is refused: kept with the rejection. */
export interface PartialBody {
  readonly error: MillraceError
  readonly start: string
}

/**
 * Reads a body of at most `bytesMax` bytes as UTF-8. A longer one is not read to its end, whether
 * its length was declared or not. Returns undefined when the client went away.
 */
export function readBody(
  request: IncomingMessage,
  bytesMax: number,
): Promise<string | PartialBody | undefined> {
  const declared = Number(request.headers['content-length'] ?? 0)
  if (declared > bytesMax) return Promise.resolve({ error: tooLarge(bytesMax), start: '' })
  // Its head said that there is none: it ended before anybody could listen.
  if (request.readableEnded) return Promise.resolve('')
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let length = 0
    request.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      length += chunk.length
      if (length > bytesMax) resolve({ error: tooLarge(bytesMax), start: textOf(chunks) })
    })
    request.on('end', () => resolve(textOf(chunks)))
    // After `end` these change nothing: the promise is settled.
    request.on('error', () => resolve(undefined))
    request.on('close', () => resolve(undefined))
  })
}

function tooLarge(bytesMax: number): MillraceError {
  return new MillraceError('body_too_large', String(bytesMax))
}

function textOf(chunks: readonly Buffer[]): string {
  const bytes = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)
  // A byte order mark is no part of the JSON that follows it.
  const start = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0
  return bytes.toString('utf8', start)
}

/**
 * Refuses what is not JSON by its own headers. `text/plain` is welcome because a browser sends it
 * across origins without asking first.
 * @throws MillraceError `content_type_unsupported`
 */
export function checkContentType(request: IncomingMessage): void {
  const { 'content-type': type = '', 'content-encoding': coding } = request.headers
  if (!isJson(type)) {
    throw new MillraceError('content_type_unsupported', type === '' ? 'none is given' : type)
  }
  if (coding !== undefined && coding !== '' && coding.toLowerCase() !== 'identity') {
    throw new MillraceError('content_type_unsupported', `Content-Encoding ${coding}`)
  }
}

const charsets = ['utf-8', 'utf8', 'us-ascii']

function isJson(header: string): boolean {
  const [type = ''] = header.split(';', 1)
  if (!/^\s*(?:application\/json|text\/plain)\s*$/i.test(type)) return false
  const charset = /;\s*charset\s*=\s*"?([^";\s]*)/i.exec(header)?.[1]
  return charset === undefined || charsets.includes(charset.toLowerCase())
}
