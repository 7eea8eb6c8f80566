import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, type TestContext, test } from 'node:test'
import avro from 'avsc'
import { createMapper } from '../../src/collect/mapping/mapper.ts'
import type { DivolteJsonSource } from '../../src/collect/take-divolte-json.ts'
import { divolteSchema } from '../../src/event/schema.ts'
import { readVectors } from '../event/vectors.ts'
import { mappings } from './mapping-vectors.ts'
import { type Headers, openScene, type Scene } from './scene.ts'

/**
 * The recorded mappings of the original server, rewritten in TypeScript: the same requests give the
 * same Avro bytes on the log, but for the differences listed here, each with its reason.
 */

interface Recorded {
  readonly mappings: Readonly<Record<string, { readonly schema: object }>>
  readonly cases: readonly RecordedCase[]
}

interface RecordedCase {
  readonly name: string
  readonly request: { method?: string; path: string; headers?: Headers; body?: object }
  readonly status: number
  readonly produced: Readonly<Record<string, { record: AvroRecord; avroHex?: string }>>
}

type AvroRecord = Record<string, unknown>

/** By mapping and field, in every case. */
const fieldDifferences: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  Par: { raw: 'a second digest of the same value is right too; theirs is of nothing' },
  default: {
    timestamp: 'it was received at another time',
    detectedDuplicate: 'the store decides what is a repeat: the collector flags none',
    ...Object.fromEntries(
      ['Name', 'Family', 'Vendor', 'Type', 'Version', 'DeviceCategory'].map((part) => [
        `userAgent${part}`,
        'user-agent fields come from a current parser, not a database of 2014',
      ]),
    ),
    ...Object.fromEntries(
      ['Family', 'Version', 'Vendor'].map((part) => [
        `userAgentOs${part}`,
        'user-agent fields come from a current parser, not a database of 2014',
      ]),
    ),
  },
}

const flagged = 'a repeat of a stored event is not stored again, Divolte flags it'
const apart = 'an event that fails in one mapping is not lost for the mappings after it'

/** By case and mapping. */
const caseDifferences: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'discard-2 (duplicate; default mapping discards)': { Par: flagged, default: flagged },
  'seed-mapping-no-params (item_id is required and missing)': {
    Flow: apart,
    Par: apart,
    default: apart,
  },
}

/** What our record has at least where there is none of theirs, by the query of its request. */
const unrecorded: Readonly<Record<string, (query: URLSearchParams) => AvroRecord>> = {
  Flow: () => ({ lit: 'literal', a: 'a1', b: 'b1', c: 'c-after', d: 'd1', e: 'e1' }),
  Par: (query) => ({
    ev: query.get('e'),
    pv: query.get('v'),
    ua: 'shim/1.0',
    dpr: 2,
    dupe: false,
    cor: false,
  }),
  default: (query) => ({
    partyId: query.get('p'),
    sessionId: query.get('s'),
    pageViewId: query.get('v'),
    eventType: query.get('t'),
    location: query.get('l'),
    clientTimestamp: Number.parseInt(query.get('c') ?? '', 36),
    viewportPixelWidth: Number.parseInt(query.get('w') ?? '', 36),
    detectedDuplicate: false,
    detectedCorruption: false,
  }),
}

/** Where the status is another. */
const invalid = 'an invalid event is answered by 400 and kept as a dead letter, not by 204 and gone'
const statusDifferences: Readonly<Record<string, { reason: string; status: number }>> = {
  'dupmem-poison': { reason: invalid, status: 400 },
}

const source: DivolteJsonSource = {
  type: 'json',
  name: 'mobile',
  path: '/mob-event',
  partyIdParameter: 'p',
  bodyBytesMax: 4_096,
}

async function openMapped(t: TestContext, name: string, schema: object): Promise<Scene> {
  const schemaText = JSON.stringify(schema)
  const map = mappings[name]
  assert.ok(map)
  const recordsOf = createMapper([{ name, schemaText, map }])
  return openScene(t, { address: 'full' }, { recordsOf, schemas: [schemaText], sources: [source] })
}

async function valuesOf({ events }: Scene): Promise<Buffer[]> {
  const values: Buffer[] = []
  const from = async () => undefined
  for await (const { records } of events.read({ from, recordsMax: 1_000, untilEnd: true })) {
    values.push(...records.map(({ value }) => Buffer.from(value)))
  }
  return values
}

