import avro from 'avsc'
import { JsonValue } from './json-value.ts'

/**
 * Makes a value what avsc writes for a type. Strict for what a mapping says itself; JSON of the event
 * (`fromJson`) goes by Divolte's rules, by which one that does not fit is undefined.
 * @throws Misfit that names the field
 */
export type Converter = (value: unknown, where: string) => unknown

/** A value that its field cannot have. */
export class Misfit extends Error {}

/** A converter for values of `type`, whose unions are wrapped. */
export function converterOf(type: avro.Type): Converter {
  const strict = ruleOf(type, false)
  const lenient = ruleOf(type, true)
  return (value, where) => {
    if (!(value instanceof JsonValue)) return strict(value, where)
    try {
      return lenient(value.value, where)
    } catch (thrown) {
      if (thrown instanceof Misfit) return undefined
      throw thrown
    }
  }
}

function ruleOf(type: avro.Type, isJson: boolean): Converter {
  if (type instanceof avro.types.WrappedUnionType) return unionRule(type, isJson)
  if (type instanceof avro.types.ArrayType) return arrayRule(type, isJson)
  if (type instanceof avro.types.MapType) return mapRule(type, isJson)
  if (type instanceof avro.types.RecordType) return recordRule(type, isJson)
  if (type instanceof avro.types.EnumType) return enumRule(type, isJson)
  if (type instanceof avro.types.FixedType) return bytesRule(type.size)
  const rule = primitives[type.typeName.replace('abstract:', '')]
  if (rule === undefined) throw new Misfit(`the type ${type.typeName} cannot be written`)
  return isJson ? unwrapped(rule.json) : rule.strict
}

interface PrimitiveRule {
  readonly strict: Converter
  readonly json: Converter
}

const int32Max = 2 ** 31
const int64Max = 2n ** 63n

const primitives: Readonly<Record<string, PrimitiveRule>> = {
  null: both((value, where) => (value === null ? null : misfit(value, 'null', where))),
  boolean: {
    strict: (value, where) =>
      typeof value === 'boolean' ? value : misfit(value, 'boolean', where),
    json: (value, where) => {
      if (typeof value === 'boolean') return value
      if (typeof value === 'number') return value !== 0
      if (value === 'true' || value === 'false') return value === 'true'
      return misfit(value, 'boolean', where)
    },
  },
  int: {
    strict: (value, where) => (isInt32(value) ? value : misfit(value, 'int', where)),
    json: (value, where) => {
      const whole = wholeOf(value)
      return isInt32(whole) ? whole : misfit(value, 'int', where)
    },
  },
  long: {
    strict: (value, where) => (isInt64(value) ? value : misfit(value, 'long', where)),
    json: (value, where) => {
      const whole = wholeOf(value)
      return isInt64(whole) ? whole : misfit(value, 'long', where)
    },
  },
  float: floating('float'),
  double: floating('double'),
  string: {
    strict: (value, where) => (typeof value === 'string' ? value : misfit(value, 'string', where)),
    json: (value, where) =>
      value === null || typeof value === 'object' ? misfit(value, 'string', where) : String(value),
  },
  bytes: {
    strict: bytesRule(),
    json: (value, where) =>
      typeof value === 'string' ? Buffer.from(value, 'base64') : misfit(value, 'bytes', where),
  },
}

function both(rule: Converter): PrimitiveRule {
  return { strict: rule, json: rule }
}

function floating(name: string): PrimitiveRule {
  return {
    strict: (value, where) => (typeof value === 'number' ? value : misfit(value, name, where)),
    json: (value, where) => {
      const isText = typeof value === 'string' && value.trim() !== ''
      const number = isText || typeof value === 'bigint' ? Number(value) : value
      return typeof number === 'number' && !Number.isNaN(number)
        ? number
        : misfit(value, name, where)
    },
  }
}

function isInt32(value: unknown): boolean {
  return Number.isInteger(value) && Math.abs((value as number) + 0.5) < int32Max
}

function isInt64(value: unknown): boolean {
  if (typeof value === 'bigint') return value >= -int64Max && value < int64Max
  return Number.isSafeInteger(value)
}

