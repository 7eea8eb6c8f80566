import { canonicalText, murmur3, type ParameterValues } from '../event/checksum.ts'
import { MillraceError } from '../event/error.ts'
import { parseBase36 } from '../event/identity.ts'

/** What a query string holds: the first value of each one-letter parameter, decoded. */
export interface WireFields {
  readonly p: string | undefined
  readonly s: string | undefined
  readonly v: string | undefined
  readonly e: string | undefined
  readonly c: string | undefined
  readonly n: string | undefined
  readonly f: string | undefined
  readonly l: string | undefined
  readonly r: string | undefined
  readonly i: string | undefined
  readonly j: string | undefined
  readonly k: string | undefined
  readonly w: string | undefined
  readonly h: string | undefined
  readonly t: string | undefined
  readonly u: string | undefined
  readonly g: string | undefined
  /** The checksum is there and covers all other parameters. */
  readonly intact: boolean
}

const a = 97
const x = 23
const letters = 26

/**
 * Reads the query string of a tag's event: `name=value` pairs joined by `&`, percent-encoded UTF-8,
 * `+` for a space. Of a repeated parameter the first value counts; the checksum covers all.
 * @throws MillraceError `query_undecodable` for a broken escape, or a byte that should be escaped
 */
export function parseQuery(query: string): WireFields {
  if (rawByte.test(query)) throw new MillraceError('query_undecodable', 'a raw byte')
  const first = new Array<string | undefined>(letters).fill(undefined)
  // What the checksum covers of each parameter: all its values, each with a comma.
  const covered = new Array<string | undefined>(letters).fill(undefined)
  let rare: [name: string, value: string][] | undefined
  for (let at = 0; at < query.length; ) {
    let end = query.indexOf('&', at)
    if (end < 0) end = query.length
    if (end > at) {
      let equals = query.indexOf('=', at)
      if (equals < 0 || equals > end) equals = end
      const value = equals === end ? '' : decode(query.slice(equals + 1, end))
      const letter = equals === at + 1 ? query.charCodeAt(at) - a : -1
      if (letter >= 0 && letter < letters) {
        const before = covered[letter]
        if (before === undefined) first[letter] = value
        covered[letter] = before === undefined ? `${value},` : `${before}${value},`
      } else {
        rare ??= []
        rare.push([decode(query.slice(at, equals)), value])
      }
    }
    at = end + 1
  }
  // An escaped letter (`%70` for `p`), or a name that the tag doesn't send: off the common way.
  if (rare !== undefined) return parseRare(query)
  return toFields(first, first[x] !== undefined && isIntact(lettersText(covered), first[x]))
}

const rawByte = /[^\x21-\x7e]/

/** The text that the checksum covers when all names are single letters: they are sorted already. */
function lettersText(covered: readonly (string | undefined)[]): string {
  let text = ''
  for (let letter = 0; letter < letters; letter++) {
    const values = covered[letter]
    if (values !== undefined && letter !== x) text += `${letterNames[letter]}${values};`
  }
  return text
}

const letterNames = Array.from(
  { length: letters },
  (_, index) => `${String.fromCharCode(a + index)}=`,
)

function parseRare(query: string): WireFields {
  const parameters = parsePairs(query)
  const first = new Array<string | undefined>(letters).fill(undefined)
  for (const [name, values] of parameters) {
    const letter = name.length === 1 ? name.charCodeAt(0) - a : -1
    if (letter >= 0 && letter < letters) first[letter] = values[0]
  }
  const sent = first[x]
  return toFields(first, sent !== undefined && isIntact(checkedText(parameters), sent))
}

/**
 * All parameters of a query string, decoded, in the order of their first appearance.
 * @throws MillraceError `query_undecodable`
 */
export function parsePairs(query: string): ParameterValues[] {
  const values = new Map<string, string[]>()
  for (const pair of query.split('&')) {
    if (pair === '') continue
    const equals = pair.indexOf('=')
    const name = decode(equals < 0 ? pair : pair.slice(0, equals))
    const value = equals < 0 ? '' : decode(pair.slice(equals + 1))
    const list = values.get(name)
    if (list === undefined) values.set(name, [value])
    else list.push(value)
  }
  return [...values]
}

/** The checksum `x` that belongs to `parameters`, of which `x` itself is no part. */
export function checksumOf(parameters: readonly ParameterValues[]): string {
  return hashText(checkedText(parameters)).toString(36)
}

function checkedText(parameters: readonly ParameterValues[]): string {
  return canonicalText(parameters.filter(([name]) => name !== 'x'))
}

/** Upper case is fine; the unsigned form of a negative hash is not, as in Divolte. */
function isIntact(canonical: string, sent: string): boolean {
  return parseBase36(sent) === hashText(canonical)
}

/** Where texts of usual length stand while they are hashed; UTF-8 has up to 3 bytes a character. */
const scratch = Buffer.allocUnsafeSlow(3 * 8_192)

function hashText(text: string): number {
  if (text.length * 3 > scratch.length) return murmur3(Buffer.from(text))
  return murmur3(scratch, scratch.write(text))
}

function decode(text: string): string {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text
  const firstEscape = spaced.indexOf('%')
  return firstEscape < 0 ? spaced : decodeEscapes(spaced, firstEscape)
}

/** Escapes of ASCII are undone here, three times as fast as by `decodeURIComponent`. */
function decodeEscapes(text: string, firstEscape: number): string {
  let decoded = ''
  let from = 0
  for (let at = firstEscape; at >= 0; at = text.indexOf('%', from)) {
    const code = (hexValue(text.charCodeAt(at + 1)) << 4) | hexValue(text.charCodeAt(at + 2))
    if (code < 0 || code > 127) return decodeUtf8(text)
    decoded += text.slice(from, at) + String.fromCharCode(code)
    from = at + 3
  }
  return decoded + text.slice(from)
}

/** 0 to 15, or -1; the charCodeAt of a missing character is NaN and gives -1 too. */
function hexValue(code: number): number {
  if (code >= 48 && code <= 57) return code - 48
  const lower = code | 32
  return lower >= 97 && lower <= 102 ? lower - 87 : -1
}

function decodeUtf8(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch (thrown) {
    throw new MillraceError('query_undecodable', 'a broken escape', { cause: thrown })
  }
}

function toFields(first: readonly (string | undefined)[], intact: boolean): WireFields {
  return {
    p: first[15],
    s: first[18],
    v: first[21],
    e: first[4],
    c: first[2],
    n: first[13],
    f: first[5],
    l: first[11],
    r: first[17],
    i: first[8],
    j: first[9],
    k: first[10],
    w: first[22],
    h: first[7],
    t: first[19],
    u: first[20],
    g: first[6],
    intact,
  }
}
