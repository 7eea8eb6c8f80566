import avro from 'avsc'
import { MillraceError } from '../../event/error.ts'
import { exactLong } from '../../event/long.ts'
import { toError } from '../../lib/assert.ts'
import { nearest } from '../../lib/settings.ts'
import { type Converter, converterOf, Misfit } from './convert.ts'

/** Writes what a mapping gives as a record of a schema. */
export interface RecordEncoder {
  /** Of the record, with its namespace. */
  readonly name: string
  readonly fields: readonly RecordField[]
  /**
   * The record as naked Avro. A field that is left out or undefined, or null where the schema knows no
   * null, takes its default, else null.
   * @throws MillraceError `event_unmapped` that names the field
   */
  readonly encode: (record: Readonly<Record<string, unknown>>) => Buffer
  /** What is wrong with a record even if required fields may be absent; undefined when nothing is. */
  readonly faultOf: (record: Readonly<Record<string, unknown>>) => string | undefined
}

export interface RecordField {
  readonly name: string
  /** There is neither a default nor null for it. */
  readonly isRequired: boolean
}

interface Field extends RecordField {
  readonly convert: Converter
  readonly isNullable: boolean
  /** What it holds when it has no value. */
  readonly absent: unknown
}

/** @throws MillraceError `schema_incompatible` when it is no Avro schema of a record */
export function createRecordEncoder(schemaText: string): RecordEncoder {
  const type = typeOf(schemaText)
  const fields = type.fields.map(fieldOf)
  return {
    name: type.name ?? '',
    fields,
    encode(record) {
      const values: Record<string, unknown> = {}
      const fault = convertAll(fields, record, values, true)
      if (fault !== undefined) throw new MillraceError('event_unmapped', fault)
      return type.toBuffer(values)
    },
    faultOf: (record) => convertAll(fields, record, {}, false),
  }
}

/** Returns what is wrong, at the first field that is. */
function convertAll(
  fields: readonly Field[],
  record: Readonly<Record<string, unknown>>,
  values: Record<string, unknown>,
  isWhole: boolean,
): string | undefined {
  for (const { name, convert, isNullable, absent, isRequired } of fields) {
    const value = record[name]
    const isAbsent = value === undefined || (value === null && !isNullable)
    let converted: unknown
    try {
      converted = isAbsent ? undefined : convert(value, name)
    } catch (thrown) {
      if (thrown instanceof Misfit) return thrown.message
      throw thrown
    }
    if (converted === undefined && isRequired && isWhole) {
      return `the field ${name} is required and has no value`
    }
    values[name] = converted === undefined ? absent : converted
  }
  const names = fields.map(({ name }) => name)
  const stranger = Object.keys(record).find((name) => !names.includes(name))
  return stranger && `there is no field ${stranger}${nearest(stranger, names)}`
}

function typeOf(schemaText: string): avro.types.RecordType {
  let type: avro.Type
  try {
    const options = { registry: { long: exactLong }, wrapUnions: 'always' as const }
    type = avro.Type.forSchema(JSON.parse(schemaText), options)
  } catch (thrown) {
    throw new MillraceError('schema_incompatible', toError(thrown).message, { cause: thrown })
  }
  if (type instanceof avro.types.RecordType) return type
  throw new MillraceError('schema_incompatible', `it is no record but ${type.typeName}`)
}

function fieldOf(field: avro.types.Field): Field {
  const { name, type } = field
  // A default of null reads as undefined where there is none; only the schema itself tells.
  const fallback = field.defaultValue()
  const isNullable = type.isValid(null)
  return {
    name,
    convert: converterOf(type),
    isNullable,
    absent: fallback === undefined ? null : fallback,
    isRequired: fallback === undefined && !isNullable,
  }
}
