import { encodeEvent } from '../../event/encode.ts'
import { headersOf } from '../../event/envelope.ts'
import { isMillraceError, MillraceError } from '../../event/error.ts'
import type { Event } from '../../event/event.ts'
import type { Mapping, MappingRequest } from '../../event/mapping.ts'
import { eventRecordSchema } from '../../event/record.ts'
import { fingerprintOf } from '../../event/schema.ts'
import { toError } from '../../lib/assert.ts'
import type { AppendRecord } from '../../log/log.ts'
import { createRecordEncoder, type RecordEncoder } from './record.ts'
import { sampleEvents } from './samples.ts'

/**
 * The records of an event: one on the topic of events (ours, or that of the one mapping for its
 * source), and one for each mapping with a topic of its own. None where mappings leave it out.
 * @throws MillraceError `event_unmapped`, which says by which mapping and which field
 */
export type RecordsOf = (event: Event, request: MappingRequest) => readonly AppendRecord[]

/** A mapping with its schema understood. */
interface ReadyMapping extends Mapping {
  readonly encoder: RecordEncoder
  readonly fingerprint: string
}

/** Without mappings every event is its own record. */
export const plainRecords: RecordsOf = (event) => [recordOf(event)]

/**
 * Checks the mappings against their schemas and puts them to work.
 * @throws MillraceError `config_invalid` that names the mapping and the field
 */
export function createMapper(mappings: readonly Mapping[]): RecordsOf {
  if (mappings.length === 0) return plainRecords
  const ready = mappings.map(prepare)
  const plans = new Map<string, Plan>()
  return (event, request) => {
    const { source } = request
    let plan = plans.get(source)
    if (plan === undefined) {
      plan = planOf(ready, source)
      plans.set(source, plan)
    }
    const records: AppendRecord[] = plan.isMapped ? [] : [recordOf(event)]
    for (const mapping of plan.mappings) {
      const record = mapped(mapping, event, request)
      if (record !== undefined) records.push(record)
    }
    return records
  }
}

/** What happens to the events of one source. */
interface Plan {
  readonly mappings: readonly ReadyMapping[]
  /** One of them makes the record on the topic of events. */
  readonly isMapped: boolean
}

function planOf(all: readonly ReadyMapping[], source: string): Plan {
  const mappings = all.filter(({ sources }) => sources === undefined || sources.includes(source))
  return { mappings, isMapped: mappings.some(({ topic }) => topic === undefined) }
}

/** The record that is ours. */
function recordOf(event: Event): AppendRecord {
  return {
    key: event.partyId ?? event.eventId,
    value: encodeEvent(event),
    schema: eventRecordSchema.fingerprint,
  }
}

function mapped(
  mapping: ReadyMapping,
  event: Event,
  request: MappingRequest,
): AppendRecord | undefined {
  const value = encodedBy(mapping, event, request)
  if (value === undefined) return
  return {
    key: event.partyId ?? event.eventId,
    value,
    schema: mapping.fingerprint,
    headers: headersOf(event),
    ...(mapping.topic !== undefined && { copyTo: mapping.topic }),
  }
}

function encodedBy(
  { name, map, encoder }: ReadyMapping,
  event: Event,
  request: MappingRequest,
): Buffer | undefined {
  try {
    const record = map(event, request)
    if (record === null) return
    if (typeof record !== 'object') throw new Error('what it returns is no object')
    return encoder.encode(record)
  } catch (thrown) {
    const { message } = toError(thrown)
    const reason = isMillraceError(thrown, 'event_unmapped')
      ? message.slice(message.indexOf(': ') + 2)
      : `it throws: ${message}`
    throw new MillraceError('event_unmapped', `${name}: ${reason}`, { cause: thrown })
  }
}

function prepare(mapping: Mapping): ReadyMapping {
  const { name, schemaText } = mapping
  let encoder: RecordEncoder
  try {
    encoder = createRecordEncoder(schemaText)
  } catch (thrown) {
    throw invalid(name, `the schema: ${toError(thrown).message}`, thrown)
  }
  if (encoder.name.startsWith('millrace.')) {
    throw invalid(name, `the schema has the name ${encoder.name} of a record of ours`)
  }
  const ready = { ...mapping, encoder, fingerprint: fingerprintOf(schemaText) }
  tryOut(ready)
  return ready
}

/**
 * A function says only when it is called what it gives: so it is called with made-up events, one
 * with all members and one with as few as can be. Wrong is what no event could make right: a field
 * that the schema has not, a value of the wrong kind, a required field that it never names.
 */
function tryOut({ name, map, encoder, sources }: ReadyMapping): void {
  const named = new Set<string>()
  const faults: unknown[] = []
  let records = 0
  for (const { event, request } of sampleEvents(sources)) {
    let record: Readonly<Record<string, unknown>> | null
    try {
      record = map(event, request)
    } catch (thrown) {
      faults.push(thrown)
      continue
    }
    if (record === null) continue
    if (typeof record !== 'object') throw invalid(name, 'what it returns is no object')
    records++
    for (const field of Object.keys(record)) named.add(field)
    const fault = encoder.faultOf(record)
    if (fault !== undefined) throw invalid(name, fault)
  }
  if (faults.length === sampleEvents(sources).length) {
    throw invalid(name, `it throws: ${toError(faults[0]).message}`, faults[0])
  }
  const missing = encoder.fields.find((field) => field.isRequired && !named.has(field.name))
  if (records > 0 && missing !== undefined) {
    throw invalid(name, `the field ${missing.name} is required and the mapping never sets it`)
  }
}

function invalid(name: string, reason: string, cause?: unknown): MillraceError {
  return new MillraceError('config_invalid', `mappings.${name}: ${reason}`, { cause })
}
