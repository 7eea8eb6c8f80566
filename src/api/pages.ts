import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { bundleDashboard, type DashboardBundle } from './bundle.ts'

/** The files of the dashboard: made once at start, some tens of KB. */
export interface Pages {
  /** @param problem what to tell about the attempt before; one of our own texts */
  readonly sendLogin: (reply: FastifyReply, status: number, problem?: string) => FastifyReply
  /** Adds a route for each file. */
  readonly addRoutes: (app: FastifyInstance) => void
}

/** One file as it is served. */
export interface PageFile {
  readonly path: string
  readonly type: string
  readonly body: string
  readonly gzip: Buffer
  readonly etag: string
}

const folder = new URL('../dashboard/', import.meta.url)

/** What the login page itself needs; everything else is behind the token. */
export const publicPaths: readonly string[] = ['/login', '/page.css', '/icon.svg']

/**
 * Makes the files of the dashboard.
 * @param needsToken whether there is a login, and so a way to log out
 */
export async function openPages(needsToken: boolean): Promise<Pages> {
  const files = await loadPageFiles(needsToken)
  const login = await readText('login.html')
  return {
    sendLogin(reply, status, problem = '') {
      return reply
        .code(status)
        .header('cache-control', 'no-store')
        .type('text/html; charset=utf-8')
        .send(login.replace('<!-- problem -->', () => problem))
    },
    addRoutes(app) {
      for (const file of files) {
        app.get(file.path, { schema: { hide: true } }, (request, reply) =>
          sendFile(file, request, reply),
        )
      }
    },
  }
}

/** What the page at `/` consists of. */
export async function loadPageFiles(needsToken: boolean): Promise<readonly PageFile[]> {
  const index = await readText('index.html')
  const bundle = await loadBundle()
  return await Promise.all([
    fileOf('/', 'text/html', needsToken ? index : index.replace(' data-login="yes"', '')),
    fileOf('/page.js', 'text/javascript', bundle['page.js']),
    fileOf('/page.css', 'text/css', bundle['page.css']),
    fileOf('/icon.svg', 'image/svg+xml', await readText('icon.svg')),
  ])
}

let bundled: Promise<DashboardBundle> | undefined

/** The published package has the bundle; run from its sources, it is made at the first start. */
async function loadBundle(): Promise<DashboardBundle> {
  if (!import.meta.url.endsWith('.ts')) {
    return { 'page.js': await readText('page.js'), 'page.css': await readText('page.css') }
  }
  bundled ??= bundleDashboard(folder)
  return await bundled
}

async function fileOf(path: string, type: string, body: string): Promise<PageFile> {
  const digest = createHash('sha256').update(body).digest('base64url').slice(0, 22)
  return {
    path,
    type: type === 'image/svg+xml' ? type : `${type}; charset=utf-8`,
    body,
    gzip: await promisify(gzip)(body, { level: 9 }),
    etag: `"${digest}"`,
  }
}

function sendFile(file: PageFile, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const isZipped = takesGzip(request)
  // Two codings are two representations, RFC 9110 section 8.8.3.
  const etag = isZipped ? file.etag.replace('"', '"gz+') : file.etag
  // Asked for each time, answered with 304: a page is never older than its API.
  reply.headers({ 'cache-control': 'no-cache', etag, vary: 'accept-encoding' })
  if (isKnown(request, etag)) return reply.code(304).send()
  reply.type(file.type)
  return isZipped ? reply.header('content-encoding', 'gzip').send(file.gzip) : reply.send(file.body)
}

function takesGzip(request: FastifyRequest): boolean {
  const accepted = String(request.headers['accept-encoding'] ?? '')
  return /(^|,)\s*gzip\s*(;(?!\s*q=0(\.0*)?\s*(,|$))|,|$)/i.test(accepted)
}

function isKnown(request: FastifyRequest, etag: string): boolean {
  const known = request.headers['if-none-match'] ?? ''
  return known.split(',').some((one) => one.trim().replace(/^W\//, '') === etag)
}

function readText(name: string): Promise<string> {
  return readFile(new URL(name, folder), 'utf8')
}
