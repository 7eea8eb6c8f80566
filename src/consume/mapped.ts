import avro from 'avsc'
import { envelopeOf } from '../event/envelope.ts'
import type { LogRecord, RecordHeaders } from '../log/log.ts'
import { type ForeignRecords, type ForeignSchema, isOwnSchema } from './foreign.ts'

/** Records that a user's own mapping made: their headers say whose event it is and when it was. */

/** The parameter that names the item, where no configuration says another one. */
const itemIdParameter = 'item_id'

/**
 * By what a record with this writer's schema is read; undefined when it is one of ours. A mapping's
 * is found by its record's name, so that older records of it are read by the schema of today; the
 * records of a mapping that there is no more, by their own.
 */
export function foreignSchemaOf(
  writerText: string,
  headers: RecordHeaders | undefined,
  foreign: ForeignRecords | undefined,
): ForeignSchema | undefined {
  if (isOwnSchema(writerText)) return
  const { topic = 'events', schemaText, rowOf, mapped = [] } = foreign ?? {}
  const shared = { topic, itemIdParameter: foreign?.itemIdParameter ?? itemIdParameter }
  const name = nameOf(writerText)
  const own = mapped.find((one) => name !== undefined && nameOf(one.schemaText) === name)
  if (own !== undefined) return { ...shared, ...own }
  if (schemaText !== undefined) return { ...shared, schemaText, rowOf }
  return envelopeOf(headers) === undefined ? undefined : { ...shared, schemaText: writerText }
}

function nameOf(schemaText: string): string | undefined {
  try {
    return avro.Type.forSchema(JSON.parse(schemaText)).name
  } catch {
    return
  }
}

/** A schema's name with the headers behind it: a dead letter has no other place for these. */
export function nameWithHeaders({ schema, headers }: LogRecord): string {
  return headers === undefined ? schema : `${schema} ${JSON.stringify(headers)}`
}

/** What `nameWithHeaders` put together. */
export function splitName(text: string): Pick<LogRecord, 'schema' | 'headers'> {
  const space = text.indexOf(' ')
  if (space < 0) return { schema: text }
  return { schema: text.slice(0, space), headers: JSON.parse(text.slice(space + 1)) }
}
