import { z } from 'zod'
import type { MapEvent } from '../event/mapping.ts'
import { hasNoDots, noDots } from './path.ts'
import { tagSchema } from './tag.ts'
import { bytes, KiB } from './units.ts'

type RowOf = (record: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>

const isFunction = (value: unknown): boolean => typeof value === 'function'
const topicName = z.string().regex(/^[A-Za-z0-9._-]{1,200}$/)

/** A tag of its own under a path of its own, for another site. */
const browserSourceSchema = z.strictObject({
  type: z.literal('browser'),
  /** Where its script and its events are: `/shop/` has `/shop/divolte.js` and `/shop/csc-event`. */
  prefix: z
    .string()
    .regex(/^\/(?:[A-Za-z0-9._-]+\/)+$/, 'it must look like /shop/')
    .refine(hasNoDots, noDots),
  ...tagSchema.shape,
})

/** Events of programs as Divolte's JSON source takes them: one object a request, snake_case keys. */
const jsonSourceSchema = z.strictObject({
  type: z.literal('json'),
  /** `/` as well, Divolte's default: GET `/` stays the page. */
  path: z
    .string()
    .regex(/^(?:\/|(?:\/[A-Za-z0-9._-]+)+)$/, 'it must look like /mob-event')
    .refine(hasNoDots, noDots),
  /** The parameter of the query string that has the party. */
  partyIdParameter: z.string().min(1).default('p'),
  bodyBytesMax: bytes.default(4 * KiB),
})

const name = z.string().regex(/^[A-Za-z][A-Za-z0-9_-]{0,63}$/, 'it must look like shop_2')

/** Sources beside `browser` (section `tag`) and `json` (`POST /events`), which are always there. */
export const sourcesSchema = z.record(
  name,
  z.discriminatedUnion('type', [browserSourceSchema, jsonSourceSchema]),
)

/** One rule from events to records of a user's own schema. */
export const mappingSchema = z.strictObject({
  /** The path of the Avro schema (.avsc) of the records. */
  schema: z.string().min(1),
  /** `(event, request) => record`; null leaves the event out. */
  map: z.custom<MapEvent>(isFunction, 'it must be a function'),
  /** Names of the sources whose events it takes; unset, all. */
  sources: z.array(z.string()).min(1).optional(),
  /**
   * A topic of Kafka that gets these records beside what the topic of events gets; nothing of ours
   * reads it. Unset, they are the records on the topic of events, which the store is filled from.
   */
  topic: topicName.optional(),
  /** What such a record is as a row of the store: members of `Event`; the others go by their names. */
  rowOf: z.custom<RowOf>(isFunction, 'it must be a function').optional(),
})

export const mappingsSchema = z.record(name, mappingSchema)

type Sources = z.output<typeof sourcesSchema>
type Mappings = z.output<typeof mappingsSchema>

/** Sources that need not be configured. */
export const builtInSources: readonly string[] = ['browser', 'json']

/** Paths of the public port that are taken. */
const takenPaths = [
  '/events',
  '/recommendations',
  '/ping',
  '/metrics',
  '/shop',
  '/inspect',
  '/favicon.ico',
]

/** Sources whose names or paths are those of others. */
export function sourceFaults(sources: Sources, tag: z.output<typeof tagSchema>): string[] {
  const faults: string[] = []
  const owners = new Map(takenPaths.map((path) => [path, 'Millrace']))
  owners.set(`/${tag.name}`, 'tag').set(`/${tag.eventSuffix}`, 'tag')
  for (const [name, source] of Object.entries(sources)) {
    if (builtInSources.includes(name)) faults.push(`sources.${name} is there already`)
    for (const path of pathsOf(source)) {
      const owner = owners.get(path)
      if (owner !== undefined) faults.push(`sources.${name}: ${path} belongs to ${owner}`)
      owners.set(path, `sources.${name}`)
    }
  }
  return faults
}

/** The addresses of a source: of its script, then of its events; a JSON source has no script. */
export function pathsOf(
  source: Sources[string],
): [script: string, event: string] | [event: string] {
  if (source.type === 'json') return [source.path]
  return [`${source.prefix}${source.name}`, `${source.prefix}${source.eventSuffix}`]
}

/** What mappings may not be together. */
export function mappingFaults(
  mappings: Mappings,
  sources: Sources,
  { logBackend, framing, topic }: { logBackend: string; framing: string; topic: string },
): string[] {
  const known = [...builtInSources, ...Object.keys(sources)]
  const faults: string[] = []
  const mappedBy = new Map<string, string>()
  for (const [name, mapping] of Object.entries(mappings)) {
    const taken = mapping.sources ?? known
    const unknown = taken.filter((source) => !known.includes(source))
    if (unknown.length > 0) {
      faults.push(`mappings.${name}.sources: there is no ${unknown.join(', ')}`)
    }
    if (mapping.topic === topic) faults.push(`mappings.${name}.topic is kafka.topic: leave it out`)
    if (mapping.topic !== undefined && logBackend !== 'kafka') {
      faults.push(`mappings.${name}.topic needs log.backend kafka: nothing else reads a copy`)
    }
    if (mapping.topic !== undefined) continue
    for (const source of taken) {
      const other = mappedBy.get(source)
      if (other === undefined) mappedBy.set(source, name)
      else faults.push(`mappings.${other} and ${name} both map ${source}: give one a topic`)
    }
  }
  const isMixed = mappedBy.size > 0 && mappedBy.size < known.length
  if (framing === 'confluent' && (isMixed || new Set(mappedBy.values()).size > 1)) {
    faults.push('with kafka.framing confluent one mapping without a topic takes all sources')
  }
  return faults
}
