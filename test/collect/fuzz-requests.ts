import fc from 'fast-check'
import { createRandom, type Random } from '../../src/simulate/random.ts'
import {
  divolteEvent,
  nasty,
  party,
  recordedEvent,
  recordedQuery,
  session,
} from './fuzz-samples.ts'

/**
 * Requests that nobody should send, the same ones for the same seed: recorded ones changed here and
 * there, texts and values that fast-check thinks of, and bytes that are no HTTP.
 */

/** One request as it goes over a socket. */
export interface FuzzRequest {
  readonly kind: FuzzKind
  readonly bytes: Buffer
  /** False where the length is a lie or the head is broken: there may be no answer to wait for. */
  readonly isWhole: boolean
  readonly hasBodyInAnswer: boolean
}

/** The configuration that has all that the requests ask for. */
export const fuzzConfig = `export default {
  sources: {
    app: { type: 'json', path: '/mob-event' },
    outlet: { type: 'browser', prefix: '/outlet/', modules: ['httponly'], partyCookie: '_o' },
  },
}
`

export const fuzzKinds = [
  'query',
  'lines',
  'json',
  'divolte',
  'cookie',
  'value',
  'head',
  'bytes',
] as const
export type FuzzKind = (typeof fuzzKinds)[number]

/** How often each kind comes: a broken head costs a connection, so there are fewer. */
const weights: Readonly<Record<FuzzKind, number>> = {
  query: 30,
  lines: 12,
  json: 18,
  divolte: 8,
  cookie: 10,
  value: 12,
  head: 8,
  bytes: 2,
}

/** Values of fast-check are drawn so many at once, then mixed and changed. */
const poolSize = 512
/** After so many requests the pool is drawn anew. */
const poolRequests = 20_000

/** Gives request after request. */
export function createFuzz(seed: number): () => FuzzRequest {
  const random = createRandom(`fuzz ${seed}`)
  let pool = drawPool(seed)
  let given = 0
  const kinds = fuzzKinds.flatMap((kind) => new Array<FuzzKind>(weights[kind]).fill(kind))
  return () => {
    if (++given % poolRequests === 0) pool = drawPool(seed + given)
    return makers[random.pick(kinds)](random, pool, given)
  }
}

/** What fast-check made. */
interface Pool {
  readonly texts: readonly string[]
  readonly values: readonly string[]
  readonly queries: readonly string[]
}

function drawPool(seed: number): Pool {
  const options = { seed, numRuns: poolSize }
  const value = fc.anything({
    withBigInt: false,
    withDate: true,
    maxDepth: 4,
    withNullPrototype: true,
  })
  return {
    texts: fc.sample(fc.string({ unit: 'binary', maxLength: 300 }), options),
    values: fc
      .sample(fc.oneof(fc.jsonValue({ maxDepth: 5, noUnicodeString: false }), value), options)
      .map((one) => JSON.stringify(one) ?? 'undefined'),
    queries: fc.sample(fc.webQueryParameters({ size: 'medium' }), options),
  }
}

type Maker = (random: Random, pool: Pool, number: number) => FuzzRequest

