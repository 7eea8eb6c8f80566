import { canonicalText, murmur3 } from '../event/checksum.ts'

/** One parameter of the wire; undefined leaves it out. */
export type Parameter = readonly [name: string, value: unknown]

/**
 * The query string of one event, in the order of `parameters`: numbers in base 36 (a fraction too:
 * 1.5 is `1.i`), all else as text, and at the end the checksum `x` over the rest.
 */
export function buildQuery(parameters: readonly Parameter[]): string {
  const texts = parameters
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => [name, toText(value)] as const)
  const query = texts.map(([name, text]) => `${name}=${encodeURIComponent(text)}`).join('&')
  const bytes = utf8(canonicalText(texts.map(([name, text]) => [name, [text]])))
  return `${query}&x=${murmur3(bytes).toString(36)}`
}

/**
 * Half a surrogate pair becomes U+FFFD, as in any UTF-8 encoder: it has no bytes, and an event must
 * not be lost for it. With `u` the class matches lone halves only.
 */
function toText(value: unknown): string {
  const text = typeof value === 'number' ? value.toString(36) : String(value)
  return text.replace(/[\uD800-\uDFFF]/gu, '\uFFFD')
}

/**
 * Not TextEncoder: Edge did not have it before version 79. `unescape` is old, but every browser has
 * to have it (ECMA-262 annex B), and it is the short way from `%C3` to one character.
 */
function utf8(text: string): Uint8Array {
  return Uint8Array.from(unescape(encodeURIComponent(text)), (byte) => byte.charCodeAt(0))
}
