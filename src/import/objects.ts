import { isMarked, parseJson } from '../collect/json.ts'
import { type ColumnOptions, type FieldName, memberReader } from './columns.ts'
import { type EventMaking, eventOfRow, type RowFields, refusal } from './event.ts'
import { exportedEvent } from './exported.ts'
import type { Line } from './lines.ts'
import { createRowNumbering } from './rows.ts'
import type { ImportItem } from './source.ts'

/** Rows that are objects: lines of JSON, records of Avro. */

type Members = Readonly<Record<string, unknown>>

/** What makes the fields of a row from an object. */
export function createFieldsReader(options: ColumnOptions): (object: Members) => RowFields {
  const member = memberReader(options)
  return (object) => ({
    get: (field: FieldName) => plain(member(object, field)),
    parameters:
      options.parameters.length === 0
        ? null
        : Object.fromEntries(options.parameters.map((name) => [name, object[name] ?? null])),
  })
}

/** A number that JavaScript cannot hold is its digits; `parameters` restores them itself. */
function plain(value: unknown): unknown {
  return typeof value === 'string' && isMarked(value) ? String(value).replace(/^.*:/, '') : value
}

/**
 * The items of lines of JSON. A line of the API's own (`GET /api/events` as NDJSON) is the event that
 * it was; any other object is read by its columns.
 */
export async function* itemsOfJsonLines(
  lines: AsyncIterable<readonly Line[]>,
  options: ColumnOptions,
  making: EventMaking,
): AsyncGenerator<readonly ImportItem[], void, undefined> {
  const fieldsOf = createFieldsReader(options)
  const numbering = createRowNumbering()
  let lineNumber = 0
  for await (const some of lines) {
    const items: ImportItem[] = []
    for (const line of some) {
      lineNumber++
      if (line === '') continue
      const where = `line ${lineNumber}`
      const item = numbering.item(line ?? '', where, (derivedId) => {
        if (line === null) throw refusal('it is too long')
        const own = options.columns === undefined ? exportedEvent(line, making.limits) : undefined
        return own ?? eventOfRow(fieldsOf(parseObject(line)), derivedId, making)
      })
      items.push(item)
    }
    if (items.length > 0) yield items
  }
}

function parseObject(line: string): Members {
  let value: unknown
  try {
    value = parseJson(line)
  } catch (thrown) {
    throw refusal('it is no JSON', { cause: thrown })
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Members
  throw refusal('it is no object')
}