const makers: Readonly<Record<FuzzKind, Maker>> = {
  query: (random, pool, number) =>
    get('query', `/csc-event?${changeQuery(random, pool, recordedQuery(random, number))}`),
  lines: (random, pool, number) => {
    const lines = Array.from({ length: 1 + random.below(5) }, () =>
      changeQuery(random, pool, recordedQuery(random, number)),
    )
    const body = lines.join(random.chance(0.9) ? '\n' : random.pick(['\r\n', '\n\n', '\0']))
    return post('lines', '/csc-event', 'text/plain', body)
  },
  json: (random, pool, number) => {
    const changed = changeText(random, pool, JSON.stringify(recordedEvent(random, number)))
    const body = random.chance(0.3) ? `{"events":[${changed}]}` : changed
    return post('json', '/events', random.pick(contentTypes), body)
  },
  divolte: (random, pool, number) => {
    const event = JSON.stringify(divolteEvent(number))
    const body = random.chance(0.7) ? changeText(random, pool, event) : event
    const sent = `p=${encodeURIComponent(party)}`
    const path = `/mob-event?${random.chance(0.3) ? changeQuery(random, pool, sent) : sent}`
    const type = random.chance(0.9) ? 'application/json' : random.pick(contentTypes)
    return post('divolte', path, type, body, wishOf(random))
  },
  cookie: (random, pool, number) => {
    const nameless = () =>
      recordedQuery(random, number).replace(random.chance(0.9) ? /^p=[^&]*&/ : '', '')
    const headers = `${cookieOf(random, pool)}${wishOf(random)}`
    const [query = '', ...others] = Array.from({ length: 1 + random.below(4) }, () =>
      random.chance(0.3) ? nameless() : changeQuery(random, pool, nameless()),
    )
    if (random.chance(0.6)) return get('cookie', `/outlet/csc-event?${query}`, headers)
    const lines = [query, ...others, ...(random.chance(0.1) ? ['g=1'] : [])]
    return post('cookie', '/outlet/csc-event', 'text/plain', lines.join('\n'), headers)
  },
  value: (random, pool) => {
    if (random.chance(0.4)) return get('value', `/csc-event?${random.pick(pool.queries)}`)
    const value = random.pick(pool.values)
    const type = JSON.stringify(random.pick(pool.texts))
    const body = random.pick([
      value,
      `[${value},${random.pick(pool.values)}]`,
      `{"events":${value}}`,
      `{"eventType":${type},"parameters":${value}}`,
      `{"eventType":"x","clientTime":${value},"location":${type}}`,
    ])
    return post('value', '/events', 'application/json', body)
  },
  head: (random, pool) => strangeHead(random, pool),
  bytes: (random, pool) => {
    const noise = Buffer.from(random.bytes(1 + random.below(600)))
    const start = random.pick([
      '',
      'GET ',
      'GET /csc-event?p=',
      'POST /events HTTP/1.1\r\n',
      'PRI * ',
    ])
    const text = random.pick(pool.texts)
    const bytes = Buffer.concat([Buffer.from(start), noise, Buffer.from(`${text}\r\n\r\n`)])
    return { kind: 'bytes', bytes, isWhole: false, hasBodyInAnswer: true }
  },
}

const contentTypes = [
  'application/json',
  'application/json',
  'text/plain',
  'application/json;charset=utf-8',
]

/** A header line, or none: the party of before, something like it, or several. */
function cookieOf(random: Random, pool: Pool): string {
  if (random.chance(0.3)) return ''
  const strange = headerText(random.pick(pool.texts))
  const value = random.pick([party, party, session, strange, '', '"', `${party}; _o=${strange}`])
  return `Cookie: a=b; ${random.pick(['_o', '_o', '_dvp'])}=${value}\r\n`
}

/** A header line, or none: the wish not to be known. */
function wishOf(random: Random): string {
  return random.chance(0.9) ? '' : random.pick(['Sec-GPC: 1\r\n', 'DNT: 1\r\n'])
}

/** Of a text what a header may hold. */
function headerText(text: string): string {
  return Buffer.from(text)
    .toString('latin1')
    .replace(/[^\x20-\x7e]/g, '')
}

const recordedMincode = '(ditem_id!266h!aad1!stwo!(jx!1e3!)..)'

function changeQuery(random: Random, pool: Pool, query: string): string {
  if (random.chance(0.15)) return query
  const pairs = query.split('&')
  for (let change = random.below(3); change >= 0; change--) {
    const at = random.below(pairs.length)
    const name = pairs[at]?.split('=', 1)[0] ?? ''
    switch (random.below(7)) {
      case 0:
        pairs.splice(at, 1)
        break
      case 1:
        pairs.push(`${name}=${random.pick(nasty)}`)
        break
      case 2:
        pairs[at] = `${name}=${encodeURIComponent(random.pick(pool.texts).toWellFormed())}`
        break
      case 3:
        pairs[at] = flip(random, pairs[at] ?? '')
        break
      case 4:
        pairs[at] =
          `u=${encodeURIComponent(changeText(random, pool, recordedMincode).toWellFormed())}`
        break
      default:
        pairs[at] = `${name}=${random.pick(nasty)}`
    }
  }
  const text = pairs.join('&')
  return random.chance(0.05) ? text.slice(0, random.below(text.length)) : text
}

