import { MillraceError } from '../../event/error.ts'
import type { SchemaRegistry } from './registry.ts'

/**
 * How a record's value lies in Kafka.
 *
 *     naked       VALUE
 *     confluent   00 SCHEMA-ID VALUE      the id as 4 bytes, big endian
 *
 * Both name the schema's fingerprint in the header `millrace-schema` too, when we write. Records of
 * others have no such header; their schema is then named by the frame, or by the configuration.
 */
export interface Framing {
  /**
   * Makes a schema known before records name it.
   * @throws MillraceError `registry_unavailable`, `registry_refused`
   */
  addSchema(fingerprint: string, text: string): Promise<void>
  /** The bytes to send. @throws MillraceError `schema_unknown` when `addSchema` was not called */
  wrap(value: Uint8Array, fingerprint: string): Buffer
  /** The record's own bytes, and the name of their schema where the frame says one. */
  unwrap(value: Buffer): { readonly value: Buffer; readonly schema?: string }
  /** The text of a schema that `unwrap` named, or undefined. */
  schema(name: string): Promise<string | undefined>
}

export type FramingName = 'naked' | 'confluent'

export const nakedFraming: Framing = {
  addSchema: async () => {},
  wrap: (value) => toBuffer(value),
  unwrap: (value) => ({ value }),
  schema: async () => undefined,
}

const magic = 0
const frameBytes = 5

/** `registry-ID` stands where a fingerprint would. */
const schemaName = /^registry-(\d{1,10})$/

/**
 * Registers schemas under `subject`, by default the topic's name with `-value`.
 * @param subjectsOf the subjects of the schema with this fingerprint, where it is not for `subject`
 */
export function createConfluentFraming(
  registry: SchemaRegistry,
  subject: string,
  subjectsOf: (fingerprint: string) => readonly string[] | undefined = () => undefined,
): Framing {
  const heads = new Map<string, Buffer>()
  return {
    async addSchema(fingerprint, text) {
      const head = Buffer.alloc(frameBytes)
      head.writeUInt8(magic, 0)
      // A registry gives one text one id, whatever subjects it has.
      for (const one of subjectsOf(fingerprint) ?? [subject]) {
        head.writeUInt32BE(await registry.register(one, text), 1)
      }
      heads.set(fingerprint, head)
    },
    wrap(value, fingerprint) {
      const head = heads.get(fingerprint)
      if (head === undefined) throw new MillraceError('schema_unknown', fingerprint)
      return Buffer.concat([head, value])
    },
    unwrap(value) {
      // Somebody wrote naked bytes into the topic: a dead letter, as no schema has an empty name.
      if (value.length < frameBytes || value[0] !== magic) return { value, schema: '' }
      return { value: value.subarray(frameBytes), schema: `registry-${value.readUInt32BE(1)}` }
    },
    async schema(name) {
      const id = schemaName.exec(name)?.[1]
      return id === undefined ? undefined : registry.schema(Number(id))
    },
  }
}

function toBuffer(value: Uint8Array): Buffer {
  if (Buffer.isBuffer(value)) return value
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
}