/** As Jackson reads it: a fraction is cut, a text of digits is a number. */
function wholeOf(value: unknown): unknown {
  if (typeof value === 'number') return Math.trunc(value)
  if (typeof value !== 'string' || !/^\s*[+-]?\d{1,19}\s*$/.test(value)) return value
  const whole = Number(value)
  return Number.isSafeInteger(whole) ? whole : BigInt(value)
}

function unwrapped(rule: Converter): Converter {
  return (value, where) =>
    rule(Array.isArray(value) && value.length === 1 ? value[0] : value, where)
}

/** The first branch that takes the value. */
function unionRule(type: avro.types.WrappedUnionType, isJson: boolean): Converter {
  const branches = type.types
    .filter(({ typeName }) => typeName !== 'null')
    .map((branch) => ({ name: branch.branchName ?? '', rule: ruleOf(branch, isJson) }))
  const isNullable = branches.length < type.types.length
  return (value, where) => {
    if (value === null && isNullable) return null
    let fault: unknown
    for (const { name, rule } of branches) {
      try {
        return { [name]: rule(value, where) }
      } catch (thrown) {
        if (!(thrown instanceof Misfit)) throw thrown
        fault ??= thrown
      }
    }
    throw branches.length === 1 ? fault : new Misfit(describe(value, 'any of its types', where))
  }
}

function arrayRule(type: avro.types.ArrayType, isJson: boolean): Converter {
  const item = ruleOf(type.itemsType, isJson)
  return (value, where) => {
    if (Array.isArray(value)) return value.map((one, index) => item(one, `${where}[${index}]`))
    return isJson ? [item(value, where)] : misfit(value, 'array', where)
  }
}

function mapRule(type: avro.types.MapType, isJson: boolean): Converter {
  const member = ruleOf(type.valuesType, isJson)
  return (value, where) => {
    if (!(value instanceof Map) && !isObject(value)) return misfit(value, 'map', where)
    const entries = value instanceof Map ? [...value] : Object.entries(value)
    return Object.fromEntries(
      entries.map(([name, one]) => [String(name), member(one, `${where}.${String(name)}`)]),
    )
  }
}

function recordRule(type: avro.types.RecordType, isJson: boolean): Converter {
  const fields = type.fields.map((field) => {
    const { name } = field
    return { name, rule: ruleOf(field.type, isJson), field, isNullable: field.type.isValid(null) }
  })
  const known = fields.map(({ name }) => name)
  return (value, where) => {
    if (!isObject(value)) return misfit(value, 'record', where)
    const stranger = isJson ? undefined : Object.keys(value).find((name) => !known.includes(name))
    if (stranger !== undefined) throw new Misfit(`there is no field ${where}.${stranger}`)
    const record: Record<string, unknown> = {}
    for (const { name, rule, field, isNullable } of fields) {
      const inner = `${where}.${name}`
      const given = value[name]
      if (given !== undefined) record[name] = rule(given, inner)
      else {
        const fallback = field.defaultValue()
        if (fallback === undefined && !isNullable) {
          throw new Misfit(`the field ${inner} is required and has no value`)
        }
        record[name] = fallback ?? null
      }
    }
    return record
  }
}

function enumRule(type: avro.types.EnumType, isJson: boolean): Converter {
  const rule: Converter = (value, where) => {
    if (typeof value === 'string' && type.symbols.includes(value)) return value
    return misfit(value, `one of ${type.symbols.join(', ')}`, where)
  }
  return isJson ? unwrapped(rule) : rule
}

function bytesRule(size?: number): Converter {
  return (value, where) => {
    if (value instanceof Uint8Array && (size === undefined || value.length === size)) {
      return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    }
    return misfit(value, size === undefined ? 'bytes' : `${size} bytes`, where)
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function misfit(value: unknown, expected: string, where: string): never {
  throw new Misfit(describe(value, expected, where))
}

const shownMax = 60

function describe(value: unknown, expected: string, where: string): string {
  return `the field ${where} is ${expected} and cannot be ${shown(value)}`
}

function shown(value: unknown): string {
  let text: string | undefined
  try {
    text = typeof value === 'bigint' ? String(value) : JSON.stringify(value)
  } catch {
    // A value that refers to itself, or holds a bigint.
  }
  const known = text ?? typeof value
  return known.length > shownMax ? `${known.slice(0, shownMax)}…` : known
}
