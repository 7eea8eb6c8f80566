import avro from 'avsc'
import { timesOf } from '../collect/enrich.ts'
import { formatJson, parseJson, restoreNumbers } from '../collect/json.ts'
import { itemIdOf } from '../collect/receipt.ts'
import { type Envelope, envelopeOf } from '../event/envelope.ts'
import { MillraceError } from '../event/error.ts'
import { ClockSource, type Event, Privacy, Source } from '../event/event.ts'
import type { EventId } from '../event/identifier.ts'
import { sequenceOf } from '../event/identity.ts'
import { exactLong } from '../event/long.ts'
import { type AvroRecord, decodeWhole, toEvent } from '../event/record.ts'
import { eventSchema, rejectionSchema } from '../event/schema.ts'
import { toError } from '../lib/assert.ts'
import type { LogRecord } from '../log/log.ts'
import type { Position } from '../store/store.ts'
import { agentNames, avroNames } from './member-names.ts'

/**
 * Records that others wrote: Divolte, with its default schema or one of the user's own. Fields with
 * the names and the types of our record (which begins with Divolte's) are taken as they are; all
 * others become parameters; the user's own function has the last word. What is still open is then
 * decided as the collector decides it, from the record and its place in the log alone.
 */

/** Where a record stands, for `RowOf`. */
export interface RecordPlace {
  /** Its name in Kafka. */
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** ms since 1970 by Kafka. */
  readonly timestamp: number
}

/** What a user's own function makes of a record: members of `Event`, the others stay as they are. */
export type RowOf = (
  record: Readonly<Record<string, unknown>>,
  place: RecordPlace,
) => Readonly<Record<string, unknown>>

/** How records of a schema that is not ours become rows. */
export interface ForeignRecords extends Omit<ForeignSchema, 'schemaText'> {
  /** What others write by, as JSON; absent when only we write the topic. */
  readonly schemaText?: string | undefined
  /** What users' mappings write by. */
  readonly mapped?: readonly Pick<ForeignSchema, 'schemaText' | 'rowOf'>[]
}

/** One such schema. */
export interface ForeignSchema {
  /** The Avro schema by which they are read, as JSON. */
  readonly schemaText: string
  /** The topic's name in Kafka, which is part of the ids of events without one. */
  readonly topic: string
  /** The parameter that names the item. */
  readonly itemIdParameter: string
  readonly rowOf?: RowOf | undefined
}

/**
 * Reads a record of one writer.
 * @throws MillraceError `record_undecodable`, `mapping_failed`, `record_invalid`
 */
export type ForeignDecoder = (record: LogRecord, position: Position) => Event

const ownNames = [eventSchema, rejectionSchema].map(({ namespace, name }) => `${namespace}.${name}`)

/** True for the schema of any version of a record of ours. */
export function isOwnSchema(schemaText: string): boolean {
  try {
    return ownNames.includes(avro.Type.forSchema(JSON.parse(schemaText)).name ?? '')
  } catch {
    return false
  }
}

/**
 * The names of a schema's fields.
 * @throws MillraceError `schema_incompatible` when it is no Avro schema of a record
 */
export function fieldNamesOf(schemaText: string): string[] {
  const type = typeOf(schemaText)
  if (type instanceof avro.types.RecordType) return type.fields.map(({ name }) => name)
  throw new MillraceError('schema_incompatible', `it is no record but ${type.typeName}`)
}

/**
 * A decoder for what `writerText` wrote, read as `foreign.schemaText` by Avro's rules of evolution.
 * @throws MillraceError `schema_incompatible` when these do not allow it
 */
export function createForeignDecoder(foreign: ForeignSchema, writerText: string): ForeignDecoder {
  const names = fieldNamesOf(foreign.schemaText)
  const reader = typeOf(foreign.schemaText)
  const resolver = writerText === foreign.schemaText ? undefined : resolve(reader, writerText)
  return (record, position) => {
    const decoded = decodeWhole(reader, resolver, record.value)
    const taken = takeFields(names, decoded)
    if (foreign.rowOf !== undefined) overlay(taken, foreign.rowOf, decoded, placeOf())
    const envelope = envelopeOf(record.headers)
    if (envelope !== undefined) seal(taken, envelope)
    return complete(taken, foreign, record.timestamp, `${foreign.topic}/${placeText(position)}`)

    function placeOf(): RecordPlace {
      const { partition, offset } = position
      return { topic: foreign.topic, partition, offset, timestamp: record.timestamp ?? 0 }
    }
  }
}

function placeText({ partition, offset }: Position): string {
  return `${partition}/${offset}`
}

function typeOf(schemaText: string): avro.Type {
  try {
    return avro.Type.forSchema(JSON.parse(schemaText), { registry: { long: exactLong } })
  } catch (thrown) {
    throw new MillraceError('schema_incompatible', toError(thrown).message, { cause: thrown })
  }
}

function resolve(reader: avro.Type, writerText: string): unknown {
  const writer = typeOf(writerText)
  try {
    return reader.createResolver(writer)
  } catch (thrown) {
    throw new MillraceError('schema_incompatible', toError(thrown).message, { cause: thrown })
  }
}

