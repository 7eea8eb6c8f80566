import { readFileSync } from 'node:fs'
import type { Config } from '../config.ts'
import { type ForeignRecords, fieldNamesOf } from '../consume/foreign.ts'
import { MillraceError } from '../event/error.ts'
import { divolteSchema } from '../event/schema.ts'
import { toError } from '../lib/assert.ts'
import { mappedSchemasOf } from './mappings.ts'

/**
 * How records become rows that others write, by `consume.recordSchema`, or the user's own mappings;
 * undefined when all records are ours.
 * @throws MillraceError `config_invalid` when the file cannot be read or is no Avro schema of a record
 */
export function foreignRecordsOf(config: Config): ForeignRecords | undefined {
  const { consume, collect, kafka } = config
  const { recordSchema, rowOf } = consume
  const shared = { topic: kafka.topic, itemIdParameter: collect.itemIdParameter }
  if (recordSchema === 'event') {
    const mapped = mappedSchemasOf(config)
    return mapped.length === 0 ? undefined : { ...shared, mapped }
  }
  const schemaText =
    recordSchema === 'divolte' ? JSON.stringify(divolteSchema) : readSchema(recordSchema)
  return { ...shared, schemaText, rowOf }
}

function readSchema(file: string): string {
  try {
    const text = readFileSync(file, 'utf8')
    fieldNamesOf(text)
    return text
  } catch (thrown) {
    const detail = `consume.recordSchema (MILLRACE_RECORD_SCHEMA) ${file}: ${toError(thrown).message}`
    throw new MillraceError('config_invalid', detail, { cause: thrown })
  }
}
