import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { deflateRawSync } from 'node:zlib'
import avro from 'avsc'
import { encodeEvent } from '../../src/event/encode.ts'
import { divolteSchema, eventSchema } from '../../src/event/schema.ts'
import { makeRow } from '../store/rows.ts'
import { readAll, sourceOf } from './scene.ts'

/** Avro container files: Divolte's, ours, and those of others by a column map. */

/** A container file as avsc writes it: a writer that is not ours. */
async function containerOf(
  schema: object,
  values: readonly object[],
  options: object = {},
): Promise<Buffer> {
  const encoder = new avro.streams.BlockEncoder(schema as never, options as never)
  const chunks: Buffer[] = []
  encoder.on('data', (chunk: Buffer) => chunks.push(chunk))
  for (const value of values) encoder.write(value)
  encoder.end()
  await once(encoder, 'end')
  return Buffer.concat(chunks)
}

const time = Date.UTC(2020, 0, 1, 12)

const divolteRecord = {
  detectedDuplicate: true,
  detectedCorruption: false,
  firstInSession: true,
  timestamp: time,
  clientTimestamp: time - 5_000,
  remoteHost: '192.0.2.7',
  referer: null,
  location: 'https://shop.example/',
  viewportPixelWidth: 1200,
  viewportPixelHeight: null,
  screenPixelWidth: null,
  screenPixelHeight: null,
  partyId: '0:iirnk9wd:party',
  sessionId: '0:iirnk9we:session',
  pageViewId: '0:page',
  eventType: 'pageView',
  ...Object.fromEntries(
    divolteSchema.fields
      .filter(({ name }) => name.startsWith('userAgent'))
      .map(({ name }) => [name, name === 'userAgentString' ? 'Mozilla/5.0' : null]),
  ),
}

test("Divolte's container files are read, whatever their blocks and codec", async (t) => {
  const records = Array.from({ length: 300 }, (_, index) => ({
    ...divolteRecord,
    timestamp: time + index,
  }))
  const readings = []
  for (const options of [{ codec: 'null' }, { codec: 'deflate' }, { blockSize: 1_000 }]) {
    const bytes = await containerOf(divolteSchema, records, options)
    readings.push(await readAll(sourceOf(t, bytes, { format: 'avro' })))
  }
  const [first] = readings
  assert.equal(first?.events.length, 300)
  for (const reading of readings) assert.deepEqual(reading.events, first?.events)
  const event = first?.events[7]
  assert.equal(event?.partyId, '0:iirnk9wd:party')
  assert.equal(event?.eventTime, time + 7)
  assert.equal(event?.receivedAt, time + 7)
  assert.equal(event?.clientTime, time - 5_000)
  assert.equal(event?.duplicate, true)
  assert.equal(event?.viewportWidth, 1200)
  const ids = new Set(first?.events.map(({ eventId }) => eventId))
  assert.equal(ids.size, 300, 'records without an id get one each')
})

test('records of ours keep all that they say', async (t) => {
  const row = makeRow({ eventId: '0:page0', parameters: '{"a":1}', sequence: 0, country: 'NL' })
  const type = avro.Type.forSchema(eventSchema as never)
  const bytes = await containerOf(eventSchema, [type.fromBuffer(encodeEvent(row)) as object])
  const { events } = await readAll(sourceOf(t, bytes, { format: 'avro' }))
  const { position: _position, importedAt: _importedAt, ...event } = row
  assert.deepEqual(events, [event])
})

const click = {
  type: 'record',
  name: 'Click',
  fields: [
    { name: 'who', type: 'long' },
    { name: 'at', type: 'double' },
  ],
} as const

test('records of another schema are read by a column map, and refused without one', async (t) => {
  const bytes = await containerOf(click, [
    { who: 3, at: 1_396_437_466.94 },
    { who: 4, at: Number.NaN },
  ])
  const columns = 'party=who,time=at'
  const { events, refused } = await readAll(sourceOf(t, bytes, { format: 'avro', columns }))
  assert.equal(events[0]?.partyId, '3')
  assert.equal(events[0]?.eventTime, 1_396_437_466_940)
  assert.match(refused[0]?.reason ?? '', /^record 1: /)
  const without = readAll(sourceOf(t, bytes, { format: 'avro' }))
  await assert.rejects(without, { code: 'schema_incompatible' })
})

test('a container that breaks off keeps the blocks before', async (t) => {
  const values = Array.from({ length: 500 }, (_, who) => ({ who, at: 1_396_437_466 }))
  const bytes = await containerOf(click, values, { blockSize: 500 })
  const columns = 'party=who,time=at'
  const damaged = Buffer.from(bytes)
  damaged.fill(0xff, damaged.length - 30)
  for (const broken of [bytes.subarray(0, -100), damaged]) {
    const { events, fault } = await readAll(sourceOf(t, broken, { format: 'avro', columns }))
    assert.equal(fault?.code, 'import_broken')
    assert.ok(events.length > 300 && events.length < 500, `${events.length} rows`)
  }
})

test('a container that lies about its sizes, and one of an unknown codec, are refused', async (t) => {
  const columns = 'party=who,time=at'
  const bytes = await containerOf(click, [{ who: 1, at: 1 }])
  const snappy = Buffer.from(bytes.toString('latin1').replace('null', 'snap'), 'latin1')
  const read = (content: Buffer): Promise<unknown> =>
    readAll(sourceOf(t, content, { format: 'avro', columns }))
  await assert.rejects(read(snappy), { code: 'import_broken', message: /codec is snap.*deflate/ })
  await assert.rejects(read(Buffer.from('Obj\u0002')), { code: 'import_broken' })
  await assert.rejects(read(Buffer.alloc(2 * 1024 * 1024, 'Obj\u0001')), { code: 'import_broken' })
  const bomb = await containerOf(click, [{ who: 1, at: 1 }], { codec: 'deflate' })
  const zeros = deflateRawSync(Buffer.alloc(65 * 1024 * 1024))
  const sync = bomb.subarray(-16)
  const start = bomb.indexOf(sync) + 16
  const long = avro.Type.forSchema('long' as never)
  const block = Buffer.concat([long.toBuffer(1), long.toBuffer(zeros.length), zeros, sync])
  await assert.rejects(read(Buffer.concat([bomb.subarray(0, start), block])), {
    code: 'import_broken',
  })
})
