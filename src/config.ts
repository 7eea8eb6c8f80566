import { existsSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { isIP } from 'node:net'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { z } from 'zod'
import { apiSchema } from './config/api.ts'
import { cassandraFaults, cassandraSchema } from './config/cassandra.ts'
import { collectSchema } from './config/collect.ts'
import { consumeFaults, consumeSchema } from './config/consume.ts'
import { kafkaFaults, kafkaSchema } from './config/kafka.ts'
import { logSchema } from './config/log.ts'
import {
  mappingFaults,
  mappingSchema,
  mappingsSchema,
  sourceFaults,
  sourcesSchema,
} from './config/mapping.ts'
import { recommendSchema } from './config/recommend.ts'
import { spoolSchema } from './config/spool.ts'
import { storeSchema } from './config/store.ts'
import { tagSchema } from './config/tag.ts'
import { MillraceError } from './event/error.ts'
import { deepFreeze, mergeSettings, nearest } from './lib/settings.ts'

/**
 * The configuration: read once at start, validated, frozen. Each section's settings, with default
 * and reason, are in its file in config/. The order of precedence: flag, then environment, then
 * millrace.config.ts, then the default.
 */

const sections = {
  collect: collectSchema,
  tag: tagSchema,
  api: apiSchema,
  log: logSchema,
  kafka: kafkaSchema,
  spool: spoolSchema,
  store: storeSchema,
  cassandra: cassandraSchema,
  consume: consumeSchema,
  recommend: recommendSchema,
}

const configSchema = z.strictObject({
  /** The folder of log and store. */
  data: z.string().min(1).default('./data'),
  collect: collectSchema.prefault({}),
  tag: tagSchema.prefault({}),
  api: apiSchema.prefault({}),
  log: logSchema.prefault({}),
  kafka: kafkaSchema.prefault({}),
  spool: spoolSchema.prefault({}),
  store: storeSchema.prefault({}),
  cassandra: cassandraSchema.prefault({}),
  consume: consumeSchema.prefault({}),
  recommend: recommendSchema.prefault({}),
  sources: sourcesSchema.default({}),
  mappings: mappingsSchema.default({}),
})

/** The whole configuration, every setting decided. */
export type Config = z.output<typeof configSchema>
/** What a user writes: any part of it. */
export type ConfigInput = z.input<typeof configSchema>

/** Types a configuration file: `export default defineConfig({ collect: { port: 80 } })`. */
export function defineConfig(config: ConfigInput): ConfigInput {
  return config
}

type Path = readonly [section: string, key?: string]

/** Variables with a short name of their own; all others are `MILLRACE_SECTION_SETTING_NAME`. */
const shortNames: Readonly<Record<string, Path>> = {
  MILLRACE_DATA: ['data'],
  MILLRACE_LOG: ['log', 'backend'],
  MILLRACE_STORE: ['store', 'backend'],
  MILLRACE_RETENTION_DAYS: ['store', 'retentionDays'],
  MILLRACE_RECORD_SCHEMA: ['consume', 'recordSchema'],
}

/** Environment variable → setting, for every setting there is. */
function environmentNames(): Record<string, Path> {
  const names: Record<string, Path> = { ...shortNames }
  for (const [section, schema] of Object.entries(sections)) {
    for (const key of Object.keys(schema.shape)) {
      const constant = key.replace(/[A-Z]/g, '_$&').toUpperCase()
      names[`MILLRACE_${section.toUpperCase()}_${constant}`] = [section, key]
    }
  }
  return names
}

/** Read by the command line, not part of the configuration. */
const environmentElsewhere = ['MILLRACE_API_URL', 'MILLRACE_CONFIG']

/** The address of an API that the command line asks instead of the data folder's owner; '' is none. */
export function apiUrlOverride(env: Environment = process.env): string | undefined {
  return env['MILLRACE_API_URL'] || undefined
}

/** True in a script of npm, whose shell does not pass signals on. */
export function isRunByNpm(env: Environment = process.env): boolean {
  return env['npm_lifecycle_event'] !== undefined
}

/** Where settings come from. */
export interface ConfigSources {
  /** The environment; the process's own when absent. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** The folder in which `millrace.config.ts` is looked for. */
  readonly folder: string
  /** A configuration file named by the user; it must exist. */
  readonly file?: string
  /** Settings given as flags, in the shape of the configuration. */
  readonly flags?: ConfigInput
}

/**
 * Reads, merges, validates and freezes the configuration.
 * @throws MillraceError `config_invalid` with every fault found, and for an unknown name the nearest known one
 */
export async function loadConfig(sources: ConfigSources): Promise<Config> {
  const env = sources.env ?? process.env
  const fromFile = await readConfigFile(sources, env)
  const fromOutside = mergeSettings(readEnvironment(env), sources.flags ?? {})
  const merged = mergeSettings(fromFile, fromOutside)
  return parseConfig(merged)
}

/** Validates one object as a whole configuration; see `loadConfig`. */
export function parseConfig(input: unknown): Config {
  const result = configSchema.safeParse(input)
  if (!result.success) throw invalid(result.error.issues.map(describeIssue))
  const faults = rules.flatMap((rule) => rule(result.data) ?? [])
  if (faults.length > 0) throw invalid(faults)
  return deepFreeze(result.data)
}

function invalid(faults: readonly string[]): MillraceError {
  return new MillraceError('config_invalid', faults.join('; '))
}

/** Rules over several settings, each with a name that says what it keeps. */
type Rule = (config: Config) => string | undefined

const apiBeyondLoopbackNeedsToken: Rule = ({ api }) => {
  if (isLoopbackHost(api.host) || (api.token ?? '').length >= 32) return
  return `api.host ${api.host} can be reached from other machines, so api.token (MILLRACE_API_TOKEN) needs at least 32 characters`
}

const tokenIsLongEnough: Rule = ({ api }) => {
  if (api.token === undefined || api.token.length >= 32) return
  return 'api.token (MILLRACE_API_TOKEN) needs at least 32 characters'
}

const portsDoNotCollide: Rule = ({ collect, api }) => {
  if (collect.port !== api.port || api.port === 0) return
  return `collect.port and api.port are both ${api.port}`
}

const proxiesAreAddresses: Rule = ({ collect }) => {
  const bad = collect.trustedProxies.filter((range) => !isAddressRange(range))
  return bad.length === 0
    ? undefined
    : `collect.trustedProxies has no address or CIDR range: ${bad.join(', ')}`
}

const cassandraGoesTogether: Rule = ({ cassandra }) =>
  cassandraFaults(cassandra).join('; ') || undefined

const kafkaGoesTogether: Rule = ({ kafka }) => kafkaFaults(kafka).join('; ') || undefined

const consumeGoesTogether: Rule = ({ consume, log }) =>
  consumeFaults(consume, log.backend).join('; ') || undefined

const sourcesStandApart: Rule = ({ sources, tag }) =>
  sourceFaults(sources, tag).join('; ') || undefined

const mappingsGoTogether: Rule = ({ mappings, sources, log, kafka }) =>
  mappingFaults(mappings, sources, { ...kafka, logBackend: log.backend }).join('; ') || undefined

const mappingsNeedATopicOfOurs: Rule = ({ mappings, consume }) =>
  Object.keys(mappings).length > 0 && consume.recordSchema !== 'event'
    ? 'mappings write records, and consume.recordSchema says that others do'
    : undefined

const rules: readonly Rule[] = [
  apiBeyondLoopbackNeedsToken,
  tokenIsLongEnough,
  portsDoNotCollide,
  proxiesAreAddresses,
  kafkaGoesTogether,
  cassandraGoesTogether,
  consumeGoesTogether,
  sourcesStandApart,
  mappingsGoTogether,
  mappingsNeedATopicOfOurs,
]

/** True for the names and addresses of this machine alone. */
export function isLoopbackHost(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
}

function isAddressRange(range: string): boolean {
  const [address = '', prefix, ...rest] = range.split('/')
  const version = isIP(address)
  if (version === 0 || rest.length > 0) return false
  return (
    prefix === undefined ||
    (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (version === 4 ? 32 : 128))
  )
}

type Environment = Readonly<Record<string, string | undefined>>

/** Where the configuration file is, or would be. */
export function configPath({ folder, file, env = process.env }: ConfigSources): string {
  return resolve(folder, file ?? (env['MILLRACE_CONFIG'] || 'millrace.config.ts'))
}

async function readConfigFile(sources: ConfigSources, env: Environment): Promise<unknown> {
  const path = configPath({ ...sources, env })
  if (!existsSync(path)) {
    if (sources.file === undefined && !env['MILLRACE_CONFIG']) return {}
    throw invalid([`the file ${path} does not exist`])
  }
  // A configuration file finds `defineConfig` wherever it lies, in a clone that was never built too.
  const hooks = registerHooks({
    resolve: (specifier, context, next) => {
      const url = ownModule(specifier)
      return url === undefined ? next(specifier, context) : { url, shortCircuit: true }
    },
  })
  try {
    const module = (await import(pathToFileURL(path).href)) as { default?: unknown }
    if (module.default === undefined) throw new Error('it has no default export')
    return module.default
  } catch (thrown) {
    throw new MillraceError('config_invalid', `${path}: ${(thrown as Error).message}`, {
      cause: thrown,
    })
  } finally {
    hooks.deregister()
  }
}

/** What a configuration file imports of ours: unbuilt in a clone, else what is published. */
function ownModule(specifier: string): string | undefined {
  if (specifier === 'millrace/config') return import.meta.url
  const extension = import.meta.url.slice(import.meta.url.lastIndexOf('.'))
  if (specifier !== 'millrace/mapping') return
  return new URL(`collect/mapping/mapping${extension}`, import.meta.url).href
}

function readEnvironment(env: Environment): Record<string, unknown> {
  const settings: Record<string, unknown> = {}
  const environment = environmentNames()
  for (const [name, text] of Object.entries(env)) {
    if (!name.startsWith('MILLRACE_') || text === undefined || environmentElsewhere.includes(name))
      continue
    const path = environment[name]
    if (path === undefined) {
      throw invalid([
        `unknown environment variable ${name}${nearest(name, Object.keys(environment))}`,
      ])
    }
    const [section, key] = path
    if (key === undefined) settings[section] = text
    else
      settings[section] = { ...(settings[section] as object), [key]: fromText(text, section, key) }
  }
  return settings
}

/** Environment values are texts: numbers, lists and switches are read by what the default is. */
export function fromText(text: string, section: string, key: string): unknown {
  const settings = parsedDefaults()[section as keyof Config] as Record<string, unknown> | undefined
  const fallback = settings?.[key]
  if (Array.isArray(fallback)) {
    const parts = text.split(',').map((part) => part.trim())
    return parts.filter((part) => part !== '')
  }
  if (typeof fallback === 'boolean' && /^(true|false)$/.test(text)) return text === 'true'
  if (typeof fallback !== 'number') return text
  return /^\d+$/.test(text.trim()) ? Number(text) : text
}

function parsedDefaults(): Config {
  return configSchema.parse({})
}

function describeIssue(issue: z.core.$ZodIssue): string {
  const where = issue.path.join('.')
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeys(issue.path)
    return issue.keys
      .map((key) => `unknown setting ${[...issue.path, key].join('.')}${nearest(key, known)}`)
      .join('; ')
  }
  return `${where === '' ? 'the configuration' : where}: ${issue.message}`
}

function knownKeys(path: readonly PropertyKey[]): string[] {
  if (path[0] === 'mappings') return Object.keys(mappingSchema.shape)
  const shape = path.length === 0 ? parsedDefaults() : parsedDefaults()[path[0] as keyof Config]
  return Object.keys(shape as object)
}
