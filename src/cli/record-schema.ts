import { readFileSync } from 'node:fs'
import type { Config } from '../config.ts'
import { type ForeignRecords, fieldNamesOf } from '../consume/foreign.ts'
import { MillraceError } from '../event/error.ts'
import { divolteSchema } from '../event/schema.ts'
import { toError } from '../lib/assert.ts'

/**
 * How the records of a topic that others write become rows, by `consume.recordSchema`; undefined
 * when all records are ours.
 * @throws MillraceError `config_invalid` when the file cannot be read or is no Avro schema of a record
 */
export function foreignRecordsOf({ consume, collect, kafka }: Config): ForeignRecords | undefined {
  const { recordSchema, rowOf } = consume
  if (recordSchema === 'event') return
  const schemaText =
    recordSchema === 'divolte' ? JSON.stringify(divolteSchema) : readSchema(recordSchema)
  return {
    schemaText,
    topic: kafka.topic,
    itemIdParameter: collect.itemIdParameter,
    rowOf,
  }
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
