import type { Event } from './event.ts'

/** What a mapping may look at besides the event. Empty in a replay: requests are not kept. */
export interface MappingRequest {
  /** The name of the source: `browser`, `json`, or one of the configuration's own. */
  readonly source: string
  /** By their names in lower case, as node:http has them; cookies are those sent to the collector. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
}

/**
 * A user's own rule: what an event is as a record of a schema. Members by the names of the schema's
 * fields; null leaves the event out. It must depend on nothing but its arguments.
 */
export type MapEvent = (
  event: Event,
  request: MappingRequest,
) => Readonly<Record<string, unknown>> | null

/** A mapping, ready to be used. */
export interface Mapping {
  /** In the configuration. */
  readonly name: string
  /** The Avro schema of its records, as JSON. */
  readonly schemaText: string
  readonly map: MapEvent
  /** The sources whose events it maps; absent, all. */
  readonly sources?: readonly string[] | undefined
  /** A topic of Kafka for its records, beside the record on the topic of events; absent, that one. */
  readonly topic?: string | undefined
}
