import assert from 'node:assert/strict'
import { test } from 'node:test'
import avro from 'avsc'
import { type ForeignSchema, fieldNamesOf, isOwnSchema } from '../../src/consume/foreign.ts'
import { createRecordReader, rowOf } from '../../src/consume/row.ts'
import { encodeEvent } from '../../src/event/encode.ts'
import { eventRecordSchema, rejectionRecordSchema } from '../../src/event/record.ts'
import { divolteSchema } from '../../src/event/schema.ts'
import type { Log, Offset } from '../../src/log/log.ts'
import type { Row } from '../../src/store/store.ts'
import { eventOfMessage, madeMessages, recordedMessages } from './divolte-records.ts'
import { eventLike } from './events.ts'

/** What records of others become, without a server: Divolte's, and those of a schema of one's own. */

const divolte: ForeignSchema = {
  schemaText: JSON.stringify(divolteSchema),
  topic: 'divolte',
  itemIdParameter: 'item_id',
}

interface Told {
  readonly value: Uint8Array
  readonly timestamp?: number
  /** The text of the writer's schema; that of the configuration when absent. */
  readonly writer?: string
}

/** The row of a record at offset 7 of partition 3. */
async function read(foreign: ForeignSchema, { value, timestamp, writer }: Told): Promise<Row> {
  const log: Pick<Log, 'identity' | 'topic' | 'schema'> = {
    identity: 'kafka/1',
    topic: 'events',
    schema: async () => writer ?? foreign.schemaText,
  }
  const reader = createRecordReader(log as Log, foreign)
  const offset = 7 as Offset
  const record = { key: '', schema: 'it', value, offset, ...(timestamp && { timestamp }) }
  await reader.prepare([record])
  return rowOf(reader, 3, record)
}

const recorded = recordedMessages()
const skip = recorded === undefined && 'the recorded topic is not here: set DIVOLTE_TOPIC to it'
for (const [name, messages] of [
  ['made', madeMessages()],
  ['recorded', recorded],
] as const) {
  test(`${name} records of Divolte become rows, member by member`, {
    skip: messages ? false : skip,
  }, async () => {
    for (const message of messages ?? []) {
      const { position, ...row } = await read(divolte, message)
      assert.deepEqual(row, eventOfMessage(message, 'divolte/3/7'))
      assert.deepEqual(position, { log: 'kafka/1', topic: 'events', partition: 3, offset: 7 })
    }
  })
}

const now = Date.now()
const text = { name: 'text', type: 'string' }

function schemaOf(...fields: object[]): ForeignSchema {
  const schemaText = JSON.stringify({ type: 'record', name: 'Mine', namespace: 'x', fields })
  return { ...divolte, topic: 't', schemaText }
}

function encode({ schemaText }: ForeignSchema, record: object): Uint8Array {
  return avro.Type.forSchema(JSON.parse(schemaText)).toBuffer(record)
}

