import { randomFillSync } from 'node:crypto'
import { MillraceError } from '../../event/error.ts'
import { createPageViewId } from '../../event/identifier.ts'
import { createAgentReader } from '../enrich.ts'
import { parseJson } from '../json.ts'
import { eventOfJson } from '../json-source.ts'
import type { EventOptions } from '../options.ts'
import { privacyOf } from '../privacy.ts'
import type { EventMaking, Receipt } from '../receipt.ts'
import { eventOfQuery } from '../tag-source.ts'
import type { Sample } from './samples.ts'

/** A request of which not all has to be said. */
interface Request {
  /** The query string of a tag's event, or the event as JSON. */
  readonly query: string | undefined
  readonly event: unknown
  readonly headers: Readonly<Record<string, string>>
  readonly source: string
}

/** An address for documentation, which no database knows. */
const remoteAddress = '192.0.2.0'

/**
 * The event of one line of sample requests, and the request as a mapping gets it. A line is the URL,
 * the path or the query string of a tag's event; an event as `POST /events` takes it; or
 * `{"url": …}` or `{"event": {…}}` with `headers` and `source` beside it.
 * @param receivedAt ms since 1970
 * @throws MillraceError what the collector refuses it with
 */
export function sampleOfLine(line: string, options: EventOptions, receivedAt: number): Sample {
  const { query, event, headers, source } = requestOf(line.trim())
  const receipt: Receipt = {
    receivedAt,
    remoteAddress,
    country: null,
    userAgent: headers['user-agent']?.slice(0, options.userAgentCharactersMax) ?? null,
    privacy: privacyOf(headers, options.cookieless),
  }
  const making: EventMaking = {
    options,
    readAgent: createAgentReader(),
    createEventId: () => createPageViewId(randomFillSync(new Uint8Array(32))),
  }
  const made =
    query === undefined ? eventOfJson(event, receipt, making) : eventOfQuery(query, receipt, making)
  return { event: made, request: { source, headers } }
}

function requestOf(line: string): Request {
  if (!line.startsWith('{')) {
    return { query: queryOf(line), event: undefined, headers: {}, source: 'browser' }
  }
  const value = parse(line)
  if (!('url' in value || 'event' in value)) {
    return { query: undefined, event: value, headers: {}, source: 'json' }
  }
  const { url, event, headers = {}, source } = value
  const query = typeof url === 'string' ? queryOf(url) : undefined
  const names = Object.entries(headers as object).map(([name, text]) => [
    name.toLowerCase(),
    String(text),
  ])
  return {
    query,
    event,
    headers: Object.fromEntries(names),
    source: typeof source === 'string' ? source : query === undefined ? 'json' : 'browser',
  }
}

function parse(line: string): Record<string, unknown> {
  try {
    return parseJson(line) as Record<string, unknown>
  } catch (thrown) {
    throw new MillraceError('body_not_json', (thrown as Error).message, { cause: thrown })
  }
}

function queryOf(text: string): string {
  const mark = text.indexOf('?')
  return (mark < 0 ? text : text.slice(mark + 1)).replace(/#.*$/, '')
}
