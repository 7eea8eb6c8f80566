import avro from 'avsc'
import type { Event } from '../../src/event/event.ts'
import { recordSchemaOf } from '../../src/event/record.ts'
import { eventSchema } from '../../src/event/schema.ts'
import type { AppendRecord } from '../../src/log/log.ts'
import { makeRow } from '../store/rows.ts'

/** A whole event of today (UTC), the same for the same index. */
export function eventLike(index: number): Event {
  const time = Date.now() - (Date.now() % 86_400_000) + index
  return makeRow({
    eventId: `0:page${index}0`,
    partyId: `0:1:party${index % 7}`,
    sessionId: `0:1:session${index % 7}`,
    pageViewId: `0:page${index}`,
    eventTime: time,
    location: `https://example.com/${index}`,
    sequence: 0,
  })
}

/** `Event` as it was before its last four fields were appended. */
const olderSchema = { ...eventSchema, fields: eventSchema.fields.slice(0, -4) }
export const olderEventSchemaText: string = JSON.stringify(olderSchema)

/** A record as a collector of that time wrote it. */
export function olderRecord(index: number): AppendRecord {
  const time = Date.now()
  const type = avro.Type.forSchema(olderSchema as never)
  const value = type.toBuffer({
    ...(type.random() as object),
    timestamp: time,
    clientTimestamp: time,
    eventTime: time,
    eventId: `0:older${index}0`,
    clockSource: 'client',
    location: 'https://example.com/older',
    parameters: null,
  })
  return { key: 'older', value, schema: recordSchemaOf(olderEventSchemaText).fingerprint }
}
