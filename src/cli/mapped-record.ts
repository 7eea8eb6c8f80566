import avro from 'avsc'
import type { Config } from '../config.ts'
import { createForeignDecoder } from '../consume/foreign.ts'
import { foreignSchemaOf } from '../consume/mapped.ts'
import { exactLong } from '../event/long.ts'
import type { Mapping } from '../event/mapping.ts'
import type { AppendRecord, Offset } from '../log/log.ts'
import { foreignRecordsOf } from './record-schema.ts'

/** What a mapped record holds, and what the store gets of it. */
export type RecordView = (record: AppendRecord) => {
  readonly record: unknown
  readonly row?: unknown
}

/** Reads records of a mapping as their readers do: from their bytes. */
export function createRecordView(config: Config, mapping: Mapping): RecordView {
  const { schemaText, topic } = mapping
  const type = avro.Type.forSchema(JSON.parse(schemaText), { registry: { long: exactLong } })
  const position = { log: '', topic: 'events', partition: 0, offset: 0 as Offset }
  return ({ key, value, schema, headers = {} }) => {
    const record = plain(type.fromBuffer(Buffer.from(value)))
    const rule = foreignSchemaOf(schemaText, headers, foreignRecordsOf(config))
    if (topic !== undefined || rule === undefined) return { record }
    const decode = createForeignDecoder(rule, schemaText)
    const row = decode({ key, value, schema, headers, offset: position.offset }, position)
    return { record, row: withoutNulls(row) }
  }
}

/** As JSON: bytes in hex, and the values of unions without their wrapping. */
function plain(value: unknown): unknown {
  const unwrap = (value as { unwrap?: () => unknown } | null)?.unwrap
  if (typeof unwrap === 'function') return plain(unwrap.call(value))
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
  if (typeof value === 'bigint') return JSON.rawJSON(String(value))
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, plain(one)]))
}

function withoutNulls(row: object): Record<string, unknown> {
  const members = Object.entries(row).map(([name, value]) => [
    name,
    name === 'agent' ? withoutNulls(value) : value,
  ])
  return Object.fromEntries(
    members.filter(([, value]) => value !== null && value !== false && !isEmpty(value)),
  )
}

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0
}