/** What is known of a record's event: fields of our Avro record by their names, and the rest. */
interface Taken {
  readonly fields: AvroRecord
  readonly rest: Record<string, unknown>
  /** JSON text that the record, or the user's function, has as its parameters. */
  parameters: string | null
}

type Check = (value: unknown) => boolean

const isText: Check = (value) => typeof value === 'string'
const isFlag: Check = (value) => typeof value === 'boolean'
const isInt32: Check = (value) => typeof value === 'number' && (value | 0) === value
const isLong: Check = (value) => typeof value === 'bigint' || Number.isInteger(value)
const isOneOf = (words: object): Check => {
  const known = Object.values(words)
  return (value) => known.includes(value)
}
const checks: Readonly<Record<string, Check>> = {
  string: isText,
  boolean: isFlag,
  int: isInt32,
  long: isLong,
  double: Number.isFinite,
}

/** The fields of our record, and what a value must be to be taken for one. */
const fieldChecks: ReadonlyMap<string, Check> = new Map(
  eventSchema.fields.map(({ name, type }) => {
    const base = typeof type === 'string' ? type : type.find((each) => each !== 'null')
    return [name, checks[base ?? ''] ?? isText]
  }),
)
  .set('clockSource', isOneOf(ClockSource))
  .set('privacy', isOneOf(Privacy))
  .set('source', isOneOf(Source))

function takeFields(names: readonly string[], record: AvroRecord): Taken {
  const taken: Taken = { fields: {}, rest: {}, parameters: null }
  for (const name of names) {
    const value = unwrapped(record[name])
    if (value === null) continue
    if (name === 'parameters') takeParameters(taken, value)
    else if (fieldChecks.get(name)?.(value) === true) taken.fields[name] = plain(value)
    else setMember(taken.rest, name, jsonValue(value))
  }
  return taken
}

/** JSON of an object, a map or a record; anything else is a parameter of that name. */
function takeParameters(taken: Taken, value: unknown): void {
  if (typeof value === 'string' && isObject(parsed(value))) taken.parameters = value
  else if (typeof value === 'object' && !Buffer.isBuffer(value) && !Array.isArray(value)) {
    for (const [name, member] of Object.entries(value as object)) {
      setMember(taken.rest, name, jsonValue(member))
    }
  } else setMember(taken.rest, 'parameters', jsonValue(value))
}

const memberNames: ReadonlyMap<string, string> = new Map([
  ...[...fieldChecks.keys()]
    .filter((name) => ![...Object.values(avroNames), ...Object.values(agentNames)].includes(name))
    .map((name) => [name, name] as const),
  ...Object.entries(avroNames),
])

/** @throws MillraceError `mapping_failed` */
function overlay(taken: Taken, rowOf: RowOf, record: AvroRecord, place: RecordPlace): void {
  let row: unknown
  try {
    row = rowOf(record, place)
  } catch (thrown) {
    throw new MillraceError('mapping_failed', toError(thrown).message, { cause: thrown })
  }
  if (!isObject(row)) throw new MillraceError('mapping_failed', 'what it returns is no object')
  for (const [name, value] of Object.entries(row)) {
    if (value === undefined) continue
    if (name === 'parameters') setParameters(taken, value)
    else if (name === 'agent' && isObject(value)) {
      for (const [part, text] of Object.entries(value)) {
        setField(taken, `agent.${part}`, agentNames[part], text)
      }
    } else setField(taken, name, memberNames.get(name), value)
  }
}

function setField(taken: Taken, name: string, field: string | undefined, value: unknown): void {
  if (field === undefined) throw new MillraceError('mapping_failed', `an event has no ${name}`)
  if (value === null) delete taken.fields[field]
  else if (fieldChecks.get(field)?.(value) === true) taken.fields[field] = plain(value)
  else throw new MillraceError('mapping_failed', `${name} cannot be ${String(formatJson(value))}`)
}

/** The function's parameters are all that there are: what it leaves out, it does not want. */
function setParameters(taken: Taken, value: unknown): void {
  const text = typeof value === 'string' ? value : JSON.stringify(jsonValue(value))
  if (value !== null && parsed(text) === undefined) {
    throw new MillraceError('mapping_failed', 'its parameters are no JSON')
  }
  for (const name of Object.keys(taken.rest)) delete taken.rest[name]
  taken.parameters = value === null ? null : text
}

/** What the collector knew goes before the record; what says otherwise there becomes a parameter. */
function seal({ fields, rest }: Taken, envelope: Envelope): void {
  const { eventId, partyId, receivedAt, eventTime, clockSource, clientTime } = envelope
  const known: AvroRecord = { eventId, partyId, eventTime, clockSource }
  known['timestamp'] = receivedAt
  known['clientTimestamp'] = clientTime
  for (const [name, value] of Object.entries(known)) {
    const said = fields[name] ?? value
    if (said !== value) setMember(rest, name, said)
    fields[name] = value
  }
}