test('names of ours are taken where the value fits; everything else becomes parameters', async () => {
  const foreign = schemaOf(
    { name: 'timestamp', type: { type: 'long', logicalType: 'timestamp-millis' } },
    { name: 'partyId', type: ['null', 'string'] },
    { name: 'eventId', type: 'string' },
    { name: 'pageViewId', type: 'string' },
    { name: 'eventType', type: { type: 'enum', name: 'Kind', symbols: ['buy'] } },
    { name: 'location', type: 'int' },
    { name: 'source', type: 'string' },
    { name: 'firstInSession', type: ['null', 'boolean'] },
    { name: 'item_id', type: ['null', 'long'] },
    { name: 'price', type: 'double' },
    { name: 'none', type: 'double' },
    { name: 'bytes', type: 'bytes' },
    { name: 'tags', type: { type: 'map', values: 'string' } },
    { name: 'either', type: ['int', 'string', { type: 'record', name: 'In', fields: [text] }] },
    { name: 'absent', type: ['null', 'string'] },
  )
  const record = {
    ...{
      timestamp: now,
      partyId: null,
      eventId: '0:pagea',
      pageViewId: '0:page',
      eventType: 'buy',
    },
    ...{
      location: 5,
      source: 'app',
      firstInSession: true,
      item_id: 12,
      price: 1.5,
      none: Number.NaN,
    },
    ...{ bytes: Buffer.from('ab'), tags: { a: '🙂' }, either: { text: 'in' }, absent: null },
  }
  const row = await read(foreign, { value: encode(foreign, record) })
  assert.deepEqual(
    [
      row.partyId,
      row.eventId,
      row.sequence,
      row.eventType,
      row.source,
      row.itemId,
      row.firstInSession,
    ],
    [null, '0:pagea', 10, 'buy', 'tag', '12', true],
  )
  assert.deepEqual([row.location, row.eventTime, row.clockSource], [null, now, 'absent'])
  assert.deepEqual(JSON.parse(row.parameters ?? ''), {
    ...{ location: 5, source: 'app', item_id: 12, price: 1.5, none: null, bytes: 'YWI=' },
    ...{ tags: { a: '🙂' }, either: { text: 'in' } },
  })
})

test('a long beyond what a double holds keeps its digits', async () => {
  const foreign = schemaOf({ name: 'timestamp', type: 'long' }, { name: 'item_id', type: 'long' })
  // The zigzag varint of 2^63 - 1, which avsc itself cannot write.
  const most = Buffer.from('feffffffffffffffff01', 'hex')
  const first = encode(schemaOf({ name: 'timestamp', type: 'long' }), { timestamp: now })
  const row = await read(foreign, { value: Buffer.concat([first, most]) })
  assert.equal(row.parameters, '{"item_id":9223372036854775807}')
  assert.equal(row.itemId, '9223372036854775807')
})

test('parameters of the record stay as they are, with the other fields beside them', async () => {
  const foreign = schemaOf(
    { name: 'timestamp', type: 'long' },
    { name: 'parameters', type: 'string' },
    text,
  )
  const parametersOf = async (parameters: string): Promise<string | null> => {
    const value = encode(foreign, { timestamp: now, parameters, text: 'b' })
    return (await read(foreign, { value })).parameters
  }
  assert.equal(
    await parametersOf('{"a": 12345678901234567890}'),
    '{"text":"b","a": 12345678901234567890}',
  )
  assert.equal(await parametersOf(' { } '), '{"text":"b"}')
  assert.equal(await parametersOf('[1]'), '{"parameters":"[1]","text":"b"}')
  assert.equal(await parametersOf('no json'), '{"parameters":"no json","text":"b"}')
  const alone = schemaOf(
    { name: 'timestamp', type: 'long' },
    { name: 'parameters', type: 'string' },
  )
  const value = encode(alone, { timestamp: now, parameters: '{"a": 1.0}' })
  assert.equal((await read(alone, { value })).parameters, '{"a": 1.0}')
})

test('without a time of its own, a record was received when Kafka says; without any, it is no row', async () => {
  const foreign = schemaOf(text)
  const value = encode(foreign, { text: 'a' })
  const row = await read(foreign, { value, timestamp: 1_000 })
  assert.deepEqual(
    [row.receivedAt, row.eventTime, row.clientTime, row.clockSource, row.eventType],
    [1_000, 1_000, 1_000, 'collector', 'unknown'],
  )
  assert.equal(row.eventId, 't/3/7')
  await assert.rejects(read(foreign, { value }), { code: 'record_invalid' })
  await assert.rejects(read(foreign, { value, timestamp: 1e15 }), { code: 'record_invalid' })
})

