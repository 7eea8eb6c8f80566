import avro from 'avsc'
import { createDecoder } from '../event/record.ts'
import type { ColumnOptions } from './columns.ts'
import { openContainer } from './container.ts'
import { checkEvent, type EventMaking, eventOfRow } from './event.ts'
import { createFieldsReader } from './objects.ts'
import { createRowNumbering } from './rows.ts'
import type { ImportItem } from './source.ts'

type ImportEvent = Extract<ImportItem, { event: unknown }>['event']
type Make = (record: Uint8Array, derivedId: string) => ImportEvent

/**
 * The items of an Avro container file. Without a column map its records must be Divolte's default
 * record or ours; with one they may be of any schema.
 * @throws MillraceError `import_broken`, `schema_incompatible`
 */
export async function* itemsOfAvro(
  chunks: AsyncIterable<Uint8Array>,
  options: ColumnOptions,
  making: EventMaking,
): AsyncGenerator<readonly ImportItem[], void, undefined> {
  const { schema, blocks } = await openContainer(chunks)
  const make = options.columns === undefined ? byRecord(schema) : byColumns(schema, options, making)
  const numbering = createRowNumbering()
  let count = 0
  for await (const records of blocks) {
    yield records.map((record) =>
      numbering.item(record, `record ${count++}`, (derivedId) => make(record, derivedId)),
    )
  }
}

/** @throws MillraceError `schema_incompatible` when the schema is neither Divolte's nor ours */
function byRecord(schema: string): Make {
  const decoder = createDecoder(schema)
  return (record, derivedId) => {
    const event = decoder.event(record)
    const whole = {
      ...event,
      eventId: event.eventId === '' ? (derivedId as ImportEvent['eventId']) : event.eventId,
      eventTime: event.eventTime === 0 ? event.receivedAt : event.eventTime,
    }
    checkEvent(whole)
    return whole
  }
}

function byColumns(schema: string, options: ColumnOptions, making: EventMaking): Make {
  const type = avro.Type.forSchema(JSON.parse(schema) as never)
  const fieldsOf = createFieldsReader(options)
  return (record, derivedId) => {
    const bytes = Buffer.from(record.buffer, record.byteOffset, record.byteLength)
    const members = type.fromBuffer(bytes) as Record<string, unknown>
    return eventOfRow(fieldsOf(members), derivedId, making)
  }
}
