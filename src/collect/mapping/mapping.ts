import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { type JSONPathQuery, jsonpath } from 'json-p3'
import { Reader, type Response } from 'maxmind'
import { MillraceError } from '../../event/error.ts'
import type { Event } from '../../event/event.ts'
import type { MappingRequest } from '../../event/mapping.ts'
import { toError } from '../../lib/assert.ts'
import { parseJson } from './exact-json.ts'
import { JsonValue } from './json-value.ts'
import * as uri from './uri.ts'

/**
 * `millrace/mapping`: pure pieces for mappings. What is absent comes as undefined, which leaves a
 * field of the record to its default. The rest is plain TypeScript: `if`, `===`, `&&` and `?.`.
 */

type Absent = null | undefined

/**
 * The event's own parameters as JSON; undefined when it has none. Whole numbers that a double would
 * change are bigints.
 */
export function parameters(event: Event): unknown {
  if (event.parameters === null) return
  let value = parsed.get(event)
  if (value === undefined) {
    value = parseJson(event.parameters)
    parsed.set(event, value)
  }
  return value
}

const parsed = new WeakMap<Event, unknown>()

/**
 * One of the event's parameters as text: '' when there is none of that name, or when it is an object
 * or a list, `null` when it is null. Undefined when the event has no parameters at all.
 */
export function parameterText(event: Event, name: string): string | undefined {
  const all = parameters(event)
  if (all === undefined) return
  if (typeof all !== 'object' || all === null || !Object.hasOwn(all, name)) return ''
  const value = (all as Record<string, unknown>)[name]
  return typeof value === 'object' && value !== null ? '' : String(value)
}

/**
 * What an RFC 9535 path finds: a path that can mean one place only (`$.a.b[0]`) gives the value there
 * or undefined, any other (`$.items[*].id`) a list, which may be empty.
 * @throws JSONPathError when the path is none
 */
export function jsonPath(value: unknown, path: string): unknown {
  let query = queries.get(path)
  if (query === undefined) {
    query = jsonpath.compile(path)
    queries.set(path, query)
  }
  if (value === undefined) return
  const found = query.query(value as never).values()
  return query.singularQuery() ? found[0] : found
}

/** By the texts in the user's own code, which are few. */
const queries = new Map<string, JSONPathQuery>()

/**
 * Marks JSON to be taken for a field as Divolte takes it: a single value for a list of one, a list of
 * one for a single value, `"77"` for 77, unknown members left out; what does not fit is absent.
 */
export function fromJson(value: unknown): JsonValue | undefined {
  return value === undefined ? undefined : new JsonValue(value)
}

/**
 * The values of a header of the request: split at commas outside quotes, unquoted, white space
 * joined, empty ones left out. Undefined when it was not sent.
 */
export function headerValues(request: MappingRequest, name: string): string[] | undefined {
  const sent = request.headers[name.toLowerCase()]
  if (sent === undefined) return
  return (typeof sent === 'string' ? sent : sent.join(',')).match(headerPart)?.flatMap(cleanPart)
}

const headerPart = /(?:"(?:[^"\\]|\\.)*"?|[^,"])+/g

function cleanPart(part: string): string[] {
  const text = part
    .replace(/"((?:[^"\\]|\\.)*)"?/g, (_, quoted: string) => quoted.replace(/\\(.)/g, '$1'))
    .replace(/\s+/g, ' ')
    .trim()
  return text === '' ? [] : [text]
}

