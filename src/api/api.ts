import cookie from '@fastify/cookie'
import swagger from '@fastify/swagger'
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { MillraceError } from '../event/error.ts'
import type { TakeAlong } from '../export/take-along.ts'
import type { Clock } from '../lib/clock.ts'
import type { FlowHealth } from '../query/health.ts'
import type { QueryStore } from '../query/query.ts'
import type { ModelService } from '../recommend/model-service.ts'
import type { RecommendService } from '../recommend/service.ts'
import { addBackupRoutes } from './backup.ts'
import { addCheckRoute, addDaysRoute, type CheckParts, type DaysParts } from './check.ts'
import { addCloseRoute, type CloseParts } from './close.ts'
import { addEraseRoutes } from './erase.ts'
import { addExportRoutes, createFileSlot } from './export.ts'
import { refuseBytes, sendError } from './failure.ts'
import { createGuard, isLoopback, isReading, securityHeaders } from './guard.ts'
import { addImportRoutes, type ImportParts } from './import.ts'
import { addInspectRoutes, harmlessPaths, type Inspected } from './inspect.ts'
import { createLiveStreams, type LiveEvent, type LiveStreams, liveDefaults } from './live.ts'
import { addLoginRoutes, createSessions, wantsPage } from './login.ts'
import { addModelRoutes } from './models.ts'
import { openPages, publicPaths } from './pages.ts'
import { addRecommendRoutes } from './recommend.ts'
import { addReconcileRoute, type ReconcileParts } from './reconcile.ts'
import { addReplayRoutes, type ReplayParts } from './replay.ts'
import { addRetainRoute, type RetainParts } from './retain.ts'
import { addRoutes } from './routes.ts'
import { openApiDocument } from './schema.ts'

/** The private port: questions over HTTP and JSON, the live tail, and the page that shows both. */

/** The settings of `api` in the configuration. */
export interface ApiOptions {
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
  readonly token?: string | undefined
  readonly allowedHosts: readonly string[]
  /** Most events in one answer. */
  readonly eventsMax: number
  /** Most live tails at once. */
  readonly liveMax: number
}

/** What the API is made over; see `cli` for who puts it together. */
export interface ApiParts extends ReplayParts {
  readonly store: QueryStore
  readonly clock: Clock
  readonly version: string
  /** How the way from the log to the store is. */
  readonly health: () => Promise<FlowHealth>
  /** Events from now on, as they come onto the log, until `signal` aborts. */
  readonly live: (signal: AbortSignal) => AsyncIterable<LiveEvent>
  /** The text of a record's schema by its fingerprint; to read dead letters of older versions. */
  readonly schemaText?: (fingerprint: string) => Promise<string | undefined>
  /** Exports, backups and erasures; without it none of them is served. */
  readonly takeAlong?: TakeAlong
  /** The metrics of this process in Prometheus' text format. */
  readonly metrics?: () => Promise<string>
  /** Takes imported rows; without it there is nothing at /api/imports. */
  readonly imports?: ImportParts
  /** What arrived; without it there is nothing at /inspect. */
  readonly inspected?: Inspected
  /** Recommends; without it there is nothing at /api/recommendations. */
  readonly recommend?: RecommendService
  /** The models of the store; without it there is nothing at /api/recommend/models. */
  readonly models?: ModelService
  /** Closes days; without it there is nothing at /api/close. */
  readonly close?: CloseParts['close']
  /** Says which days there are; without it there is nothing at /api/days. */
  readonly days?: DaysParts['days']
  /** Checks that days are whole; without it there is nothing at /api/check. */
  readonly check?: CheckParts['check']
  /** Applies retention; without it there is nothing at /api/retain. */
  readonly retain?: RetainParts['retain']
  /** Compares log and store; without it there is nothing at /api/reconcile. */
  readonly reconcile?: ReconcileParts['reconcile']
  /** A secret of this run, which the command line reads from the data folder. */
  readonly runToken: string
}

/** A listening API. */
export interface Api {
  /** Where a browser of this machine finds it. */
  readonly url: string
  readonly host: string
  readonly port: number
  /** Ends live streams, lets answers under way end for a moment, then closes. */
  stop(): Promise<void>
}

/** Largest body of a request: the positions of some thousand dead letters. */
const bodyBytesMax = 1024 * 1024
const requestTimeoutMs = 10_000
/** How long answers under way may take to end at a stop. */
const stopTimeoutMs = 2_000

/**
 * Listens at `options.host` and `options.port`.
 * @throws MillraceError `config_invalid` when other machines could ask without a token,
 * `address_in_use`, `address_unavailable`
 */
export async function openApi(options: ApiOptions, parts: ApiParts): Promise<Api> {
  if (options.token === undefined && !isLoopback(options.host)) {
    throw new MillraceError('config_invalid', `api.host ${options.host} needs api.token`)
  }
  const onError = parts.onError ?? (() => {})
  const app = fastify({
    bodyLimit: bodyBytesMax,
    requestTimeout: requestTimeoutMs,
    exposeHeadRoutes: false,
    forceCloseConnections: 'idle',
    // Before there is a route: paths that cannot be decoded, bytes that are no HTTP.
    frameworkErrors: (thrown, request, reply) => {
      sendError(thrown, request, reply.headers(securityHeaders), onError)
    },
    clientErrorHandler: refuseBytes,
    // Unknown members are answered with an error, not cut off, and nothing is turned into numbers.
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false, allErrors: false } },
    // Paths are a few fixed ones, and ids of up to 256 characters, each up to 12 when escaped.
    routerOptions: { maxParamLength: 3_072 },
  })
  const live = createLiveStreams(
    { ...liveDefaults, streamsMax: options.liveMax },
    parts.live,
    onError,
  )
  const ending = new AbortController()
  await addParts(app, { options, parts, live, onError, signal: ending.signal })
  const port = await listen(app, options)
  return {
    url: `http://${urlHost(options.host)}:${port}`,
    host: options.host,
    port,
    async stop() {
      ending.abort()
      live.stop()
      const cut = setTimeout(() => app.server.closeAllConnections(), stopTimeoutMs)
      await app.close()
      clearTimeout(cut)
    },
  }
}

