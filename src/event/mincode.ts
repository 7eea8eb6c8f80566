/**
 * Mincode, the encoding of the wire's parameter `u`. Each value is a record:
 *
 *   type char, inside an object then the member's name (escaped) and `!`, then the payload:
 *     `(` members `)`      object; `)` carries no name
 *     `a` elements `.`     array; `.` carries no name
 *     `s` text `!`         string        `d` base36 `!`   integer
 *     `j` decimal `!`      other number  `t` `f` `n`      true, false, null
 *
 * In names and texts `~` is written `~~` and `!` is written `~!`; nothing else is escaped.
 */

/**
 * Encodes a value as JSON would see it: `toJSON` is honoured, undefined members are left out,
 * undefined elements are null.
 * @throws string for a function, symbol or bigint, in Divolte's words
 */
export function encodeMincode(value: unknown): string | undefined {
  return encodeMember(value, '', '')
}

function escapeText(text: string): string {
  return text.replace(/[~!]/g, '~$&')
}

/** `name` is '' or the escaped name with its `!`; `key` is what toJSON is told. */
function encodeMember(original: unknown, name: string, key: string): string | undefined {
  let value = original as { toJSON?: (key: string) => unknown } | null | undefined
  if (value && typeof value.toJSON === 'function') value = value.toJSON(key) as typeof value
  switch (typeof value) {
    case 'undefined':
      return
    case 'string':
      return `s${name}${escapeText(value)}!`
    case 'boolean':
      return (value ? 't' : 'f') + name
    case 'number':
      return encodeNumber(value, name)
    case 'object':
      if (value === null) return `n${name}`
      return Array.isArray(value) ? encodeArray(value, name) : encodeObject(value, name)
    default:
      throw `Cannot encode of type: ${typeof value}`
  }
}

function encodeArray(value: unknown[], name: string): string {
  let text = `a${name}`
  for (let index = 0; index < value.length; index++) {
    text += encodeMember(value[index], '', `${index}`) || 'n'
  }
  return `${text}.`
}

function encodeObject(value: object, name: string): string {
  let text = `(${name}`
  for (const key of Object.keys(value)) {
    text += encodeMember((value as Record<string, unknown>)[key], `${escapeText(key)}!`, key) || ''
  }
  return `${text})`
}

/** The shortest of base 36 (integers only), exponent and plain form; base 36 wins a tie. */
function encodeNumber(value: number, name: string): string {
  if (!Number.isFinite(value)) return `n${name}`
  const plain = String(value)
  const exponent = value.toExponential()
  const decimal = exponent.length < plain.length ? exponent : plain
  if (Math.floor(value) === value) {
    const base36 = value.toString(36)
    if (base36.length <= decimal.length) return `d${name}${base36}!`
  }
  return `j${name}${decimal}!`
}
