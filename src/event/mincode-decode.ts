import { MillraceError } from './error.ts'

/** Reads mincode (see mincode.ts). Apart from the encoder, so that the tag does not carry it. */

const decimalPattern = /^-?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d{1,9})?$/i
const base36Pattern = /^-?[0-9a-z]+$/i
/** A number of more digits is an attack on whoever reads it, not a number. */
const digitsMax = 400

interface Cursor {
  readonly text: string
  at: number
  depthLeft: number
  readonly depthMax: number
}

/** Thrown inside, caught at the door: decoding has one answer for all malformed input. */
const malformed: unique symbol = Symbol('malformed mincode')

declare global {
  interface JSON {
    /** A number of any size kept as written (ECMAScript proposal, in V8 since 11.4). */
    rawJSON(text: string): unknown
  }
}

/**
 * Decodes the first value in `text`; what follows it is ignored, as Divolte does. Integers beyond
 * 2^53 keep their digits (`JSON.rawJSON`), so the result is for `JSON.stringify`.
 * Returns undefined for malformed or truncated text.
 * @throws MillraceError `parameters_too_large` for nesting deeper than `depthMax`
 */
export function decodeMincode(text: string, depthMax: number): unknown {
  const cursor: Cursor = { text, at: 0, depthLeft: depthMax, depthMax }
  try {
    return decodePayload(cursor, readType(cursor))
  } catch (thrown) {
    if (thrown === malformed) return undefined
    throw thrown
  }
}

function readType(cursor: Cursor): string {
  if (cursor.at >= cursor.text.length) throw malformed
  return cursor.text.charAt(cursor.at++)
}

/** Text up to the next bare `!`, with the escapes undone. */
function readText(cursor: Cursor): string {
  const { text, at } = cursor
  const bang = text.indexOf('!', at)
  if (bang < 0) throw malformed
  const tilde = text.indexOf('~', at)
  if (tilde < 0 || tilde > bang) {
    cursor.at = bang + 1
    return text.slice(at, bang)
  }
  let result = ''
  for (let index = at; index < text.length; index++) {
    const character = text.charAt(index)
    if (character === '!') {
      cursor.at = index + 1
      return result
    }
    result += character === '~' ? text.charAt(++index) : character
  }
  throw malformed
}

function decodePayload(cursor: Cursor, type: string): unknown {
  switch (type) {
    case 's':
      return readText(cursor).toWellFormed()
    case 'd':
      return decodeInteger(readText(cursor))
    case 'j':
      return decodeDecimal(readText(cursor))
    case 't':
      return true
    case 'f':
      return false
    case 'n':
      return null
    case '(':
      return decodeObject(cursor)
    case 'a':
      return decodeArray(cursor)
    default:
      throw malformed
  }
}

function enter(cursor: Cursor): void {
  if (cursor.depthLeft-- > 0) return
  throw new MillraceError('parameters_too_large', `${cursor.depthMax} levels deep`)
}

function decodeArray(cursor: Cursor): unknown[] {
  enter(cursor)
  const elements: unknown[] = []
  for (let type = readType(cursor); type !== '.'; type = readType(cursor)) {
    elements.push(decodePayload(cursor, type))
  }
  cursor.depthLeft++
  return elements
}

function decodeObject(cursor: Cursor): Record<string, unknown> {
  enter(cursor)
  const members: Record<string, unknown> = {}
  for (let type = readType(cursor); type !== ')'; type = readType(cursor)) {
    if (!'sdjtfn(a'.includes(type)) throw malformed
    const name = readText(cursor).toWellFormed()
    const value = decodePayload(cursor, type)
    if (name === '__proto__') {
      // A plain assignment would set the prototype instead of a member.
      Object.defineProperty(members, name, {
        value,
        enumerable: true,
        configurable: true,
        writable: true,
      })
    } else {
      members[name] = value
    }
  }
  cursor.depthLeft++
  return members
}

function decodeInteger(text: string): unknown {
  if (!base36Pattern.test(text) || text.length > digitsMax) throw malformed
  const value = Number.parseInt(text, 36)
  if (Number.isSafeInteger(value)) return value === 0 ? 0 : value
  let exact = 0n
  for (const digit of text.replace('-', ''))
    exact = exact * 36n + BigInt(Number.parseInt(digit, 36))
  return JSON.rawJSON(`${text.startsWith('-') ? '-' : ''}${exact}`)
}

function decodeDecimal(text: string): unknown {
  if (!decimalPattern.test(text) || text.length > digitsMax) throw malformed
  const value = Number(text)
  const digits = text.replace(/^-?0*\.?0*|e.*$/gi, '').replace('.', '')
  if (Number.isFinite(value) && digits.length <= 17) return value
  return JSON.rawJSON(toJsonNumber(text))
}

/** Java's BigDecimal takes `1.`, `.5` and `007`; JSON does not. */
function toJsonNumber(text: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = ''] =
    /^(-?)(\d*)\.?(\d*)((?:e.*)?)$/i.exec(text) ?? []
  const integer = whole.replace(/^0+(?=\d)/, '') || '0'
  return `${sign}${integer}${fraction === '' ? '' : `.${fraction}`}${exponent}`
}
