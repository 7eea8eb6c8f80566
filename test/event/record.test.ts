import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, test } from 'node:test'
import avro from 'avsc'
import fc from 'fast-check'
import { encodeEvent } from '../../src/event/encode.ts'
import { isMillraceError } from '../../src/event/error.ts'
import type { Event, Rejection } from '../../src/event/event.ts'
import {
  type AvroRecord,
  createDecoder,
  encodeRejection,
  eventRecordSchema,
  recordSchemaOf,
  rejectionRecordSchema,
} from '../../src/event/record.ts'
import { divolteSchema, eventSchema, rejectionSchema } from '../../src/event/schema.ts'
import { readShared, readVectors } from './vectors.ts'

const event: Event = {
  eventId: '0:PvPv1' as Event['eventId'],
  partyId: '0:kf12ot8g:Party' as Event['partyId'],
  sessionId: '0:kf12ot8g:Session' as Event['sessionId'],
  pageViewId: '0:PvPv' as Event['pageViewId'],
  eventType: 'addToBasket',
  eventTime: 1_600_000_000_000,
  clockSource: 'client',
  receivedAt: 1_600_000_000_123,
  clientTime: 1_600_000_000_000,
  location: 'https://www.example.com/é😀',
  referer: null,
  remoteAddress: '192.0.2.0',
  parameters: '{"item_id":101321}',
  itemId: '101321',
  sequence: 1,
  firstInSession: true,
  newParty: false,
  duplicate: false,
  corrupt: true,
  viewportWidth: 1280,
  viewportHeight: 720,
  screenWidth: 1440,
  screenHeight: 860,
  devicePixelRatio: 1.5,
  userAgent: 'shim/1.0',
  agent: {
    name: 'Chrome',
    family: 'Chrome',
    vendor: 'Google Inc.',
    type: 'Browser',
    version: '120',
    deviceCategory: 'Personal computer',
    osFamily: 'Linux',
    osVersion: null,
    osVendor: null,
  },
  bot: null,
  privacy: null,
  source: 'tag',
  country: 'NL',
}

const divolteType = avro.Type.forSchema(divolteSchema as never)

/** Decodes as Java's and Python's readers do: what follows the last field is not looked at. */
function decodeAsDivolte(value: Buffer): AvroRecord {
  const { value: record } = divolteType.decode(value, 0)
  return { ...(record as AvroRecord) }
}