/** A cookie that was sent to the collector, as it was sent; undefined when it was not. */
export function cookie(request: MappingRequest, name: string): string | undefined {
  const sent = request.headers['cookie']
  for (const pair of typeof sent === 'string' ? sent.split(';') : []) {
    const equals = pair.indexOf('=')
    if (equals > 0 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim()
  }
  return
}

/**
 * The match of a whole text: `match('/shop/12', /\/(\w+)\/(?<id>\d+)/)?.groups?.['id']`. Undefined
 * when the text is absent or only a part of it would match.
 */
export function match(text: string | Absent, pattern: RegExp): RegExpExecArray | undefined {
  if (text === null || text === undefined) return
  let whole = wholes.get(pattern)
  if (whole === undefined) {
    // Within the pattern `m` keeps its meaning; the ends are those of the text, not of a line.
    const lines = pattern.multiline ? 'm' : ''
    whole = new RegExp(`^(?${lines}:${pattern.source})$`, pattern.flags.replace(/[gmy]/g, ''))
    wholes.set(pattern, whole)
  }
  return whole.exec(text) ?? undefined
}

const wholes = new WeakMap<RegExp, RegExp>()

export type Uri = uri.Uri
/** See uri.ts. */
export const parseUri: typeof uri.parseUri = uri.parseUri
export const parseQuery: typeof uri.parseQuery = uri.parseQuery

/** What a digest is made of, in this order; what is absent is left out. Texts count as UTF-8. */
type DigestPart = string | Uint8Array | Absent

/**
 * A digest, such as `digest('SHA-256', event.sessionId, 'salt').toString('hex')`.
 * @param algorithm in Java's or OpenSSL's spelling
 */
export function digest(algorithm: string, ...parts: DigestPart[]): Buffer {
  const hash = createHash(nameOf(algorithm))
  for (const part of parts) if (part !== null && part !== undefined) hash.update(part)
  return hash.digest()
}

/** An HMAC with the key that Divolte derives from a seed. */
export function seededDigest(algorithm: string, seed: string, ...parts: DigestPart[]): Buffer {
  const hmac = createHmac(nameOf(algorithm), keyOf(algorithm, seed))
  for (const part of parts) if (part !== null && part !== undefined) hmac.update(part)
  return hmac.digest()
}

function nameOf(algorithm: string): string {
  return algorithm.toLowerCase().replace(/^sha-/, 'sha').replace('/', '-')
}

const salt = Buffer.concat([Buffer.from('divolte'), Buffer.from('b687e2d9aa060372', 'hex')])
const rounds = 100_000

/** Divolte takes the length of the digest in bytes for one in bits: 4 bytes for SHA-256. */
function keyOf(algorithm: string, seed: string): Buffer {
  const name = `${algorithm}\n${seed}`
  let key = keys.get(name)
  if (key === undefined) {
    const bytes = createHash(nameOf(algorithm)).digest().length >> 3
    key = pbkdf2Sync(seed, salt, rounds, bytes, nameOf(algorithm))
    keys.set(name, key)
  }
  return key
}

/** A key takes 30 ms; seeds are few, as they stand in the user's own code. */
const keys = new Map<string, Buffer>()

/** A whole number of 32 bits in decimal digits, or a number that is one. */
export function parseInt32(value: string | number | Absent): number | undefined {
  const number = parseInt64(value)
  return typeof number === 'number' && (number | 0) === number ? number : undefined
}

/** A whole number of 64 bits; a bigint where a double cannot hold it. */
export function parseInt64(value: string | number | bigint | Absent): number | bigint | undefined {
  if (value === null || value === undefined) return
  if (typeof value === 'number') return Number.isSafeInteger(value) ? value : undefined
  if (typeof value === 'string' && !/^-?\d{1,19}$/.test(value)) return
  const whole = BigInt(value)
  if (BigInt.asIntN(64, whole) !== whole) return
  return Number.isSafeInteger(Number(whole)) ? Number(whole) : whole
}

const decimal = /^\s*[+-]?(?:NaN|Infinity|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*$/

export function parseFloat64(value: string | number | Absent): number | undefined {
  if (typeof value === 'number') return value
  return typeof value === 'string' && decimal.test(value) ? Number(value) : undefined
}

/** The nearest number of 32 bits. */
export function parseFloat32(value: string | number | Absent): number | undefined {
  const number = parseFloat64(value)
  return number === undefined ? undefined : Math.fround(number)
}

/** True for `true` in any case, false for any other text. */
export function parseBoolean(value: string | boolean | Absent): boolean | undefined {
  if (value === null || value === undefined) return
  return String(value).toLowerCase() === 'true'
}

/** What a database knows of an address, as the database has it; undefined when it knows nothing. */
export type AddressLookup = (address: string) => unknown

/**
 * Opens an .mmdb file, such as GeoLite2-City or GeoLite2-ASN, once, beside the mapping. The address
 * of an event is what is kept of it: without its last part unless `collect.address` is `full`.
 * @throws MillraceError `config_invalid` when the file can't be read or is no such database
 */
export function openAddressDatabase(path: string): AddressLookup {
  try {
    const reader = new Reader<Response>(readFileSync(path))
    return (address) => {
      try {
        return reader.get(address) ?? undefined
      } catch {
        // No address, or a broken entry: both know nothing.
        return undefined
      }
    }
  } catch (thrown) {
    const reason = toError(thrown).message
    throw new MillraceError('config_invalid', `${path}: ${reason}`, { cause: thrown })
  }
}
