import { createHash } from 'node:crypto'

/**
 * The Avro schemas of our records. `divolteSchema` is Divolte's default record, field for field;
 * ours begins with the same fields and goes on with its own, so that a reader of naked bytes by
 * Divolte's schema reads ours and ignores the rest. Fields are only ever appended, with defaults.
 */

interface AvroField {
  readonly name: string
  readonly type: string | readonly string[]
  readonly default?: null | string | boolean | number
}

interface AvroSchema {
  readonly type: 'record'
  readonly name: string
  readonly namespace: string
  readonly fields: readonly AvroField[]
}

function nullable(type: string, ...names: string[]): AvroField[] {
  return names.map((name) => ({ name, type: ['null', type], default: null }))
}

const divolteFields: readonly AvroField[] = [
  { name: 'detectedDuplicate', type: 'boolean' },
  { name: 'detectedCorruption', type: 'boolean' },
  { name: 'firstInSession', type: 'boolean' },
  { name: 'timestamp', type: 'long' },
  { name: 'clientTimestamp', type: 'long' },
  { name: 'remoteHost', type: 'string' },
  ...nullable('string', 'referer', 'location'),
  ...nullable('int', 'viewportPixelWidth', 'viewportPixelHeight'),
  ...nullable('int', 'screenPixelWidth', 'screenPixelHeight'),
  ...nullable('string', 'partyId', 'sessionId', 'pageViewId'),
  { name: 'eventType', type: 'string', default: 'unknown' },
  ...nullable('string', 'userAgentString', 'userAgentName', 'userAgentFamily', 'userAgentVendor'),
  ...nullable('string', 'userAgentType', 'userAgentVersion', 'userAgentDeviceCategory'),
  ...nullable('string', 'userAgentOsFamily', 'userAgentOsVersion', 'userAgentOsVendor'),
]

/** `io.divolte.record.DefaultEventRecord` of divolte-schema 0.9.0. */
export const divolteSchema: AvroSchema = {
  type: 'record',
  name: 'DefaultEventRecord',
  namespace: 'io.divolte.record',
  fields: divolteFields,
}

/** Our record of one event. `eventTime` 0 means that the writer knew none. */
export const eventSchema: AvroSchema = {
  type: 'record',
  name: 'Event',
  namespace: 'millrace',
  fields: [
    ...divolteFields,
    { name: 'eventId', type: 'string', default: '' },
    { name: 'eventTime', type: 'long', default: 0 },
    { name: 'clockSource', type: 'string', default: 'client' },
    ...nullable('string', 'parameters', 'itemId'),
    ...nullable('int', 'sequence'),
    { name: 'newParty', type: 'boolean', default: false },
    ...nullable('double', 'devicePixelRatio'),
    ...nullable('string', 'bot', 'privacy'),
    { name: 'source', type: 'string', default: 'tag' },
    ...nullable('string', 'country'),
  ],
}

/** Our record of one refused request; see `Rejection` in event.ts. */
export const rejectionSchema: AvroSchema = {
  type: 'record',
  name: 'Rejection',
  namespace: 'millrace',
  fields: [
    { name: 'receivedAt', type: 'long' },
    { name: 'code', type: 'string' },
    { name: 'message', type: 'string' },
    { name: 'source', type: 'string' },
    { name: 'body', type: 'string' },
    { name: 'truncated', type: 'boolean' },
    { name: 'remoteAddress', type: 'string' },
    ...nullable('string', 'userAgent', 'privacy', 'country'),
  ],
}

/**
 * The name of a schema outside the records: the first 16 hex digits of the SHA-256 of its JSON
 * text. Not of Avro's canonical form, which leaves out the defaults that a reader needs.
 */
export function fingerprintOf(schemaText: string): string {
  return createHash('sha256').update(schemaText).digest('hex').slice(0, 16)
}
