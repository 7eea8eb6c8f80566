import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, type Socket, Server as TcpServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { isMillraceError, MillraceError } from '../event/error.ts'
import { eventRecordSchema, rejectionRecordSchema } from '../event/record.ts'
import { toError } from '../lib/assert.ts'
import { sendError, sendJson, sendText } from './answer.ts'
import { openCountryDatabase } from './country.ts'
import { createIntake, type Intake } from './intake.ts'
import { refusalOf } from './json-source.ts'
import { type ClientError, refuseMalformed } from './malformed.ts'
import type { CollectOptions, CollectParts } from './options.ts'
import { createOrigins, type Origins } from './origin.ts'
import { type DemoPage, isFromThisMachine, loadDemoPage } from './pages.ts'
import { canonicalPath } from './path.ts'
import { takeRecommendations } from './recommendations.ts'
import type { TagScripts } from './script.ts'
import { loadShop, type Shop } from './shop.ts'
import { routesOf, type TakeRequest } from './sources.ts'
import { isTagBatch, takeBatch } from './take-batch.ts'
import { takeJson } from './take-json.ts'
import { takeQuery } from './take-query.ts'

/** A collector that listens. */
export interface Collector {
  /** `http://127.0.0.1:8290` */
  readonly url: string
  readonly host: string
  readonly port: number
  /**
   * Stops in the order of the data: /ping says 503; after the delay new events are refused; those
   * under way are stored and answered; then the port is let go. The logs are the caller's to close.
   */
  stop(): Promise<void>
  /**
   * Leaves the port to another process that listens there: takes no new connections and ends those
   * that are open with their next answer. Resolves when none is left, or after `waitMs`; stop then.
   */
  handOver(waitMs: number): Promise<void>
}

/** Room in the head of a request beside its query string: cookies, user agent, referer. */
const headersBytesMax = 32 * 1024
/** How often connections are looked at that have said nothing for too long. */
const connectionsCheckMs = 1_000

/**
 * Starts the HTTP server that turns requests into events on the log; a 2xx means durable.
 * @throws MillraceError `address_in_use`, `address_unavailable`, `config_invalid` for the
 *   country database, and what `events.addSchema` throws
 */
export async function openCollector(
  options: CollectOptions,
  parts: CollectParts,
): Promise<Collector> {
  const countryOf = await openCountryDatabase(options.countryDatabase)
  for (const text of parts.schemas ?? [eventRecordSchema.text]) await parts.events.addSchema(text)
  await parts.rejected.addSchema(rejectionRecordSchema.text)
  const headBytesMax = options.queryBytesMax + headersBytesMax
  const server = createServer({
    maxHeaderSize: headBytesMax,
    headersTimeout: options.requestTimeoutMs,
    requestTimeout: options.requestTimeoutMs,
    keepAliveTimeout: options.keepAliveTimeoutMs,
    connectionsCheckingInterval: Math.min(connectionsCheckMs, options.requestTimeoutMs),
    noDelay: true,
    // A GET is no stream: that takes a tenth off what it costs.
    optimizeEmptyRequests: true,
  })
  server.maxConnections = options.connectionsMax
  const connections = (): Promise<number> =>
    new Promise((resolve, reject) => {
      server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)))
    })
  const intake = createIntake(options, parts, connections, countryOf)
  const origins = createOrigins(options.allowedOrigins, options.partyCookie !== undefined)
  const context: Context = {
    intake,
    parts,
    origins,
    sources: routesOf(parts.sources ?? [], intake, (...script) => sendScript(intake, ...script)),
    page: await loadDemoPage(options.name, options.eventSuffix, parts.apiUrl ?? null),
    shop: await loadShop(options.name, parts.apiUrl ?? null),
    eventPath: `/${options.eventSuffix}`,
    scriptPath: `/${options.name}`,
    leaving: false,
    handingOver: false,
  }
  const eventStart = `${context.eventPath}?`
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const url = request.url ?? '/'
    if (context.handingOver) response.shouldKeepAlive = false
    if (url.startsWith(eventStart)) {
      takeQuery(context.intake, request, response, url.slice(eventStart.length))
    } else {
      route(context, request, response, url)
    }
  })
  server.on('clientError', (error: ClientError, socket: Socket) =>
    refuseMalformed(context.intake, error, socket, eventStart, headBytesMax),
  )
  await listen(server, options)
  const { port } = server.address() as AddressInfo
  let stopped: Promise<void> | undefined
  return {
    url: urlOf(options.host, port),
    host: options.host,
    port,
    stop: () => {
      stopped ??= stop(server, context, options)
      return stopped
    },
    handOver: (waitMs) => handOver(server, context, waitMs),
  }
}