describe('the record of an event', () => {
  test('gives back the event', () => {
    const decode = createDecoder(eventRecordSchema.text)
    assert.deepEqual(decode.event(encodeEvent(event)), event)
  })

  test('has the bytes that avsc writes of it', () => {
    const type = avro.Type.forSchema(eventSchema as never)
    const { event: read } = createDecoder(eventRecordSchema.text)
    const text = fc.oneof(
      fc.string({ maxLength: 130 }),
      fc.string({ unit: 'binary', maxLength: 130 }),
      fc.string({ unit: 'grapheme', minLength: 2_700, maxLength: 2_800 }),
      fc.string({ minLength: 15_000, maxLength: 30_000, size: 'max' }),
    )
    const nullable = fc.option(text)
    const time = fc.oneof(
      fc.integer({ min: -(2 ** 52), max: 2 ** 52 }),
      fc.integer({ min: -300, max: 300 }),
      fc
        .constantFrom(2 ** 27, 2 ** 28, 2 ** 31, 2 ** 32, 2 ** 34, 2 ** 35, 2 ** 52)
        .chain((edge) => fc.constantFrom(edge - 1, edge, -edge, 1 - edge)),
    )
    const int = fc.option(fc.integer())
    const changes = fc.record(
      {
        ...{ receivedAt: time, clientTime: time, eventTime: time },
        ...{ location: nullable, referer: nullable, userAgent: nullable, parameters: nullable },
        ...{
          partyId: nullable,
          bot: nullable,
          eventType: text,
          remoteAddress: text,
          itemId: nullable,
        },
        ...{ viewportWidth: int, screenHeight: int, sequence: int },
        devicePixelRatio: fc.option(fc.double({ noNaN: true })),
        ...{ duplicate: fc.boolean(), newParty: fc.boolean() },
      },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(changes, (some) => {
        const value = encodeEvent({ ...event, ...some } as Event)
        const record = type.fromBuffer(value) as object
        assert.ok(value.equals(type.toBuffer(record)))
        assert.deepEqual(read(value), { ...event, ...some })
      }),
      { numRuns: 300 },
    )
  })

  test('refuses a number that its field cannot hold', () => {
    for (const some of [{ viewportWidth: 2 ** 31 }, { sequence: 0.5 }, { eventTime: 2 ** 53 }]) {
      assert.throws(() => encodeEvent({ ...event, ...some }), RangeError)
    }
    const wrong = { ...event, itemId: 101_321 } as unknown as Event
    assert.throws(() => encodeEvent(wrong), RangeError)
    // A surrogate without its other half has no UTF-8.
    const { event: read } = createDecoder(eventRecordSchema.text)
    assert.equal(read(encodeEvent({ ...event, eventType: 'a\ud800b' })).eventType, 'a\ufffdb')
  })

  test('gives back any text, time and number', () => {
    const decode = createDecoder(eventRecordSchema.text)
    fc.assert(
      fc.property(
        fc.record({
          location: fc.option(fc.string({ unit: 'binary' })),
          eventType: fc.string({ unit: 'grapheme' }),
          clientTime: fc.integer({ min: 1 - 2 ** 52, max: 2 ** 52 - 1 }),
          viewportWidth: fc.option(fc.integer()),
          devicePixelRatio: fc.option(fc.double({ noNaN: true })),
          privacy: fc.constantFrom('gpc', 'dnt', 'cookieless', null),
        }),
        (changes) => {
          const changed = { ...event, ...changes }
          assert.deepEqual(decode.event(encodeEvent(changed)), changed)
        },
      ),
    )
  })

  test("read by Divolte's schema has Divolte's fields, with ours left over", () => {
    const { agent } = event
    assert.deepEqual(decodeAsDivolte(encodeEvent(event)), {
      detectedDuplicate: false,
      detectedCorruption: true,
      firstInSession: true,
      timestamp: event.receivedAt,
      clientTimestamp: event.clientTime,
      remoteHost: event.remoteAddress,
      referer: null,
      location: event.location,
      viewportPixelWidth: 1280,
      viewportPixelHeight: 720,
      screenPixelWidth: 1440,
      screenPixelHeight: 860,
      partyId: event.partyId,
      sessionId: event.sessionId,
      pageViewId: event.pageViewId,
      eventType: 'addToBasket',
      userAgentString: 'shim/1.0',
      userAgentName: agent.name,
      userAgentFamily: agent.family,
      userAgentVendor: agent.vendor,
      userAgentType: agent.type,
      userAgentVersion: agent.version,
      userAgentDeviceCategory: agent.deviceCategory,
      userAgentOsFamily: agent.osFamily,
      userAgentOsVersion: null,
      userAgentOsVendor: null,
    })
  })

  test('that is cut or is no value of its schema is said to be so', () => {
    const decode = createDecoder(eventRecordSchema.text)
    const whole = encodeEvent(event)
    for (const bytes of [Buffer.alloc(0), whole.subarray(0, -1), Buffer.concat([whole, whole])]) {
      assert.throws(
        () => decode.event(bytes),
        (thrown) => isMillraceError(thrown, 'record_undecodable'),
      )
    }
  })
})

describe('evolution', () => {
  test('an event written before fields were appended takes their defaults', () => {
    const older = { ...eventSchema, fields: eventSchema.fields.slice(0, -7) }
    const text = JSON.stringify(older)
    const written = avro.Type.forSchema(older as never).toBuffer({
      ...decodeAsDivolte(encodeEvent(event)),
      eventId: event.eventId,
      eventTime: event.eventTime,
      clockSource: event.clockSource,
      parameters: event.parameters,
      itemId: event.itemId,
    })
    assert.deepEqual(createDecoder(text).event(written), {
      ...event,
      sequence: null,
      newParty: false,
      devicePixelRatio: null,
      country: null,
    })
  })

  test('an event written with fields that are not known yet is read without them', () => {
    const newer = {
      ...eventSchema,
      fields: [...eventSchema.fields, { name: 'weather', type: ['null', 'string'], default: null }],
    }
    const type = avro.Type.forSchema(newer as never)
    const written = Buffer.concat([
      encodeEvent(event),
      Buffer.from([0x02, 0x04]),
      Buffer.from('ok'),
    ])
    assert.ok(type.fromBuffer(written))
    assert.deepEqual(createDecoder(JSON.stringify(newer)).event(written), event)
  })

  test('a record of Divolte itself is read as an event', () => {
    const record = decodeAsDivolte(encodeEvent(event))
    const read = createDecoder(JSON.stringify(divolteSchema)).event(divolteType.toBuffer(record))
    assert.equal(read.partyId, event.partyId)
    assert.equal(read.receivedAt, event.receivedAt)
    assert.deepEqual([read.eventId, read.eventTime, read.parameters], ['', 0, null])
  })

  test('a schema that is none, or another record, is refused', () => {
    const foreign = '{"type":"record","name":"Other","fields":[{"name":"a","type":"int"}]}'
    for (const text of ['', '{', '{"type":"nothing"}', '"string"', foreign]) {
      assert.throws(
        () => createDecoder(text),
        (thrown) => isMillraceError(thrown, 'schema_incompatible'),
        text,
      )
    }
  })
})

