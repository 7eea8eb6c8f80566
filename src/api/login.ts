import { createHash, randomBytes } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { MillraceError } from '../event/error.ts'
import { type Clock, hourMs, minuteMs } from '../lib/clock.ts'
import type { Guard } from './guard.ts'
import type { Pages } from './pages.ts'

/**
 * The browser logs in with the token and gets a session: a random id in an HttpOnly cookie, known
 * to this process only, so that the token itself is never kept in a browser.
 */
export interface Sessions {
  /** Whether the request carries the cookie of a session that has not expired. */
  readonly has: (request: FastifyRequest) => boolean
  readonly begin: (request: FastifyRequest, reply: FastifyReply) => void
  readonly end: (request: FastifyRequest, reply: FastifyReply) => void
}

/** A working day and some more; then one logs in again. */
const sessionMs = 12 * hourMs
/** Most sessions at once; the oldest gives way. */
const sessionsMax = 1_000
/** Failed logins of one address in a minute. */
const failuresMax = 10
/** Addresses whose failures are remembered. */
const addressesMax = 10_000

export function createSessions(clock: Clock): Sessions {
  const expiries = new Map<string, number>()
  return {
    has(request) {
      const id = request.cookies[cookieName(request)]
      const expiry = id === undefined ? undefined : expiries.get(hashOf(id))
      return expiry !== undefined && expiry > clock()
    },
    begin(request, reply) {
      const now = clock()
      for (const [hash, expiry] of expiries) {
        if (expiry > now && expiries.size < sessionsMax) break
        expiries.delete(hash)
      }
      const id = randomBytes(32).toString('base64url')
      expiries.set(hashOf(id), now + sessionMs)
      reply.setCookie(cookieName(request), id, {
        ...cookieOptions(request),
        maxAge: sessionMs / 1_000,
      })
    },
    end(request, reply) {
      const id = request.cookies[cookieName(request)]
      if (id !== undefined) expiries.delete(hashOf(id))
      reply.clearCookie(cookieName(request), cookieOptions(request))
    },
  }
}

function hashOf(id: string): string {
  return createHash('sha256').update(id).digest('base64url')
}

/** Browsers do not keep the cookies of two ports apart, so the name does. */
function cookieName(request: FastifyRequest): string {
  return `millrace-${request.socket.localPort}`
}

function cookieOptions(request: FastifyRequest): {
  path: '/'
  httpOnly: true
  sameSite: 'strict'
  secure: boolean
} {
  return { path: '/', httpOnly: true, sameSite: 'strict', secure: isHttps(request) }
}

/**
 * TLS ends at a proxy, which says so. Anybody may claim it, to no gain: it only makes the cookie of
 * the one who claims it unusable over http. The Origin of the login form says the same by itself.
 */
function isHttps(request: FastifyRequest): boolean {
  const forwarded = String(request.headers['x-forwarded-proto'] ?? '').split(',')[0]
  return (
    forwarded?.trim().toLowerCase() === 'https' ||
    (request.headers.origin ?? '').startsWith('https://')
  )
}

export interface LoginParts {
  readonly guard: Guard
  readonly sessions: Sessions
  readonly pages: Pages
  readonly clock: Clock
  /** Without a token there is nothing to log in to. */
  readonly needsToken: boolean
}

/** `/login` and `/logout`, which alone take forms: `app` is a scope of their own. */
export function addLoginRoutes(app: FastifyInstance, parts: LoginParts): void {
  const { guard, sessions, pages, needsToken } = parts
  const failures = createFailures(parts.clock)
  const route = { schema: { hide: true } }
  app.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string' },
    async (_request: FastifyRequest, body: string | Buffer) =>
      Object.fromEntries(new URLSearchParams(String(body))),
  )
  app.get('/login', route, (request, reply) => {
    if (!needsToken || sessions.has(request)) return reply.redirect('/', 303)
    return pages.sendLogin(reply, 200)
  })
  app.post('/login', { ...route, bodyLimit: 8 * 1024 }, (request, reply) => {
    if (!needsToken) return reply.redirect('/', 303)
    // First, as behind a proxy all come from one address: nobody can lock the owner out, and nobody
    // guesses 32 characters.
    if (guard.isToken(tokenOf(request.body))) {
      sessions.begin(request, reply)
      return reply.redirect('/', 303)
    }
    if (failures.isLimited(request.ip)) {
      reply.header('retry-after', '60')
      if (!wantsPage(request)) throw new MillraceError('login_limited', request.ip)
      return pages.sendLogin(reply, 429, 'Too many failed attempts. Wait a minute and try again.')
    }
    failures.add(request.ip)
    if (!wantsPage(request)) throw new MillraceError('unauthorized')
    return pages.sendLogin(reply, 401, 'That is not the token.')
  })
  app.post('/logout', route, (request, reply) => {
    sessions.end(request, reply)
    return reply.redirect('/login', 303)
  })
}

/** Whether an error should be shown as a page. */
export function wantsPage(request: FastifyRequest): boolean {
  return (request.headers.accept ?? '').includes('text/html')
}

function tokenOf(body: unknown): string {
  const token = (body as { token?: unknown } | null | undefined)?.token
  return typeof token === 'string' ? token.trim() : ''
}

/** Counts failed logins by address, in windows of a minute. */
function createFailures(clock: Clock): {
  isLimited: (address: string) => boolean
  add: (address: string) => void
} {
  const windows = new Map<string, { since: number; count: number }>()
  const current = (address: string): { since: number; count: number } | undefined => {
    const window = windows.get(address)
    return window !== undefined && clock() - window.since < minuteMs ? window : undefined
  }
  return {
    isLimited: (address) => (current(address)?.count ?? 0) >= failuresMax,
    add(address) {
      const window = current(address) ?? { since: clock(), count: 0 }
      const oldest = windows.size < addressesMax ? undefined : windows.keys().next().value
      if (oldest !== undefined) windows.delete(oldest)
      windows.set(address, { ...window, count: window.count + 1 })
    },
  }
}