/** Cuts, doubles, replaces and inserts. */
function changeText(random: Random, pool: Pool, text: string): string {
  let changed = text
  for (let change = random.below(4); change > 0; change--) {
    const from = random.below(changed.length + 1)
    const to = Math.min(changed.length, from + random.below(20))
    const insert = [
      '',
      changed.slice(from, to).repeat(2),
      random.pick(nasty),
      random.pick(pool.values),
      random.pick(['{', '}', '[', ']', '"', '\\', ',', ':', 'null', '1e999', '-0', '\\ud800']),
    ][random.below(5)]
    changed = changed.slice(0, from) + insert + changed.slice(to)
  }
  return random.chance(0.01) ? '['.repeat(random.below(20_000)) + changed : changed
}

/** One character becomes another that a request line may hold. */
function flip(random: Random, text: string): string {
  const at = random.below(text.length)
  return text.slice(0, at) + String.fromCharCode(33 + random.below(94)) + text.slice(at + 1)
}

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'TRACE', 'QUERY']
const paths = [
  '/csc-event',
  '/csc-event/',
  '//csc-event?p=1',
  '/x/../csc-event?e=1',
  '/%63sc-event?',
  '/events?x=1',
  '/mob-event',
  '/mob-event?p=%',
  '/outlet/csc-event?e=1',
  '/outlet//csc-event/',
  '/outlet/divolte.js?modules=spa',
  '/divolte.js',
  '/divolte.js?modules=delivery,nothing',
  '/divolte.js?modules=%00',
  '/ping?',
  '/metrics',
  '/shop/../../etc/passwd',
  '/shop/%2e%2e/',
  '/recommendations?item=%',
  '*',
  'http://other.example/csc-event?p=1',
  '/',
] as const

function strangeHead(random: Random, pool: Pool): FuzzRequest {
  const method = random.pick(methods)
  const path = random.pick(paths)
  const text = headerText(random.pick(pool.texts))
  const header = random.pick([
    'Content-Type: application/json; charset=utf-16',
    'Content-Encoding: gzip',
    'Expect: 100-continue',
    'Expect: something',
    'X-Forwarded-For: 1.2.3.4, ::ffff:999.1.1.1, unknown',
    `Cookie: _dvp=${text}`,
    `Origin: ${text}`,
    `User-Agent: ${text}`,
    'DNT: 1',
    'Sec-GPC: 1',
    'If-None-Match: *',
    'Accept-Encoding: br;q=x, gzip;q=-1, *',
    'Range: bytes=0-1',
    'Upgrade: websocket',
    `X-Long: ${'y'.repeat(random.below(60_000))}`,
  ])
  const body = random.pick(['', '', '{}', text])
  const lie = random.chance(0.05)
  const length = Buffer.byteLength(body) + (lie ? 1 + random.below(9) : 0)
  const head = `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${header}\r\n`
  const bytes = Buffer.from(`${head}Content-Length: ${length}\r\n\r\n${body}`)
  // Of an upgrade and of a refused expectation the answer may be the last.
  return { kind: 'head', bytes, isWhole: !lie, hasBodyInAnswer: method !== 'HEAD' }
}

function get(kind: FuzzKind, path: string, headers = ''): FuzzRequest {
  const target = path.replace(/[\0-\x20\x7f]/g, '%20')
  const bytes = Buffer.from(`GET ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\n${headers}\r\n`)
  return { kind, bytes, isWhole: true, hasBodyInAnswer: true }
}

function post(
  kind: FuzzKind,
  path: string,
  contentType: string,
  text: string,
  headers = '',
): FuzzRequest {
  const body = Buffer.from(text)
  const head = `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: ${contentType}\r\n${headers}`
  const bytes = Buffer.concat([Buffer.from(`${head}Content-Length: ${body.length}\r\n\r\n`), body])
  return { kind, bytes, isWhole: true, hasBodyInAnswer: true }
}
