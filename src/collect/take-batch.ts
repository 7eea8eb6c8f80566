import type { IncomingMessage, ServerResponse } from 'node:http'
import { MillraceError } from '../event/error.ts'
import { type Event, Source } from '../event/event.ts'
import { checkContentType } from './body.ts'
import type { Intake } from './intake.ts'
import type { Origins } from './origin.ts'
import { parsePairs } from './parse.ts'
import { refusalLine, type TagSource } from './party-cookie.ts'
import { stripQuery, withOptOut } from './privacy.ts'
import type { Receipt } from './receipt.ts'
import type { Refused } from './rejection.ts'
import { eventOfQuery, hasUnreadableParameters } from './tag-source.ts'
import { type BatchFormat, takePost } from './take-post.ts'

/**
 * Takes several events of a tag: `POST /csc-event` with the query strings of as many GETs, one a
 * line, and the answer of `POST /events`. The same bytes as in a GET, so that a retry in another
 * way is the same event with the same checksum. The body is text/plain, which a browser sends
 * across origins without asking first, and `sendBeacon` sends on its own.
 */
export function takeBatch(
  intake: Intake,
  origins: Origins,
  request: IncomingMessage,
  response: ServerResponse,
  { name, nameParty }: TagSource = intake.browser,
): Promise<void> {
  const format = name === 'browser' ? tagBatch : { ...tagBatch, sourceName: name }
  if (nameParty === undefined) return takePost(intake, origins, request, response, format)
  return takePost(intake, origins, request, response, {
    ...format,
    split: (body, eventsMax) =>
      nameParty(linesOf(body, eventsMax), request, response).filter((line) => line !== refusalLine),
  })
}

/** Any other POST to the address of events is answered as Divolte answers it. */
export function isTagBatch({ method, headers }: IncomingMessage): boolean {
  return method === 'POST' && headers['content-type']?.startsWith('text/plain') === true
}

const tagBatch: BatchFormat<string> = {
  source: Source.Tag,
  sourceName: 'browser',
  route: 'event',
  checkType: checkContentType,
  split: linesOf,
  eventOf: eventOfLine,
  givenIdOf,
  refused: refusedLine,
}

/** @throws MillraceError `body_invalid`, `batch_too_large` */
function linesOf(body: string, batchEventsMax: number): readonly string[] {
  const lines = body.split('\n').filter((line) => line !== '')
  if (lines.length === 0) throw new MillraceError('body_invalid', 'it has no line')
  if (lines.length > batchEventsMax) {
    throw new MillraceError('batch_too_large', String(batchEventsMax))
  }
  return lines
}

function eventOfLine(line: string, receipt: Receipt, { making, metrics }: Intake): Event {
  const event = eventOfQuery(line, receipt, making)
  if (event.corrupt) metrics.totals.corrupt++
  if (hasUnreadableParameters(event, line)) metrics.totals.unreadable++
  return event
}

/** null when nobody can tell: a line with a broken escape. */
function givenIdOf(line: string): string | null {
  try {
    const [, values] = parsePairs(line).find(([name]) => name === 'e') ?? []
    return values?.[0]?.slice(0, 256).toWellFormed() ?? null
  } catch {
    return null
  }
}

function refusedLine(line: string, error: MillraceError, received: Receipt): Refused {
  const { privacy } = withOptOut(received, line)
  const body = privacy === null ? line : stripQuery(line)
  return { source: Source.Tag, error, body, privacy }
}
