/**
 * The wire's checksum `x`: MurmurHash3 x86 32-bit, seed 0, signed, in base 36, over the UTF-8 bytes
 * of all other parameters, decoded and sorted by name: `name=value,value,;name=value,;`.
 */

/** One parameter name with its decoded values in the order of the request. */
export type ParameterValues = readonly [name: string, values: readonly string[]]

/** The text that the checksum covers. `parameters` in any order, `x` left out by the caller. */
export function canonicalText(parameters: readonly ParameterValues[]): string {
  const sorted = [...parameters].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
  let text = ''
  for (const [name, values] of sorted) {
    text += `${name}=`
    for (const value of values) text += `${value},`
    text += ';'
  }
  return text
}

/** MurmurHash3 x86 32-bit with seed 0 over the first `length` bytes, as a signed integer. */
export function murmur3(bytes: Uint8Array, length: number = bytes.length): number {
  let hash = 0
  const words = length & ~3
  for (let at = 0; at < words; at += 4) {
    const word =
      byteAt(bytes, at) |
      (byteAt(bytes, at + 1) << 8) |
      (byteAt(bytes, at + 2) << 16) |
      (byteAt(bytes, at + 3) << 24)
    hash ^= mixWord(word)
    hash = (hash << 13) | (hash >>> 19)
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0
  }
  let tail = 0
  for (let at = length - 1; at >= words; at--) tail = (tail << 8) | byteAt(bytes, at)
  if (length > words) hash ^= mixWord(tail)
  hash ^= length
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) | 0
}

function byteAt(bytes: Uint8Array, at: number): number {
  return bytes[at] as number
}

function mixWord(word: number): number {
  const mixed = Math.imul(word, 0xcc9e2d51)
  return Math.imul((mixed << 15) | (mixed >>> 17), 0x1b873593)
}
