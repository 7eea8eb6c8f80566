import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { isForwarded } from '../lib/forwarding.ts'
import { normaliseAddress } from './address.ts'
import type { HeaderList } from './answer.ts'

/** What the collector shows besides taking events: for this machine only, unless switched on. */

/** A page with its headers. */
export interface DemoPage {
  readonly html: string
  readonly headers: HeaderList
}

/** Reads the demo page and puts in the names of the tag and of the API. */
export async function loadDemoPage(
  scriptName: string,
  eventSuffix: string,
  apiUrl: string | null,
): Promise<DemoPage> {
  const template = await readFile(new URL('demo.html', import.meta.url), 'utf8')
  const html = template
    .replaceAll('{{script}}', escapeHtml(scriptName))
    .replaceAll('{{suffix}}', escapeHtml(eventSuffix))
    .replaceAll('{{api}}', apiUrl === null ? '' : linkTo(apiUrl))
  const hashes = [...html.matchAll(/<script>([\s\S]*?)<\/script>/g)].map(
    ([, text = '']) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`,
  )
  const policy = [
    "default-src 'none'",
    `script-src 'self' ${hashes.join(' ')}`,
    "style-src 'unsafe-inline'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ')
  return {
    html,
    headers: ['Content-Security-Policy', policy, 'X-Content-Type-Options', 'nosniff'],
  }
}

function linkTo(apiUrl: string): string {
  return `<p class="hint">What is stored: the <a href="${escapeHtml(apiUrl)}">dashboard</a></p>`
}

/** A text for a place between tags or in double quotes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`)
}

/**
 * True for a request that this machine made of itself: from a loopback peer, under a loopback name
 * (another name could be a page elsewhere that rebinds its DNS), and not passed on by a proxy.
 */
export function isFromThisMachine(request: IncomingMessage): boolean {
  const peer = normaliseAddress(request.socket.remoteAddress ?? '') ?? ''
  if (peer !== '::1' && !peer.startsWith('127.')) return false
  if (isForwarded(request.headers)) return false
  return loopbackHost.test(request.headers.host ?? '')
}

const loopbackHost = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i
