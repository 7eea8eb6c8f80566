import type { EventSchema, JsonSchema } from '../collect/event-schema.ts'

/** TypeScript types as text, from the JSON Schemas of event parameters. */

/**
 * The declarations of `divolte.signal`: each event type with its parameters. What a schema says
 * beyond types (lengths, ranges, patterns) is the collector's to check.
 */
export function typesOf(schemas: readonly EventSchema[]): string {
  const members = schemas.map(({ eventType, schema }) => {
    return `${comment(schema, '  ')}  ${memberName(eventType)}: ${typeOf(schema, schema, '  ', 0)}`
  })
  return `${head}\n${members.join('\n')}\n}\n${foot}`
}

const head = `// Made by \`millrace types\` from the schemas of collect.eventSchemas. Make it again when they change.

/** Event types and their parameters. */
export interface EventParameters {`

const foot = `
/** The tag as the page sees it, with \`signal\` for these event types only. */
export interface TypedTag {
  readonly partyId: string | null
  readonly sessionId: string | null
  readonly pageViewId: string | null
  readonly isNewPartyId: boolean
  readonly isFirstInSession: boolean
  readonly isServerPageView: boolean
  signal<Type extends keyof EventParameters>(
    type: Type,
    ...parameters: {} extends EventParameters[Type]
      ? [parameters?: EventParameters[Type]]
      : [parameters: EventParameters[Type]]
  ): string | null
  signal(type: 'pageView'): string | null
  readonly whenCommitted: (callback: () => void, timeoutMs?: number) => void
  readonly consent?: { readonly grant: () => void; readonly deny: () => void }
  readonly shelf?: (
    place: Element,
    options: {
      readonly items?: readonly string[]
      readonly exclude?: readonly string[]
      readonly limit?: number
      readonly draw: (item: {
        readonly itemId: string
        readonly reason: string
        readonly position: number
      }) => Element | null | undefined
    },
  ) => Promise<number>
}

declare global {
  /** There once the script has loaded. */
  var divolte: TypedTag
}
`

/** Deepest nesting that is written out: a schema may contain itself. */
const depthMax = 12

function typeOf(schema: unknown, root: JsonSchema, indent: string, depth: number): string {
  if (typeof schema !== 'object' || schema === null) return schema === false ? 'never' : 'unknown'
  if (depth > depthMax) return 'unknown'
  const one = schema as Readonly<Record<string, unknown>>
  const parts = [
    ...referenced(one, root, indent, depth),
    ...combined(one, root, indent, depth),
    ...own(one, root, indent, depth),
  ]
  if (parts.length === 0) return 'unknown'
  return parts.length === 1 ? (parts[0] ?? '') : parts.map(inBrackets).join(' & ')
}

/** `#` and `#/$defs/price`; what lies in other files is not known. */
function referenced(
  one: Readonly<Record<string, unknown>>,
  root: JsonSchema,
  indent: string,
  depth: number,
): string[] {
  const reference = one['$ref']
  if (typeof reference !== 'string') return []
  if (reference !== '#' && !reference.startsWith('#/')) return ['unknown']
  let found: unknown = root
  for (const step of reference.split('/').slice(1)) {
    const key = decodeURIComponent(step).replaceAll('~1', '/').replaceAll('~0', '~')
    found = (found as Readonly<Record<string, unknown>> | undefined)?.[key]
  }
  return [found === undefined ? 'unknown' : typeOf(found, root, indent, depth + 1)]
}

function combined(
  one: Readonly<Record<string, unknown>>,
  root: JsonSchema,
  indent: string,
  depth: number,
): string[] {
  const typesIn = (key: string): string[] =>
    listOf(one[key]).map((each) => typeOf(each, root, indent, depth + 1))
  const choices = [typesIn('anyOf'), typesIn('oneOf')].filter((types) => types.length > 0)
  return [...choices.map(union), ...typesIn('allOf')]
}

