import { readdir, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { Ajv, type ErrorObject, type Options, type ValidateFunction } from 'ajv/dist/ajv.js'
import { MillraceError } from '../event/error.ts'
import type { Event } from '../event/event.ts'
import { toError } from '../lib/assert.ts'
import { cut, type EventMaking } from './receipt.ts'

/** The user's schemas of event parameters: one JSON Schema for each event type, a file each. */

export interface EventSchemaOptions {
  /** `none`, or a folder. */
  readonly eventSchemas: string
  readonly wrongEvents: 'mark' | 'refuse'
  readonly unknownEvents: 'accept' | 'wrong'
}

/** `addToBasket.json`, read. */
export interface EventSchema {
  readonly eventType: string
  readonly file: string
  /** Of the drafts 2020-12 or 7; `true` takes anything. */
  readonly schema: JsonSchema
}

export type JsonSchema = boolean | Readonly<Record<string, unknown>>

/**
 * Gives back an event that is as its schema says; one that is not, with a mark.
 * @throws MillraceError `event_schema` where such events are refused
 */
export type Conform = (event: Event) => Event

/** The member of `parameters` that says what is wrong with a marked event. */
export const faultParameter = 'millrace_fault'

/** What the tag's modules send of themselves. */
const ownEventTypes: ReadonlySet<string> = new Set([
  'pageView',
  'attention',
  'impression',
  'click',
  'outbound',
  'download',
  'formSubmit',
])
/** Longest reason in a mark, in characters. */
const faultCharactersMax = 256

/**
 * Reads and compiles the schemas; undefined without any.
 * @throws MillraceError `config_invalid`, which names the file
 */
export async function openEventSchemas(options: EventSchemaOptions): Promise<Conform | undefined> {
  const schemas = await readEventSchemas(options.eventSchemas)
  if (schemas.length === 0) return undefined
  const validators = new Map(schemas.map((one) => [one.eventType, compile(one)]))
  const takesUnknown = options.unknownEvents === 'accept'
  return (event) => {
    const fault = faultOf(validators.get(event.eventType), event, takesUnknown)
    if (fault === undefined) return event
    if (options.wrongEvents === 'mark') return mark(event, fault)
    throw new MillraceError('event_schema', fault)
  }
}

/**
 * The schemas of a folder by event type, in the order of their names. A character of an event type
 * that a file name cannot hold is percent-encoded there.
 * @throws MillraceError `config_invalid`, which names the folder or the file
 */
export async function readEventSchemas(folder: string): Promise<readonly EventSchema[]> {
  if (folder === 'none') return []
  const path = resolve(folder)
  const names = await readdir(path).catch((thrown: Error) => {
    throw invalid(path, thrown.message, thrown)
  })
  const files = names.filter((name) => name.endsWith('.json')).sort()
  if (files.length === 0) throw invalid(path, 'it holds no file such as addToBasket.json')
  return await Promise.all(
    files.map(async (name) => {
      const file = join(path, name)
      try {
        const schema = JSON.parse(await readFile(file, 'utf8')) as unknown
        if (!isSchema(schema)) throw new Error('a JSON Schema is an object, true or false')
        return { eventType: decodeURIComponent(name.slice(0, -'.json'.length)), file, schema }
      } catch (thrown) {
        throw invalid(file, toError(thrown).message, thrown)
      }
    }),
  )
}

function isSchema(value: unknown): value is JsonSchema {
  if (typeof value === 'boolean') return true
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function invalid(where: string, reason: string, cause?: unknown): MillraceError {
  return new MillraceError('config_invalid', `collect.eventSchemas: ${where}: ${reason}`, { cause })
}

/** Annotations stay annotations: `format` says nothing, as the standard has it unless asked. */
const ajvOptions: Options = { strict: false, validateFormats: false, logger: false }

function compile({ file, schema }: EventSchema): ValidateFunction {
  const dialect = typeof schema === 'boolean' ? undefined : schema['$schema']
  const isDraft7 = typeof dialect === 'string' && dialect.includes('draft-07')
  try {
    return (isDraft7 ? new Ajv(ajvOptions) : new Ajv2020(ajvOptions)).compile(schema)
  } catch (thrown) {
    throw invalid(file, toError(thrown).message, thrown)
  }
}

function faultOf(
  validate: ValidateFunction | undefined,
  event: Event,
  takesUnknown: boolean,
): string | undefined {
  if (validate === undefined) {
    if (takesUnknown || ownEventTypes.has(event.eventType)) return undefined
    return `there is no schema for ${JSON.stringify(cut(event.eventType, 64))}`
  }
  // An event without parameters has none of the members that a schema may ask for.
  if (validate(event.parameters === null ? {} : JSON.parse(event.parameters))) return undefined
  return `${cut(event.eventType, 64)}: ${describe(validate.errors?.[0])}`
}

function describe(error: ErrorObject | undefined): string {
  const { instancePath = '', message = 'it does not fit', params = {} } = error ?? {}
  const where = instancePath === '' ? 'its parameters' : instancePath.slice(1).replaceAll('/', '.')
  const named = (params as Record<string, unknown>)['additionalProperty']
  const allowed = (params as Record<string, unknown>)['allowedValues']
  const detail = named ?? allowed
  const more = detail === undefined ? '' : `: ${JSON.stringify(detail)}`
  return cut(`${where} ${message}${more}`, faultCharactersMax).toWellFormed()
}

/**
 * The parameters with the fault as a first member, spliced into their text: numbers keep their
 * digits. What is no object becomes the member `value`.
 */
function mark(event: Event, fault: string): Event {
  const member = `${JSON.stringify(faultParameter)}:${JSON.stringify(fault)}`
  const text = event.parameters
  if (text === null) return { ...event, parameters: `{${member}}` }
  const inside = /^\s*\{([\s\S]*)\}\s*$/.exec(text)?.[1]
  if (inside === undefined) return { ...event, parameters: `{${member},"value":${text}}` }
  const rest = inside.trim() === '' ? '' : `,${inside}`
  return { ...event, parameters: `{${member}${rest}}` }
}

/** An event of a request, held against its schema where there are schemas. */
export function conformed(making: EventMaking, event: Event): Event {
  return making.conform === undefined ? event : making.conform(event)
}
