import { createHash } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'
import { MillraceError } from '../event/error.ts'
import { bundle } from '../lib/bundle.ts'

/**
 * The parts of the tag that a site may choose, in the order in which they are put together. Each is
 * a file of src/tag that exports a function of its own name.
 */
export const tagModules = [
  'domain',
  'httponly',
  'consent',
  'delivery',
  'pageviews',
  'spa',
  'attention',
  'campaign',
  'impressions',
  'links',
  'shelf',
] as const
export type TagModuleName = (typeof tagModules)[number]

/** The settings that are built into the script: `tag` of the configuration. */
export interface TagScriptOptions {
  /** The script's name, `divolte.js`. */
  readonly name: string
  readonly eventSuffix: string
  readonly partyCookie: string
  readonly partyTimeoutDays: number
  readonly sessionCookie: string
  readonly sessionTimeoutMinutes: number
  readonly cookieDomain?: string | undefined
  readonly autoPageView: boolean
  readonly eventTimeoutMs: number
  /** What the script does beyond the core, unless its address says otherwise. */
  readonly modules: readonly TagModuleName[]
}

/** The script as it is served: the same text in three codings. */
export interface TagScript {
  readonly body: Buffer
  readonly gzip: Buffer
  readonly brotli: Buffer
  /** Strong entity tag of `body`, with its quotes: base64 of its SHA-256. */
  readonly etag: string
}

/** The headers of a request that decide the answer, as `node:http` has them. */
export interface ScriptRequestHeaders {
  readonly 'accept-encoding'?: string | undefined
  readonly 'if-none-match'?: string | undefined
}

export interface ScriptAnswer {
  readonly status: 200 | 304
  readonly headers: Readonly<Record<string, string>>
  /** Empty with 304. */
  readonly body: Buffer
}

/** Browsers since 2017. es2020 would save 50 of 2,900 bytes (gzip) and shut out those before 2020. */
const target = 'es2017'

/** Builds the tag's script with `options` inside: well under a second, once, at start. */
export async function buildTagScript(options: TagScriptOptions): Promise<TagScript> {
  const outputFiles = await bundle({
    stdin: {
      contents: entryOf(options.modules),
      resolveDir: fileURLToPath(new URL('../tag', import.meta.url)),
    },
    format: 'iife',
    target,
    define: { __MILLRACE_TAG__: JSON.stringify(settingsOf(options)) },
  })
  const body = Buffer.concat(outputFiles.map((file) => file.contents))
  const [gzipped, brotli] = await Promise.all([
    promisify(gzip)(body, { level: constants.Z_BEST_COMPRESSION }),
    promisify(brotliCompress)(body, {
      params: { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY },
    }),
  ])
  const etag = `"${createHash('sha256').update(body).digest('base64')}"`
  return { body, gzip: gzipped, brotli, etag }
}

function entryOf(modules: readonly TagModuleName[]): string {
  // Unbuilt next to src/tag/script.ts, published next to dist/tag/script.js.
  const extension = import.meta.url.slice(import.meta.url.lastIndexOf('.'))
  const chosen = tagModules.filter((name) => modules.includes(name))
  return [
    `import { runScript } from './script${extension}'`,
    ...chosen.map((name) => `import { ${name} } from './${name}${extension}'`),
    `runScript([${chosen.join()}])`,
  ].join('\n')
}

/** Only what the tag reads, in one order: the same settings give the same bytes and entity tag. */
function settingsOf(options: TagScriptOptions): Omit<TagScriptOptions, 'modules'> {
  return {
    name: options.name,
    eventSuffix: options.eventSuffix,
    partyCookie: options.partyCookie,
    partyTimeoutDays: options.partyTimeoutDays,
    sessionCookie: options.sessionCookie,
    sessionTimeoutMinutes: options.sessionTimeoutMinutes,
    cookieDomain: options.cookieDomain,
    autoPageView: options.autoPageView,
    eventTimeoutMs: options.eventTimeoutMs,
  }
}