function own(
  one: Readonly<Record<string, unknown>>,
  root: JsonSchema,
  indent: string,
  depth: number,
): string[] {
  if (Object.hasOwn(one, 'const')) return [literal(one['const'])]
  if (Array.isArray(one['enum'])) return [union(one['enum'].map(literal))]
  const types = typeof one['type'] === 'string' ? [one['type']] : listOf(one['type'])
  if (types.length === 0) {
    if (one['properties'] !== undefined) return [objectType(one, root, indent, depth)]
    return one['items'] !== undefined ? [arrayType(one, root, indent, depth)] : []
  }
  return [
    union(
      types.map((type) => {
        if (type === 'object') return objectType(one, root, indent, depth)
        if (type === 'array') return arrayType(one, root, indent, depth)
        return plainTypes[String(type)] ?? 'unknown'
      }),
    ),
  ]
}

const plainTypes: Readonly<Record<string, string>> = {
  string: 'string',
  number: 'number',
  integer: 'number',
  boolean: 'boolean',
  null: 'null',
}

function objectType(
  one: Readonly<Record<string, unknown>>,
  root: JsonSchema,
  indent: string,
  depth: number,
): string {
  const properties = (one['properties'] ?? {}) as Readonly<Record<string, JsonSchema>>
  const required = listOf(one['required'])
  const inside = `${indent}  `
  const lines = Object.entries(properties).map(([name, schema]) => {
    const mark = required.includes(name) ? '' : '?'
    const type = typeOf(schema, root, inside, depth + 1)
    return `${comment(schema, inside)}${inside}${memberName(name)}${mark}: ${type}`
  })
  const others = one['additionalProperties']
  // Others beside known ones: their type must hold for all, which only `unknown` does.
  if (others === undefined || others === true) lines.push(`${inside}[name: string]: unknown`)
  else if (others !== false) {
    const type = lines.length > 0 ? 'unknown' : typeOf(others, root, inside, depth + 1)
    lines.push(`${inside}[name: string]: ${type}`)
  }
  return lines.length === 0 ? 'Record<string, never>' : `{\n${lines.join('\n')}\n${indent}}`
}

function arrayType(
  one: Readonly<Record<string, unknown>>,
  root: JsonSchema,
  indent: string,
  depth: number,
): string {
  const first = listOf(one['prefixItems']).map((each) => typeOf(each, root, indent, depth + 1))
  const rest =
    one['items'] === undefined ? 'unknown' : typeOf(one['items'], root, indent, depth + 1)
  if (first.length === 0) return `readonly ${inBrackets(rest)}[]`
  // Without minItems the first ones may be missing as well.
  const members = first.map((type) => `${inBrackets(type)}?`)
  if (rest !== 'never') members.push(`...${inBrackets(rest)}[]`)
  return `readonly [${members.join(', ')}]`
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function union(types: readonly string[]): string {
  return types.length === 0 ? 'never' : [...new Set(types)].join(' | ')
}

function inBrackets(type: string): string {
  return /[|&]|^readonly /.test(type) && !type.startsWith('{') ? `(${type})` : type
}

function literal(value: unknown): string {
  if (value === null || typeof value === 'number' || typeof value === 'boolean')
    return String(value)
  return typeof value === 'string' ? quoted(value) : 'unknown'
}

function quoted(text: string): string {
  return `'${JSON.stringify(text).slice(1, -1).replaceAll("'", "\\'").replaceAll('\\"', '"')}'`
}

function memberName(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : quoted(name)
}

function comment(schema: unknown, indent: string): string {
  const description = (schema as { readonly description?: unknown } | null)?.description
  if (typeof description !== 'string') return ''
  const text = description
    .replaceAll('*/', '* /')
    .trim()
    .split(/\s*\n\s*/)
  if (text.length === 1) return `${indent}/** ${text[0]} */\n`
  return `${indent}/**\n${text.map((line) => `${indent} * ${line}\n`).join('')}${indent} */\n`
}