test('the function sets members, and says so when it cannot', async () => {
  const base = schemaOf(
    { name: 'timestamp', type: 'long' },
    { name: 'clientTimestamp', type: 'long' },
    text,
  )
  const value = encode(base, { timestamp: now, clientTimestamp: now - 1_000, text: 'a' })
  const rowBy = (rowOf: ForeignSchema['rowOf']): Promise<Row> =>
    read({ ...base, rowOf }, { value, timestamp: 9 })
  let told: unknown
  const row = await rowBy((record, place) => {
    told = [{ ...record }, place]
    return {
      ...{
        eventId: 'mine',
        partyId: 'p',
        remoteAddress: '192.0.2.1',
        viewportWidth: 7,
        duplicate: true,
      },
      ...{
        agent: { name: 'A' },
        parameters: { item_id: 'i', big: 2n ** 60n },
        sequence: undefined,
      },
    }
  })
  assert.deepEqual(told, [
    { timestamp: now, clientTimestamp: now - 1_000, text: 'a' },
    { topic: 't', partition: 3, offset: 7, timestamp: 9 },
  ])
  assert.deepEqual(
    [row.eventId, row.partyId, row.remoteAddress, row.viewportWidth, row.duplicate, row.agent.name],
    ['mine', 'p', '192.0.2.1', 7, true, 'A'],
  )
  assert.deepEqual([row.parameters, row.itemId], [`{"item_id":"i","big":${2n ** 60n}}`, 'i'])
  assert.deepEqual([row.eventTime, row.clockSource], [now - 1_000, 'client'])
  const moved = await rowBy(() => ({ eventTime: 5_000, clientTime: null, parameters: null }))
  assert.deepEqual([moved.eventTime, moved.clientTime, moved.clockSource], [5_000, 5_000, 'client'])
  assert.equal(moved.parameters, null)
  const late = await rowBy(() => ({ clientTime: now - 30 * 86_400_000 }))
  assert.deepEqual([late.eventTime, late.clockSource], [now, 'wrong'])
  for (const result of [
    undefined,
    null,
    [],
    { unheardOf: 1 },
    { partyId: 5 },
    { timestamp: 5 },
    { source: 'app' },
    { sequence: 0.5 },
    { agent: { engine: 'x' } },
    { agent: 'x' },
    { parameters: '{' },
  ]) {
    await assert.rejects(
      rowBy(() => result as Record<string, unknown>),
      { code: 'mapping_failed' },
    )
  }
  const failing = rowBy(() => {
    throw new Error('boom')
  })
  await assert.rejects(failing, { code: 'mapping_failed', message: /boom/ })
})

test('the function sees a record in the shape of the configured schema, whoever wrote it', async () => {
  const older = schemaOf({ name: 'timestamp', type: 'int' }, { name: 'gone', type: 'string' })
  const newer = schemaOf({ name: 'timestamp', type: 'long' }, { ...text, default: 'none' })
  const value = encode(older, { timestamp: 1_000, gone: 'x' })
  const row = await read(newer, { value, writer: older.schemaText })
  assert.deepEqual([row.receivedAt, row.parameters], [1_000, '{"text":"none"}'])
  const other = older.schemaText.replace('Mine', 'Other')
  await assert.rejects(read(newer, { value, writer: other }), { code: 'schema_incompatible' })
})

test('bytes that are no such record are refused whole', async () => {
  const [message] = madeMessages()
  const value = message?.value ?? Buffer.alloc(0)
  for (const bytes of [Buffer.alloc(0), value.subarray(0, -1), Buffer.concat([value, value])]) {
    await assert.rejects(read(divolte, { value: bytes, timestamp: 1 }), {
      code: 'record_undecodable',
    })
  }
})

test('our own records in a topic of others are read as ours', async () => {
  const event = eventLike(1)
  const row = await read(divolte, { value: encodeEvent(event), writer: eventRecordSchema.text })
  assert.deepEqual([row.eventId, row.sequence], [event.eventId, event.sequence])
  assert.ok(isOwnSchema(eventRecordSchema.text) && isOwnSchema(rejectionRecordSchema.text))
  assert.ok(!isOwnSchema(divolte.schemaText) && !isOwnSchema('{'))
  assert.throws(() => fieldNamesOf('"string"'), { code: 'schema_incompatible' })
  assert.throws(() => fieldNamesOf('{"type": "rec'), { code: 'schema_incompatible' })
})