/** The script with any choice of modules. */
export interface TagScripts {
  /**
   * Answers a GET for the script.
   * @param query of the request, without `?`; `modules=delivery,spa` goes before the settings, all
   *   else in it is left alone
   * @throws MillraceError `module_unknown`
   */
  readonly answer: (query: string, request: ScriptRequestHeaders) => Promise<ScriptAnswer>
}

/**
 * Builds the script with the modules of the settings now, and with another choice when it is first
 * asked for. Every choice is kept: there are no more than 2 to the power of the number of modules,
 * about 25 KB each, so that nobody can make the collector build for ever.
 */
export async function openTagScripts(options: TagScriptOptions): Promise<TagScripts> {
  const variants = new Map<string, Promise<TagScript>>()
  function variant(modules: readonly TagModuleName[]): Promise<TagScript> {
    const key = tagModules.filter((name) => modules.includes(name)).join()
    let script = variants.get(key)
    if (script === undefined) {
      script = buildTagScript({ ...options, modules })
      variants.set(key, script)
    }
    return script
  }
  await variant(options.modules)
  return {
    answer: async (query, request) =>
      answerScript(await variant(modulesOf(query, options) ?? options.modules), request),
  }
}

/** @throws MillraceError `module_unknown` */
function modulesOf(query: string, settings: TagScriptOptions): TagModuleName[] | undefined {
  const text = new URLSearchParams(query).get('modules')
  if (text === null) return
  const names = text.split(',').filter((name) => name !== '')
  const unknown = names.find((name) => !tagModules.some((known) => known === name))
  if (unknown !== undefined) {
    const shown = JSON.stringify(unknown.slice(0, 64))
    throw new MillraceError('module_unknown', `${shown}; there are ${tagModules.join(', ')}`)
  }
  // Its events name no party: only a collector that knows of it takes them.
  if (names.includes('httponly') && !settings.modules.includes('httponly')) {
    throw new MillraceError(
      'module_unknown',
      '"httponly"; it has to be in the modules of the configuration',
    )
  }
  return names as TagModuleName[]
}

/** Brotli before gzip before plain: the smallest that the browser takes. */
const codings = [
  { name: 'br', body: 'brotli', etagPrefix: 'br+' },
  { name: 'gzip', body: 'gzip', etagPrefix: 'gz+' },
] as const

/** Answers a GET for the script. Divolte's headers, and brotli. */
export function answerScript(script: TagScript, request: ScriptRequestHeaders): ScriptAnswer {
  const accepted = parseAcceptEncoding(request['accept-encoding'] ?? '')
  const coding = codings.find(({ name }) => (accepted.get(name) ?? accepted.get('*') ?? 0) > 0)
  const etag = coding ? script.etag.replace('"', `"${coding.etagPrefix}`) : script.etag
  const headers = {
    'Content-Type': 'application/javascript',
    'Cache-Control': 'public, max-age=3600',
    ETag: etag,
    Vary: 'Accept-Encoding',
  }
  if (matches(request['if-none-match'] ?? '', etag)) {
    return { status: 304, headers, body: Buffer.alloc(0) }
  }
  const body = coding ? script[coding.body] : script.body
  return {
    status: 200,
    headers: {
      ...headers,
      ...(coding && { 'Content-Encoding': coding.name }),
      'Content-Length': String(body.length),
    },
    body,
  }
}

/** Coding → weight, RFC 9110 section 12.5.3; a weight that cannot be read counts as refusal. */
function parseAcceptEncoding(header: string): Map<string, number> {
  const weights = new Map<string, number>()
  for (const element of header.split(',')) {
    const [name = '', ...parameters] = element.split(';').map((part) => part.trim().toLowerCase())
    const weight = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? '1'
    if (name !== '') weights.set(name, Number(weight) || 0)
  }
  return weights
}

/** If-None-Match, RFC 9110 section 13.1.2: `*`, or a list compared weakly. */
function matches(header: string, etag: string): boolean {
  if (header.trim() === '*') return true
  const tags: readonly string[] = header.match(/"[^"]*"/g) ?? []
  return tags.includes(etag)
}
