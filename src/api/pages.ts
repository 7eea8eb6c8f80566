import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

/** The files of the dashboard: read once at start, a few KB each. */
export interface Pages {
  /** @param problem what to tell about the attempt before; one of our own texts */
  readonly sendLogin: (reply: FastifyReply, status: number, problem?: string) => FastifyReply
  /** Adds a route for each file. */
  readonly addRoutes: (app: FastifyInstance) => void
}

const folder = new URL('../dashboard/', import.meta.url)

const files = [
  { path: '/', name: 'index.html', type: 'text/html; charset=utf-8' },
  ...['page.js', 'live.js', 'counts.js', 'dom.js'].map((name) => ({
    path: `/${name}`,
    name,
    type: 'text/javascript; charset=utf-8',
  })),
  { path: '/page.css', name: 'page.css', type: 'text/css; charset=utf-8' },
  { path: '/icon.svg', name: 'icon.svg', type: 'image/svg+xml' },
]

/** What the login page itself needs; everything else is behind the token. */
export const publicPaths: readonly string[] = ['/login', '/page.css', '/icon.svg']

/**
 * Reads the files of the dashboard.
 * @param needsToken whether there is a login, and so a way to log out
 */
export async function openPages(needsToken: boolean): Promise<Pages> {
  const loaded = await Promise.all(
    files.map(async (file) => {
      const text = await readFile(new URL(file.name, folder), 'utf8')
      const body = needsToken ? text : text.replace(/<form id="logout"[\s\S]*?<\/form>/, '')
      return { ...file, body, etag: etagOf(body) }
    }),
  )
  const login = await readFile(new URL('login.html', folder), 'utf8')
  return {
    sendLogin(reply, status, problem = '') {
      return reply
        .code(status)
        .header('cache-control', 'no-store')
        .type('text/html; charset=utf-8')
        .send(login.replace('<!-- problem -->', () => problem))
    },
    addRoutes(app) {
      for (const { path, type, body, etag } of loaded) {
        app.get(path, { schema: { hide: true } }, (request, reply) => {
          // Asked for each time, answered with 304: a page is never older than its API.
          reply.header('cache-control', 'no-cache').header('etag', etag)
          if (isKnown(request, etag)) return reply.code(304).send()
          return reply.type(type).send(body)
        })
      }
    },
  }
}

function etagOf(body: string): string {
  return `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`
}

function isKnown(request: FastifyRequest, etag: string): boolean {
  const known = request.headers['if-none-match'] ?? ''
  return known.split(',').some((one) => one.trim().replace(/^W\//, '') === etag)
}
