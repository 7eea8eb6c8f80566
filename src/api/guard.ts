import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { MillraceError } from '../event/error.ts'
import { isForwarded } from '../lib/forwarding.ts'

/**
 * Who may ask. Events are people's behaviour, so an API on loopback is guarded too: any page that
 * its owner visits can make the browser send requests here. In this order: the Host must be one of
 * ours (a name that an attacker points at this address is not: DNS rebinding), the Origin and
 * Sec-Fetch-Site must not be another site's, and there must be a token where one is asked for: also
 * on loopback, when a proxy has passed the request on.
 */

export interface GuardOptions {
  readonly host: string
  readonly token?: string | undefined
  readonly allowedHosts: readonly string[]
  /** Known to whoever can read the data folder: always accepted, for the command line. */
  readonly runToken: string
}

export interface Guard {
  /**
   * Checks where a request comes from and says whether it carries a token.
   * @throws MillraceError `host_refused`, `api_origin_refused`, `proxy_refused`
   */
  readonly admit: (request: IncomingMessage) => Admission
  /** Whether `text` is the token that opens the API to people. */
  readonly isToken: (text: string) => boolean
}

export interface Admission {
  readonly hasToken: boolean
  /** The request changes something, and a page of ours or no browser at all sends it. */
  readonly isOwnPage: boolean
}

/** Sent with every answer: nothing may frame, sniff or embed it, and no page runs inline script. */
export const securityHeaders: Readonly<Record<string, string>> = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
}

export function createGuard(options: GuardOptions): Guard {
  const allowed = options.allowedHosts.map((text) => parseHost(text))
  const isToken = (text: string): boolean =>
    options.token !== undefined && same(text, options.token)
  return {
    isToken,
    admit(request) {
      checkHost(request, options, allowed)
      // Everybody who reaches the proxy would be the owner.
      if (options.token === undefined && isForwarded(request.headers)) {
        throw new MillraceError('proxy_refused')
      }
      const isOwnPage = checkOrigin(request, options, allowed)
      const bearer = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '')?.[1]
      const hasToken = bearer !== undefined && (isToken(bearer) || same(bearer, options.runToken))
      return { hasToken, isOwnPage }
    },
  }
}

/** True for methods that only read. */
export function isReading(method: string | undefined): boolean {
  return method === 'GET' || method === 'HEAD'
}

/** True for the names and addresses of this machine alone. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
}

/** Compares in a time that tells nothing of where the texts differ, nor of their lengths. */
function same(given: string, expected: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return expected !== '' && timingSafeEqual(digest(given), digest(expected))
}

interface HostName {
  readonly name: string
  readonly port: number | undefined
}

/** Splits `name`, `name:port`, `[::1]:port` and a bare `::1`. */
function parseHost(text: string): HostName {
  const lower = text.trim().toLowerCase()
  if (/^[0-9a-f:.]*:[0-9a-f:.]*:[0-9a-f:.]*$/.test(lower)) {
    return { name: `[${lower}]`, port: undefined }
  }
  const match = /^(\[[0-9a-f:.]+\]|[^:[\]/@\s]+)(?::(\d{1,5}))?$/.exec(lower)
  if (match === null) return { name: '', port: undefined }
  return { name: match[1] ?? '', port: match[2] === undefined ? undefined : Number(match[2]) }
}

function checkHost(
  request: IncomingMessage,
  options: GuardOptions,
  allowed: readonly HostName[],
): void {
  const text = request.headers.host ?? ''
  if (isServed(parseHost(text), 80, request, options, allowed)) return
  throw new MillraceError('host_refused', text === '' ? 'none was given' : shown(text))
}

/**
 * A host is served when it is the address that the connection came in on, one of the names of
 * loopback where that address is loopback, the configured host, or an allowed one. The port counts,
 * but for allowed hosts that name none: a proxy has a port of its own.
 */
function isServed(
  host: HostName,
  portDefault: number,
  request: IncomingMessage,
  options: GuardOptions,
  allowed: readonly HostName[],
): boolean {
  if (host.name === '') return false
  const port = host.port ?? portDefault
  if (allowed.some((one) => one.name === host.name && (one.port ?? port) === port)) return true
  const { localAddress = '', localPort } = request.socket
  if (port !== localPort) return false
  const local = localAddress.replace(/^::ffff:/i, '').toLowerCase()
  const names = [parseHost(local).name, parseHost(options.host).name]
  if (isLoopback(local)) names.push('localhost', '127.0.0.1', '[::1]')
  return names.includes(host.name)
}

/**
 * Refuses what another site makes the browser send; following a link to a page of ours is allowed.
 * Returns whether the browser says that one of our own pages sends it.
 */
function checkOrigin(
  request: IncomingMessage,
  options: GuardOptions,
  allowed: readonly HostName[],
): boolean {
  const { origin, 'sec-fetch-site': site, 'sec-fetch-mode': mode } = request.headers
  const isLink = isReading(request.method) && mode === 'navigate'
  if (site === 'cross-site' && !isLink)
    throw new MillraceError('api_origin_refused', 'another site')
  if (origin === undefined) return site === 'same-origin'
  const match = /^(https?):\/\/([^/]+)$/i.exec(origin)
  const isOwn =
    match !== null &&
    (match[2]?.toLowerCase() === request.headers.host?.toLowerCase() ||
      isServed(
        parseHost(match[2] ?? ''),
        match[1]?.toLowerCase() === 'https' ? 443 : 80,
        request,
        options,
        allowed,
      ))
  if (!isOwn) throw new MillraceError('api_origin_refused', shown(origin))
  return site === undefined || site === 'same-origin'
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 100))
}
