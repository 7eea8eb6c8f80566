import avro from 'avsc'
import { MillraceError } from './error.ts'
import type { ClockSource, Event, Privacy, Rejection, Source } from './event.ts'
import type { EventId, PageViewId, PartyId, SessionId } from './identifier.ts'
import { divolteSchema, eventSchema, fingerprintOf, rejectionSchema } from './schema.ts'

/** An Avro record as avsc gives it: one property for each field, longs as numbers. */
export type AvroRecord = Record<string, unknown>

/** The text of a schema and the fingerprint under which logs keep it. */
export interface RecordSchema {
  readonly text: string
  readonly fingerprint: string
}

/** Takes Divolte's record for an event too. */
const eventReader = avro.Type.forSchema({
  ...eventSchema,
  aliases: [`${divolteSchema.namespace}.${divolteSchema.name}`],
} as never)
const rejectionType = avro.Type.forSchema(rejectionSchema as never)

/** The schema of what `encodeEvent` writes. */
export const eventRecordSchema: RecordSchema = recordSchemaOf(JSON.stringify(eventSchema))
/** The schema of what `encodeRejection` writes. */
export const rejectionRecordSchema: RecordSchema = recordSchemaOf(JSON.stringify(rejectionSchema))

export function recordSchemaOf(text: string): RecordSchema {
  return { text, fingerprint: fingerprintOf(text) }
}

/** Encodes a rejection as naked Avro by `rejectionSchema`. */
export function encodeRejection(rejection: Rejection): Buffer {
  return rejectionType.toBuffer(rejection)
}

/** Reads values of one writer schema as our record; see `createDecoder`. */
export interface Decoder {
  /** @throws MillraceError `record_undecodable` when the bytes are not one value of the schema */
  readonly event: (value: Uint8Array) => Event
  /** @throws MillraceError `record_undecodable` likewise */
  readonly rejection: (value: Uint8Array) => Rejection
}

/**
 * A decoder of values written by the schema `writerText`, resolved to our own schema of today:
 * fields that the writer did not know take their defaults, fields that we do not know are skipped.
 * @throws MillraceError `schema_incompatible` when the two can't be resolved
 */
export function createDecoder(writerText: string): Decoder {
  let name: string | undefined
  try {
    const writer = avro.Type.forSchema(JSON.parse(writerText))
    name = writer.name
    const reader = name === rejectionType.name ? rejectionType : eventReader
    const resolver = writer.equals(reader) ? undefined : reader.createResolver(writer)
    const decode = (value: Uint8Array): AvroRecord => decodeWhole(reader, resolver, value)
    return {
      event: (value) => toEvent(decode(value)),
      rejection: (value) => decode(value) as unknown as Rejection,
    }
  } catch (thrown) {
    throw new MillraceError('schema_incompatible', name ?? 'unnamed', { cause: thrown })
  }
}

/** @throws MillraceError `record_undecodable` when the bytes are not one value of the schema */
export function decodeWhole(type: avro.Type, resolver: unknown, value: Uint8Array): AvroRecord {
  const buffer = Buffer.isBuffer(value)
    ? value
    : Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  try {
    return type.fromBuffer(buffer, resolver as never) as AvroRecord
  } catch (thrown) {
    throw new MillraceError('record_undecodable', (thrown as Error).message, { cause: thrown })
  }
}

/** The event of a record with the fields of `eventSchema`. */
export function toEvent(record: AvroRecord): Event {
  return {
    eventId: record['eventId'] as EventId,
    partyId: record['partyId'] as PartyId | null,
    sessionId: record['sessionId'] as SessionId | null,
    pageViewId: record['pageViewId'] as PageViewId | null,
    eventType: record['eventType'] as string,
    eventTime: record['eventTime'] as number,
    clockSource: record['clockSource'] as ClockSource,
    receivedAt: record['timestamp'] as number,
    clientTime: record['clientTimestamp'] as number,
    location: record['location'] as string | null,
    referer: record['referer'] as string | null,
    remoteAddress: record['remoteHost'] as string,
    parameters: record['parameters'] as string | null,
    itemId: record['itemId'] as string | null,
    sequence: record['sequence'] as number | null,
    firstInSession: record['firstInSession'] as boolean,
    newParty: record['newParty'] as boolean,
    duplicate: record['detectedDuplicate'] as boolean,
    corrupt: record['detectedCorruption'] as boolean,
    viewportWidth: record['viewportPixelWidth'] as number | null,
    viewportHeight: record['viewportPixelHeight'] as number | null,
    screenWidth: record['screenPixelWidth'] as number | null,
    screenHeight: record['screenPixelHeight'] as number | null,
    devicePixelRatio: record['devicePixelRatio'] as number | null,
    userAgent: record['userAgentString'] as string | null,
    agent: {
      name: record['userAgentName'] as string | null,
      family: record['userAgentFamily'] as string | null,
      vendor: record['userAgentVendor'] as string | null,
      type: record['userAgentType'] as string | null,
      version: record['userAgentVersion'] as string | null,
      deviceCategory: record['userAgentDeviceCategory'] as string | null,
      osFamily: record['userAgentOsFamily'] as string | null,
      osVersion: record['userAgentOsVersion'] as string | null,
      osVendor: record['userAgentOsVendor'] as string | null,
    },
    bot: record['bot'] as string | null,
    privacy: record['privacy'] as Privacy | null,
    source: record['source'] as Source,
    country: record['country'] as string | null,
  }
}