interface Context {
  readonly intake: Intake
  readonly parts: CollectParts
  readonly origins: Origins
  /** Of the configuration, by their paths. */
  readonly sources: ReadonlyMap<string, TakeRequest>
  readonly page: DemoPage
  readonly shop: Shop
  readonly eventPath: string
  readonly scriptPath: string
  /** A stop was asked for: /ping says so, while events are still taken for a while. */
  leaving: boolean
  /** The port is another process's: each answer is the last on its connection. */
  handingOver: boolean
}

function listen(server: Server, { host, port }: CollectOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const code = error.code === 'EADDRINUSE' ? 'address_in_use' : 'address_unavailable'
      reject(new MillraceError(code, `${host}:${port}`, { cause: error }))
    })
    server.listen(port, host, resolve)
  })
}

function urlOf(host: string, port: number): string {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`
}

/** All but the common form of a tag's request. */
function route(
  context: Context,
  request: IncomingMessage,
  response: ServerResponse,
  url: string,
): void {
  const mark = url.indexOf('?')
  const path = canonicalPath(mark < 0 ? url : url.slice(0, mark))
  const source = context.sources.get(path)
  // A JSON source may be at the root, as Divolte's is by default; who looks there gets the page.
  if (source !== undefined && !(path === '/' && isLook(request))) {
    source(request, response, mark < 0 ? '' : url.slice(mark + 1))
    return
  }
  switch (path) {
    case context.eventPath:
      if (isTagBatch(request)) {
        void takeBatch(context.intake, context.origins, request, response)
      } else takeQuery(context.intake, request, response, mark < 0 ? '' : url.slice(mark + 1))
      break
    case context.scriptPath:
      void sendScript(
        context.intake,
        context.parts.scripts,
        request,
        response,
        mark < 0 ? '' : url.slice(mark + 1),
      )
      break
    case '/events':
      void takeJson(context.intake, context.origins, request, response)
      break
    case '/recommendations':
      sendRecommendations(context, request, response, path)
      break
    case '/ping':
      void sendPing(context, response)
      break
    case '/metrics':
      void sendMetrics(context, request, response)
      break
    case '/':
      sendPage(context, request, response)
      break
    case '/favicon.ico':
      context.intake.metrics.countRequest('other', 204)
      response.writeHead(204, ['Cache-Control', 'public, max-age=86400']).end()
      return
    case '/shop':
      sendShop(context, request, response, isFolder(url, mark) ? '' : undefined)
      break
    default:
      if (path.startsWith('/shop/')) {
        sendShop(context, request, response, path.slice('/shop/'.length))
        return
      }
      context.intake.refuse(response, 'other', new MillraceError('not_found', path))
      return
  }
}

function isLook({ method }: IncomingMessage): boolean {
  return method === 'GET' || method === 'HEAD'
}

async function sendScript(
  intake: Intake,
  scripts: TagScripts,
  request: IncomingMessage,
  response: ServerResponse,
  query: string,
): Promise<void> {
  try {
    if (request.method !== 'GET') throw new MillraceError('method_not_allowed', request.method)
    const { status, headers, body } = await scripts.answer(query, request.headers)
    intake.metrics.countRequest('script', status)
    response.writeHead(status, { ...headers, Server: 'millrace' }).end(body)
  } catch (thrown) {
    const error = refusalOf(thrown)
    const allow = error.code === 'method_not_allowed' ? ['Allow', 'GET'] : []
    intake.refuse(response, 'script', error, allow)
  }
}

function sendRecommendations(
  { intake, origins, parts }: Context,
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
): void {
  const { recommendations } = parts
  if (recommendations !== undefined) {
    void takeRecommendations(intake, origins, recommendations, request, response)
    return
  }
  intake.refuse(response, 'other', new MillraceError('not_found', path))
}

/** 503 tells a load balancer to send events elsewhere: on the way out, or when none can be stored. */
async function sendPing(context: Context, response: ServerResponse): Promise<void> {
  const { metrics } = context.intake
  try {
    if (context.leaving) throw new MillraceError('stopping')
    await context.parts.events.check()
    metrics.countRequest('ping', 200)
    sendText(response, 200, 'text/plain; charset=utf-8', 'pong')
  } catch (thrown) {
    const error = isMillraceError(thrown)
      ? thrown
      : new MillraceError('log_unwritable', toError(thrown).message, { cause: thrown })
    metrics.countRequest('ping', 503)
    sendJson(response, 503, { error })
  }
}

async function sendMetrics(
  { intake }: Context,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { metrics, options } = intake
  if (!options.publicPages && !isFromThisMachine(request)) {
    intake.refuse(response, 'metrics', new MillraceError('loopback_only'))
    return
  }
  try {
    const text = await metrics.registry.metrics()
    metrics.countRequest('metrics', 200)
    sendText(response, 200, metrics.registry.contentType, text)
  } catch (thrown) {
    metrics.countRequest('metrics', 500)
    sendError(response, new MillraceError('internal', toError(thrown).message, { cause: thrown }))
  }
}

function sendPage(
  { intake, page }: Context,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  if (!intake.options.publicPages && !isFromThisMachine(request)) {
    intake.refuse(response, 'page', new MillraceError('loopback_only'))
    return
  }
  intake.metrics.countRequest('page', 200)
  sendText(response, 200, 'text/html; charset=utf-8', page.html, page.headers)
}

function isFolder(url: string, mark: number): boolean {
  return url.endsWith('/', mark < 0 ? url.length : mark)
}

/** @param name of the file; undefined for `/shop`, whose links would lead beside it */
function sendShop(
  { intake, shop }: Context,
  request: IncomingMessage,
  response: ServerResponse,
  name: string | undefined,
): void {
  try {
    if (!isLook(request)) {
      throw new MillraceError('method_not_allowed', request.method)
    }
    if (!intake.options.publicPages && !isFromThisMachine(request)) {
      throw new MillraceError('loopback_only')
    }
    if (name === undefined) {
      intake.metrics.countRequest('page', 308)
      response.writeHead(308, ['Location', '/shop/', 'Server', 'millrace']).end()
      return
    }
    const { body, etag, headers } = shop.file(name)
    const isKnown = request.headers['if-none-match']?.includes(etag) === true
    intake.metrics.countRequest('page', isKnown ? 304 : 200)
    response.writeHead(isKnown ? 304 : 200, headers).end(isKnown ? undefined : body)
  } catch (thrown) {
    const error = refusalOf(thrown)
    const allow = error.code === 'method_not_allowed' ? ['Allow', 'GET, HEAD'] : []
    intake.refuse(response, 'page', error, allow)
  }
}

/** How often a stop looks whether the requests under way are answered, and for how long at least. */
const stopCheckMs = 10
const lastAnswersMs = 1_000

/** Not the HTTP server's own `close`, which ends idle connections that may just be bringing an event. */
async function handOver(server: Server, context: Context, waitMs: number): Promise<void> {
  context.handingOver = true
  const closed = new Promise<void>((resolve) =>
    TcpServer.prototype.close.call(server, () => resolve()),
  )
  await Promise.race([closed, sleep(waitMs, undefined, { ref: false })])
}

async function stop(server: Server, context: Context, options: CollectOptions): Promise<void> {
  context.leaving = true
  await sleep(options.shutdownDelayMs)
  const { intake } = context
  intake.stopping = true
  const deadline = performance.now() + options.shutdownTimeoutMs
  while (intake.underWay > 0 && performance.now() < deadline) await sleep(stopCheckMs)
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  server.closeIdleConnections()
  // Answers may still be in the sockets; a client that does not take them is not waited for.
  await Promise.race([closed, sleep(lastAnswersMs, undefined, { ref: false })])
  server.closeAllConnections()
  await closed
}
