import { randomFillSync } from 'node:crypto'
import { MillraceError } from '../../event/error.ts'
import type { Event } from '../../event/event.ts'
import { createPageViewId } from '../../event/identifier.ts'
import { eventOfDivolteJson, partyIn } from '../divolte-json.ts'
import { createAgentReader } from '../enrich.ts'
import { formatJson, parseJson } from '../json.ts'
import { eventOfJson } from '../json-source.ts'
import type { EventOptions } from '../options.ts'
import { seenWith } from '../outcome.ts'
import { canonicalPath } from '../path.ts'
import { privacyOf } from '../privacy.ts'
import type { EventMaking, Receipt } from '../receipt.ts'
import { eventOfQuery } from '../tag-source.ts'
import type { Sample } from './samples.ts'

/** A source of the configuration, as far as a sample has to do with it. */
export interface SampleSource {
  readonly name: string
  /** Where its events go. */
  readonly path: string
  /** Of a source as Divolte's of type `json`: the parameter that has the party. */
  readonly partyIdParameter?: string | undefined
}

/** What samples are read by. */
export interface SampleOptions {
  readonly collect: EventOptions
  /** Those beside `browser` and `json`. */
  readonly sources: readonly SampleSource[]
}

/** A request of which not all has to be said. */
interface Request {
  /** The query string of its address. */
  readonly query: string | undefined
  /** The event as JSON. */
  readonly event: unknown
  readonly headers: Readonly<Record<string, string>>
  /** Only its name when it is one of those that are always there. */
  readonly source: SampleSource
}

/** An address for documentation, which no database knows. */
const remoteAddress = '192.0.2.0'

const browser: SampleSource = { name: 'browser', path: '' }
const json: SampleSource = { name: 'json', path: '' }

/**
 * The event of one line of sample requests, and the request as a mapping gets it. A line is the URL,
 * the path or the query string of a tag's event; an event as `POST /events` takes it; or
 * `{"url": …}` or `{"event": {…}}` with `headers` and `source` beside it. Of a source as Divolte's
 * of type `json` it has both, the URL for the party: `{"url": "/mob-event?p=…", "event": {…}}`.
 * @param receivedAt ms since 1970
 * @throws MillraceError what the collector refuses it with; `config_invalid` for an unknown source
 */
export function sampleOfLine(line: string, options: SampleOptions, receivedAt: number): Sample {
  const { collect, sources } = options
  const request = requestOf(line.trim(), sources)
  const { headers, source } = request
  const receipt: Receipt = {
    receivedAt,
    remoteAddress,
    country: null,
    userAgent: headers['user-agent']?.slice(0, collect.userAgentCharactersMax) ?? null,
    privacy: privacyOf(headers, collect.cookieless),
  }
  const making: EventMaking = {
    options: collect,
    readAgent: createAgentReader(),
    createEventId: () => createPageViewId(randomFillSync(new Uint8Array(32))),
  }
  const event = eventOf(request, receipt, making)
  return { event, request: seenWith(event, { source: source.name, headers }) }
}

function eventOf({ query, event, source }: Request, receipt: Receipt, making: EventMaking): Event {
  if (source.partyIdParameter !== undefined) {
    const partyId = partyIn(query ?? '', source.partyIdParameter)
    return eventOfDivolteJson({ partyId, body: formatJson(event) ?? '' }, receipt, making)
  }
  return query === undefined
    ? eventOfJson(event, receipt, making)
    : eventOfQuery(query, receipt, making)
}

function requestOf(line: string, sources: readonly SampleSource[]): Request {
  if (!line.startsWith('{')) {
    const source = sourceAt(line, sources) ?? browser
    return { query: queryOf(line), event: undefined, headers: {}, source }
  }
  const value = parse(line)
  if (!('url' in value || 'event' in value)) {
    return { query: undefined, event: value, headers: {}, source: json }
  }
  const { url, event, headers = {}, source } = value
  const query = typeof url === 'string' ? queryOf(url) : undefined
  const names = Object.entries(headers as object).map(([name, text]) => [
    name.toLowerCase(),
    String(text),
  ])
  const found = typeof url === 'string' ? sourceAt(url, sources) : undefined
  return {
    query,
    event,
    headers: Object.fromEntries(names),
    source:
      source === undefined
        ? (found ?? (query === undefined ? json : browser))
        : sourceNamed(source, sources),
  }
}

/** @throws MillraceError `config_invalid` */
function sourceNamed(name: unknown, sources: readonly SampleSource[]): SampleSource {
  const known = [browser, json, ...sources]
  const source = known.find((one) => one.name === name)
  if (source !== undefined) return source
  const names = known.map((one) => one.name).join(', ')
  throw new MillraceError('config_invalid', `no source ${String(name)} (known: ${names})`)
}

/** The source whose events go to this address; a query string alone has none. */
function sourceAt(url: string, sources: readonly SampleSource[]): SampleSource | undefined {
  const [address = ''] = url.split(/[?#]/, 1)
  if (address === '') return
  const path = canonicalPath(address)
  return sources.find((source) => source.path === path)
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
