import { existsSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { isIP } from 'node:net'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { z } from 'zod'
import { MillraceError } from './event/error.ts'
import { deepFreeze, mergeSettings, nearest } from './lib/settings.ts'

/**
 * Every setting, its default and its reason. Read once at start, validated, frozen. The order of
 * precedence: flag, then environment, then millrace.config.ts, then the default.
 */

const KiB = 1024
const MiB = 1024 * KiB
const GiB = 1024 * MiB

const port = z.int().min(0).max(65535)
const positive = z.int().min(1)
const bytes = z.int().min(1)

const collectSchema = z.strictObject({
  /** Loopback until you decide otherwise: a collector that the world can reach is a decision. */
  host: z.string().default('127.0.0.1'),
  /** Divolte's port. 0 takes a free one. */
  port: port.default(8290),
  /** Origins whose pages may POST events; `*` is any, as anybody may send a GET anyway. */
  allowedOrigins: z.array(z.string()).default(['*']),
  /** Addresses or CIDR ranges of proxies whose X-Forwarded-For is believed. */
  trustedProxies: z.array(z.string()).default([]),
  /** `masked` keeps /24 of IPv4 and /48 of IPv6: enough for a country, not for a person. */
  address: z.enum(['masked', 'full', 'none']).default('masked'),
  /** Take no party from anyone: events without identifiers are then welcome. */
  cookieless: z.boolean().default(false),
  /** The event parameter that names the item. */
  itemIdParameter: z.string().min(1).default('item_id'),
  /** Show the demo page and /metrics to other machines than this one. */
  publicPages: z.boolean().default(false),
  /** Longest query string. A tag's event has 500 bytes; browsers and proxies stop at 8 to 64 KiB. */
  queryBytesMax: bytes.default(16 * KiB),
  /** Largest body of POST /events: what `fetch` with keepalive can carry, four times over. */
  bodyBytesMax: bytes.default(256 * KiB),
  /** Most events in one body. */
  batchEventsMax: positive.default(500),
  /** Largest JSON text of one event's own parameters. */
  parametersBytesMax: bytes.default(32 * KiB),
  /** Deepest nesting of one event's own parameters. */
  parametersDepthMax: positive.default(16),
  /** Longest event type, id and other short texts, in characters. */
  textCharactersMax: positive.default(256),
  /** Longest location and referer, in characters; browsers cut at 2 to 8 thousand. */
  urlCharactersMax: positive.default(8192),
  /** Longest user agent, in characters; the rest is cut. */
  userAgentCharactersMax: positive.default(512),
  /** Most connections at once. */
  connectionsMax: positive.default(10_000),
  /** How long a client may take to send its request. */
  requestTimeoutMs: positive.default(10_000),
  /** How long an idle connection is kept. */
  keepAliveTimeoutMs: positive.default(65_000),
  /** Most events that wait to be stored; past it, 503. */
  queueEventsMax: positive.default(20_000),
  /** Most bytes of events that wait to be stored; past it, 503. */
  queueBytesMax: bytes.default(64 * MiB),
  /** Requests per second and address, sustained, and the burst above it; 0 switches the limit off. */
  requestsPerSecondMax: z.int().min(0).default(100),
  requestsBurstMax: positive.default(1_000),
  /** Refused requests kept as dead letters, per second and in bytes per second; past it they are counted only. */
  rejectionsPerSecondMax: z.int().min(0).default(50),
  rejectionBytesPerSecondMax: z
    .int()
    .min(0)
    .default(128 * KiB),
  /** How long /ping says 503 before the collector stops listening, for load balancers to notice. */
  shutdownDelayMs: z.int().min(0).default(0),
  /** How long requests under way may take to end at a stop. */
  shutdownTimeoutMs: positive.default(10_000),
})

const tagSchema = z.strictObject({
  /** The script's name: `/divolte.js`. */
  name: z
    .string()
    .regex(/^[A-Za-z0-9_-]+\.js$/)
    .default('divolte.js'),
  /** What is appended to the script's folder for events. */
  eventSuffix: z
    .string()
    .regex(/^[A-Za-z0-9_-]+$/)
    .default('csc-event'),
  partyCookie: z.string().min(1).default('_dvp'),
  partyTimeoutDays: positive.default(730),
  sessionCookie: z.string().min(1).default('_dvs'),
  sessionTimeoutMinutes: positive.default(30),
  /** The cookies' domain; unset, the host of the page. */
  cookieDomain: z.string().min(1).optional(),
  autoPageView: z.boolean().default(true),
  /** How long the tag waits for one event before it goes on to the next. */
  eventTimeoutMs: positive.default(750),
})

const apiSchema = z.strictObject({
  /** Loopback; another host needs a token of at least 32 characters. */
  host: z.string().default('127.0.0.1'),
  port: port.default(8291),
  token: z.string().optional(),
  /** Host names, besides the address itself, under which the API may be asked. */
  allowedHosts: z.array(z.string()).default([]),
  /** Most events in one answer. */
  eventsMax: positive.default(10_000),
  /** Most live tails at once. */
  liveMax: positive.default(64),
})

const logSchema = z.strictObject({
  backend: z.enum(['embedded']).default('embedded'),
  /** How long the log keeps what is read: the span in which a replay can mend the store. */
  retentionDays: positive.default(7),
  /** Most bytes of the log, a tenth of it for refused requests; read segments go first, unread ones never: then the collector says 503. */
  maxBytes: z
    .int()
    .min(16 * MiB)
    .default(10 * GiB),
  /** Size at which a new segment is begun; retention frees whole segments. A quarter of a small log at most. */
  segmentBytes: bytes.default(256 * MiB),
  /** Shortest time between two syncs: under load events share one, alone they do not wait. */
  syncIntervalMs: z.int().min(0).default(4),
  /** Disk that is left free: below it the log is full. */
  diskReserveBytes: z
    .int()
    .min(0)
    .default(256 * MiB),
})

const storeSchema = z.strictObject({
  backend: z.enum(['embedded']).default('embedded'),
  /** Days of events that can be asked for: 90 and two to spare. */
  retentionDays: positive.default(92),
  /** Memory for questions and writes; the rest spills to disk. */
  memoryBytes: bytes.default(512 * MiB),
  /** Threads of the store; 0 takes one per core. */
  threads: z.int().min(0).default(0),
})

const consumeSchema = z.strictObject({
  /** Most records in one write: larger is cheaper per event, smaller is fresher. */
  batchRecords: positive.default(6_000),
  /** Shortest time between two writes: under load events share one, alone they do not wait. */
  writeIntervalMs: z.int().min(0).default(200),
  /** Wait after a failed write, doubling up to the second figure. */
  retryInitialMs: positive.default(100),
  retryMaxMs: positive.default(15_000),
  /** How often retention frees log and store. */
  housekeepingMs: positive.default(60_000),
  /** How long a stop may go on storing what is already on the log; the rest waits there. */
  drainTimeoutMs: z.int().min(0).default(5_000),
})

const sections = {
  collect: collectSchema,
  tag: tagSchema,
  api: apiSchema,
  log: logSchema,
  store: storeSchema,
  consume: consumeSchema,
}

const configSchema = z.strictObject({
  /** The folder of log and store. */
  data: z.string().min(1).default('./data'),
  collect: collectSchema.prefault({}),
  tag: tagSchema.prefault({}),
  api: apiSchema.prefault({}),
  log: logSchema.prefault({}),
  store: storeSchema.prefault({}),
  consume: consumeSchema.prefault({}),
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

/** The address of an API that the command line asks instead of the data folder's owner. */
export function apiUrlOverride(env: Environment = process.env): string | undefined {
  return env['MILLRACE_API_URL']
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

const rules: readonly Rule[] = [
  apiBeyondLoopbackNeedsToken,
  tokenIsLongEnough,
  portsDoNotCollide,
  proxiesAreAddresses,
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

async function readConfigFile(sources: ConfigSources, env: Environment): Promise<unknown> {
  const named = sources.file ?? env['MILLRACE_CONFIG']
  const path = resolve(sources.folder, named ?? 'millrace.config.ts')
  if (!existsSync(path)) {
    if (named === undefined) return {}
    throw invalid([`the file ${path} does not exist`])
  }
  // A configuration file finds `defineConfig` wherever it lies, in a clone that was never built too.
  const hooks = registerHooks({
    resolve: (specifier, context, next) =>
      specifier === 'millrace/config'
        ? { url: import.meta.url, shortCircuit: true }
        : next(specifier, context),
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
  const shape = path.length === 0 ? parsedDefaults() : parsedDefaults()[path[0] as keyof Config]
  return Object.keys(shape as object)
}

/** Levenshtein distance. */