/** What a record without them means; see `eventSchema`. */
const absent: AvroRecord = {
  ...Object.fromEntries([...fieldChecks.keys()].map((name) => [name, null])),
  detectedDuplicate: false,
  detectedCorruption: false,
  firstInSession: false,
  newParty: false,
  remoteHost: '',
  eventType: 'unknown',
  source: Source.Tag,
}

function complete(
  { fields, rest, parameters: own }: Taken,
  { itemIdParameter }: ForeignSchema,
  timestamp: number | undefined,
  place: string,
): Event {
  const receivedAt = fields['timestamp'] ?? timestamp
  if (typeof receivedAt !== 'number' || !isTime(receivedAt)) {
    throw new MillraceError('record_invalid', `it was received at ${String(receivedAt)}`)
  }
  const eventId = (fields['eventId'] as string | undefined) || place
  const parameters = joinParameters(rest, own)
  const event = toEvent({
    ...absent,
    ...fields,
    ...placeInTime(fields, receivedAt, eventId !== place),
    timestamp: receivedAt,
    partyId: fields['partyId'] || null,
    eventId,
    parameters,
  })
  return {
    ...event,
    eventId: eventId as EventId,
    itemId: event.itemId ?? itemOf(parameters, itemIdParameter),
    sequence: event.sequence ?? sequenceOf(eventId, event.pageViewId),
  }
}

/** As the collector does it, unless the record knows its event's time. */
function placeInTime(fields: AvroRecord, receivedAt: number, hasId: boolean): AvroRecord {
  const clientTime = fields['clientTimestamp'] as number | undefined
  const eventTime = fields['eventTime'] as number | undefined
  if (eventTime !== undefined && eventTime !== 0) {
    const clockSource = fields['clockSource'] ?? ClockSource.Client
    return { eventTime, clockSource, clientTimestamp: clientTime ?? eventTime }
  }
  if (clientTime === undefined) {
    // Without an id of its own there can be no other receipt, so nothing has to be claimed.
    const clockSource = hasId ? ClockSource.Absent : ClockSource.Collector
    return { eventTime: receivedAt, clockSource, clientTimestamp: receivedAt }
  }
  const times = timesOf(clientTime, receivedAt)
  return {
    eventTime: times.eventTime,
    clockSource: times.clockSource,
    clientTimestamp: times.clientTime,
  }
}

const itemIdCharactersMax = 256

function itemOf(parameters: string | null, name: string): string | null {
  if (parameters === null || !parameters.includes(name)) return null
  const value = restoreNumbers(parseJson(parameters), depthMax)
  return itemIdOf(value, name, itemIdCharactersMax)
}

/** The record's own parameters come last: of two with one name, readers take the last. */
function joinParameters(rest: Record<string, unknown>, own: string | null): string | null {
  const isEmpty = Object.keys(rest).length === 0
  if (isEmpty) return own
  const text = JSON.stringify(rest)
  const inner = own?.trim().slice(1, -1).trim() ?? ''
  return inner === '' ? text : `${text.slice(0, -1)},${inner}}`
}

/** avsc wraps the values of unions whose branches JavaScript could not tell apart. */
function unwrapped(value: unknown): unknown {
  const wrapped = value as { unwrap?: () => unknown } | null | undefined
  if (typeof wrapped?.unwrap === 'function') return wrapped.unwrap()
  return value ?? null
}

/** Deeper, JSON would overflow the stack of its readers. */
const depthMax = 100

/** A decoded value as JSON has it: bytes in base64, numbers that are none null. */
function jsonValue(value: unknown, depthLeft: number = depthMax): unknown {
  if (depthLeft === 0) throw new MillraceError('record_invalid', `it is ${depthMax} levels deep`)
  const inner = unwrapped(value)
  if (typeof inner === 'string') return inner.toWellFormed()
  if (typeof inner === 'bigint') return JSON.rawJSON(String(inner))
  if (typeof inner === 'number') return Number.isFinite(inner) ? inner : null
  if (inner instanceof Uint8Array) return Buffer.from(inner).toString('base64')
  if (Array.isArray(inner)) return inner.map((member) => jsonValue(member, depthLeft - 1))
  if (typeof inner !== 'object' || inner === null || JSON.isRawJSON(inner)) return inner
  const members: Record<string, unknown> = {}
  for (const [name, member] of Object.entries(inner)) {
    setMember(members, name, jsonValue(member, depthLeft - 1))
  }
  return members
}

/** A name like `__proto__` is a member like any other. */
function setMember(members: Record<string, unknown>, name: string, value: unknown): void {
  const property = { value, enumerable: true, configurable: true, writable: true }
  Object.defineProperty(members, name.toWellFormed(), property)
}

function plain(value: unknown): unknown {
  return typeof value === 'bigint' ? Number(value) : value
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Days of year 1 to 9999, which every store can hold. */
function isTime(timeMs: number): boolean {
  return timeMs >= -62_135_596_800_000 && timeMs < Date.UTC(10_000, 0, 1)
}