/** Everything that the routes share. */
export interface RouteContext {
  readonly options: ApiOptions
  readonly parts: ApiParts
  readonly live: LiveStreams
  readonly onError: (thrown: unknown) => void
  /** Aborts when the API stops. */
  readonly signal: AbortSignal
}

async function addParts(app: FastifyInstance, context: RouteContext): Promise<void> {
  const { options, parts, onError } = context
  const guard = createGuard({ ...options, runToken: parts.runToken })
  const sessions = createSessions(parts.clock)
  const needsToken = options.token !== undefined
  const pages = await openPages(needsToken)

  // The answer's text is made by the routes: schemas describe it, for /api/openapi.json.
  app.setSerializerCompiler(() => (answer) => JSON.stringify(answer))
  app.setErrorHandler((thrown, request, reply) => sendError(thrown, request, reply, onError))
  app.setNotFoundHandler((request, reply) => refusePath(app, request, reply))
  app.removeContentTypeParser('text/plain')
  await app.register(cookie)
  await app.register(swagger, openApiDocument(parts.version))
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(securityHeaders)
    const admission = guard.admit(request.raw)
    const path = pathOf(request)
    if (admission.hasToken || publicPaths.includes(path)) return
    const isHarmless = isReading(request.method) || harmlessPaths.includes(path)
    if (needsToken ? sessions.has(request) : isHarmless || admission.isOwnPage) return
    await refuseStranger(request, reply)
  })
  pages.addRoutes(app)
  const login = { guard, sessions, pages, needsToken, clock: parts.clock }
  await app.register(async (scope) => addLoginRoutes(scope, login))
  addRoutes(app, context)
  addReplayRoutes(app, parts, context.signal)
  addTakeAlongRoutes(app, context)
  if (parts.close !== undefined) {
    addCloseRoute(app, { close: parts.close, onError }, context.signal)
  }
  if (parts.days !== undefined) addDaysRoute(app, { days: parts.days })
  if (parts.check !== undefined) {
    addCheckRoute(app, { check: parts.check, onError }, context.signal)
  }
  if (parts.retain !== undefined) addRetainRoute(app, { retain: parts.retain })
  if (parts.reconcile !== undefined) {
    addReconcileRoute(app, { reconcile: parts.reconcile, onError }, context.signal)
  }
  if (parts.imports !== undefined) addImportRoutes(app, parts.imports)
  if (parts.inspected !== undefined) await addInspectRoutes(app, parts.inspected, context.signal)
  if (parts.recommend !== undefined) addRecommendRoutes(app, parts.recommend, parts.clock)
  if (parts.models !== undefined) addModelRoutes(app, parts.models, parts.clock)
}

function addTakeAlongRoutes(app: FastifyInstance, { parts, onError, signal }: RouteContext): void {
  const { takeAlong } = parts
  if (takeAlong === undefined) return
  const context = { takeAlong, files: createFileSlot(), onError, signal }
  addExportRoutes(app, context)
  addBackupRoutes(app, context)
  addEraseRoutes(app, context)
}

/** A person is led to the login, a program is told what it needs. */
async function refuseStranger(request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const isPage = isReading(request.method) && !pathOf(request).startsWith('/api/')
  if (isPage && wantsPage(request)) {
    await reply.redirect('/login', 303)
    return
  }
  reply.header('www-authenticate', 'Bearer')
  throw new MillraceError('unauthorized')
}

function refusePath(app: FastifyInstance, request: FastifyRequest, reply: FastifyReply): never {
  const url = pathOf(request)
  const methods = (['GET', 'POST'] as const).filter((method) => app.hasRoute({ method, url }))
  if (methods.length === 0) throw new MillraceError('not_found', JSON.stringify(url.slice(0, 200)))
  reply.header('allow', methods.join(', '))
  throw new MillraceError('method_not_allowed', request.method)
}

function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0] ?? ''
}

async function listen(app: FastifyInstance, options: ApiOptions): Promise<number> {
  try {
    await app.listen({ host: options.host, port: options.port })
  } catch (thrown) {
    await app.close()
    const isTaken = (thrown as NodeJS.ErrnoException).code === 'EADDRINUSE'
    const where = `${urlHost(options.host)}:${options.port}`
    throw new MillraceError(isTaken ? 'address_in_use' : 'address_unavailable', where, {
      cause: thrown,
    })
  }
  const address = app.server.address()
  return typeof address === 'object' && address !== null ? address.port : options.port
}

/** The host as a URL has it; every interface is reached through loopback. */
function urlHost(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  if (host === '::') return '[::1]'
  return host.includes(':') ? `[${host}]` : host
}