describe('the record of a rejection', () => {
  test('gives back the rejection', () => {
    const rejection: Rejection = {
      receivedAt: 1_600_000_000_000,
      code: 'parameter_missing',
      message: 'A required parameter is missing: p',
      source: 'tag',
      body: 'v=1',
      truncated: false,
      remoteAddress: '192.0.2.0',
      userAgent: null,
      privacy: 'gpc',
      country: 'NL',
    }
    const read = createDecoder(rejectionRecordSchema.text).rejection(encodeRejection(rejection))
    assert.deepEqual({ ...read }, rejection)
  })

  test('of before countries were kept has none', () => {
    const { fields } = rejectionSchema
    assert.equal(fields.at(-1)?.name, 'country')
    const older = { ...rejectionSchema, fields: fields.slice(0, -1) }
    const value = avro.Type.forSchema(older as never).toBuffer({
      receivedAt: 1_600_000_000_000,
      code: 'parameter_missing',
      message: '',
      source: 'tag',
      body: 'v=1',
      truncated: false,
      remoteAddress: '192.0.2.0',
      userAgent: null,
      privacy: null,
    })
    const read = createDecoder(JSON.stringify(older)).rejection(value)
    assert.deepEqual([read.body, read.country], ['v=1', null])
  })
})

describe('schemas', () => {
  test("Divolte's is the original, by its fingerprint", (t) => {
    // SHA-256 of Avro's parsing canonical form, which avsc gives as the schema without defaults.
    const canonical = divolteType.schema()
    const hash = createHash('sha256').update(JSON.stringify(canonical)).digest('base64url')
    assert.equal(hash, 'zfEZRrGHh1PcoqLiFMzy8LVVg46vbqHfkSsbEN-yZnY')
    const recorded = readVectors<string>(t, 'schemaFingerprintDefault')
    if (recorded !== undefined) assert.equal(hash, recorded)
  })

  test('ours begins with the fields of Divolte, and all that follow have defaults', () => {
    const names = divolteSchema.fields.map(({ name }) => name)
    assert.deepEqual(
      eventSchema.fields.slice(0, names.length).map(({ name }) => name),
      names,
    )
    for (const { name, default: fallback } of eventSchema.fields.slice(names.length)) {
      assert.notEqual(fallback, undefined, name)
    }
  })

  test('a fingerprint changes with a default', () => {
    const text = eventRecordSchema.text
    assert.equal(recordSchemaOf(text).fingerprint, eventRecordSchema.fingerprint)
    const other = text.replace('"default":"client"', '"default":"wrong"')
    assert.notEqual(recordSchemaOf(other).fingerprint, eventRecordSchema.fingerprint)
  })
})

describe("Divolte's own records", () => {
  test('the recorded topic decodes to the records beside it', (t) => {
    const lines = readShared(t, 'data/divolte-topic/messages.ndjson')?.trim().split('\n')
    if (lines === undefined) return
    assert.equal(lines.length, 600)
    const decode = createDecoder(JSON.stringify(divolteSchema))
    for (const line of lines) {
      const { valueHex, record, offset } = JSON.parse(line)
      const value = Buffer.from(valueHex, 'hex')
      assert.deepEqual({ ...(divolteType.fromBuffer(value) as object) }, record, `offset ${offset}`)
      assert.equal(decode.event(value).partyId, record.partyId)
    }
  })

  test('the default records decode to what was recorded', (t) => {
    const records = readVectors<{ record: object; avroHex: string }[]>(t, 'defaultRecords')
    if (records === undefined) return
    for (const { record, avroHex } of records) {
      const value = Buffer.from(avroHex, 'hex')
      assert.deepEqual({ ...(divolteType.fromBuffer(value) as object) }, record)
    }
  })
})