async function play(
  scene: Scene,
  name: string,
  type: avro.Type,
  recorded: RecordedCase,
): Promise<void> {
  const { path, headers = {}, body } = recorded.request
  const before = (await valuesOf(scene)).length
  const rejectedBefore = (await scene.storedRejections()).length
  const answer = await scene.send(
    body === undefined
      ? { path, headers: { 'User-Agent': 'shim/1.0', ...headers } }
      : {
          method: 'POST',
          path,
          headers: { 'Content-Type': 'application/json', ...headers },
          body: JSON.stringify(body),
        },
  )
  assert.equal(answer.status, statusDifferences[recorded.name]?.status ?? recorded.status)
  const [value, ...others] = (await valuesOf(scene)).slice(before)
  assert.equal(others.length, 0)
  const rejections = (await scene.storedRejections()).slice(rejectedBefore)
  const theirs = recorded.produced[name]
  if (theirs === undefined && caseDifferences[recorded.name]?.[name] === undefined) {
    assert.equal(value, undefined)
    const isLeftOut = name === 'default' && recorded.name === 'discard-corrupt'
    assert.equal(rejections.length, isLeftOut ? 0 : 1)
    return
  }
  assert.ok(value, 'there is a record')
  assert.equal(rejections.length, 0)
  if (theirs === undefined) {
    const query = new URL(path, 'http://localhost').searchParams
    const record = type.fromBuffer(value) as AvroRecord
    for (const [field, expected] of Object.entries(unrecorded[name]?.(query) ?? {})) {
      assert.equal(record[field], expected, field)
    }
    return
  }
  assert.equal(value.toString('hex'), expectedOf(theirs, name, type, recorded, value))
}

/** Their bytes, with our values where the lists above say that they differ. */
function expectedOf(
  theirs: { record: AvroRecord; avroHex?: string },
  name: string,
  type: avro.Type,
  recorded: RecordedCase,
  value: Buffer,
): string {
  const ours = type.fromBuffer(value) as AvroRecord
  const expected = { ...(theirs.avroHex ? decode(type, theirs.avroHex) : theirs.record) }
  const fields = Object.keys(fieldDifferences[name] ?? {})
  if (name === 'Par') {
    assert.equal(hex(expected['raw']), createHash('sha1').digest('hex'))
    assert.notEqual(hex(ours['raw']), hex(expected['raw']))
    if (caseDifferences[recorded.name] !== undefined) fields.push('dupe')
  }
  for (const field of fields) expected[field] = ours[field]
  if (fields.length === 0) return theirs.avroHex ?? type.toBuffer(expected).toString('hex')
  return type.toBuffer(expected).toString('hex')
}

function decode(type: avro.Type, text: string): AvroRecord {
  return type.fromBuffer(Buffer.from(text, 'hex')) as AvroRecord
}

function hex(bytes: unknown): string {
  return Buffer.from(bytes as Buffer).toString('hex')
}

describe("the original server's recorded mappings", () => {
  for (const name of Object.keys(mappings)) {
    test(`${name} gives the same bytes, but for the listed differences`, async (t) => {
      const recorded = readVectors<Recorded>(t, 'mapping')
      if (recorded === undefined) return
      const schema = recorded.mappings[name]?.schema ?? divolteSchema
      const scene = await openMapped(t, name, schema)
      const type = avro.Type.forSchema(schema as never)
      assert.equal(recorded.cases.length, 24)
      for (const one of recorded.cases) {
        await t.test(one.name, () => play(scene, name, type, one))
      }
    })
  }

  test('the lists of differences name only cases that there are', (t) => {
    const recorded = readVectors<Recorded>(t, 'mapping')
    if (recorded === undefined) return
    const names = recorded.cases.map(({ name }) => name)
    for (const name of Object.keys({ ...caseDifferences, ...statusDifferences })) {
      assert.ok(
        names.some((known) => known.startsWith(name)),
        name,
      )
    }
    for (const each of recorded.cases) {
      for (const name of Object.keys(caseDifferences[each.name] ?? {})) {
        if (each.produced[name] === undefined) assert.ok(unrecorded[name], name)
      }
    }
  })
})
