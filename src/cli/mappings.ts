import { readFileSync } from 'node:fs'
import type { SampleSource } from '../collect/mapping/sample-request.ts'
import { tagFacts } from '../collect/party-cookie.ts'
import { openTagScripts } from '../collect/script.ts'
import type { SourceRoute } from '../collect/sources.ts'
import { builtInSources, pathsOf } from '../config/mapping.ts'
import type { Config } from '../config.ts'
import type { ForeignSchema } from '../consume/foreign.ts'
import { MillraceError } from '../event/error.ts'
import type { Mapping } from '../event/mapping.ts'
import { eventRecordSchema } from '../event/record.ts'
import { toError } from '../lib/assert.ts'

/** The sources and mappings of the configuration, each as a stage wants it. */

/** @throws MillraceError `config_invalid` when a schema's file cannot be read */
export function mappingsOf({ mappings }: Config): Mapping[] {
  return Object.entries(mappings).map(([name, { schema, map, sources, topic }]) => {
    return { name, schemaText: readSchema(name, schema), map, sources, topic }
  })
}

/** How the records of mappings become rows: of those on the topic of events. */
export function mappedSchemasOf({
  mappings,
}: Config): Pick<ForeignSchema, 'schemaText' | 'rowOf'>[] {
  return Object.entries(mappings)
    .filter(([, { topic }]) => topic === undefined)
    .map(([name, { schema, rowOf }]) => ({ schemaText: readSchema(name, schema), rowOf }))
}

/** The schemas by which a collector writes: ours too unless mappings take all sources. */
export function writtenSchemasOf(config: Config): string[] {
  const mappings = mappingsOf(config)
  const known = [...builtInSources, ...Object.keys(config.sources)]
  const taken = mappings
    .filter(({ topic }) => topic === undefined)
    .flatMap(({ sources = known }) => sources)
  const own = known.every((name) => taken.includes(name)) ? [] : [eventRecordSchema.text]
  return [...new Set([...own, ...mappings.map(({ schemaText }) => schemaText)])]
}

/** Where records of one schema go in Kafka. */
interface SchemaTopics {
  readonly schemaText: string
  /** Undefined is the topic of events. */
  readonly topics: readonly (string | undefined)[]
}

/** Of each mapping's schema. */
export function schemaTopicsOf(config: Config): SchemaTopics[] {
  const topics = new Map<string, Set<string | undefined>>()
  for (const { schemaText, topic } of mappingsOf(config)) {
    const known = topics.get(schemaText) ?? new Set()
    topics.set(schemaText, known.add(topic))
  }
  return [...topics].map(([schemaText, known]) => ({ schemaText, topics: [...known] }))
}

/** Builds the scripts of the sources that have one. */
export async function openSources({ sources }: Config): Promise<SourceRoute[]> {
  const routes: SourceRoute[] = []
  for (const [name, source] of Object.entries(sources)) {
    if (source.type === 'json') {
      routes.push({ ...source, name })
      continue
    }
    const [scriptPath, eventPath = scriptPath] = pathsOf(source)
    const scripts = await openTagScripts(source)
    const { partyCookie } = tagFacts(source)
    routes.push({ type: 'browser', name, scriptPath, eventPath, scripts, partyCookie })
  }
  return routes
}

/** The sources as requests that are made up know them. */
export function sampleSourcesOf(sources: Config['sources']): SampleSource[] {
  return Object.entries(sources).map(([name, source]) => {
    const path = pathsOf(source).at(-1) ?? ''
    return source.type === 'json'
      ? { name, path, partyIdParameter: source.partyIdParameter }
      : { name, path }
  })
}

function readSchema(name: string, file: string): string {
  try {
    const text = readFileSync(file, 'utf8')
    JSON.parse(text)
    return text
  } catch (thrown) {
    const detail = `mappings.${name}.schema ${file}: ${toError(thrown).message}`
    throw new MillraceError('config_invalid', detail, { cause: thrown })
  }
}
