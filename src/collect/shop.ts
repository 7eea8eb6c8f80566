import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { MillraceError } from '../event/error.ts'
import { escapeHtml } from './pages.ts'

/** The example shop at /shop/: real pages with the tag in them, to try Millrace with. */
export interface Shop {
  /**
   * The file of this name; '' is the list of products.
   * @throws MillraceError `not_found`, `shop_absent`
   */
  readonly file: (name: string) => ShopFile
}

/** One file as it is answered. */
export interface ShopFile {
  readonly body: string
  readonly etag: string
  /** Asked for each time, answered with 304: what is edited is seen after a restart. */
  readonly headers: string[]
}

/** In a clone and in the published package it lies beside `src` or `dist`. */
const shopFolder = new URL('../../example/shop/', import.meta.url)

const html = 'text/html; charset=utf-8'
const script = 'text/javascript; charset=utf-8'

/** Only these are read, once, at start: no request ever names a path. */
const types: Readonly<Record<string, string>> = {
  'index.html': html,
  'product.html': html,
  'basket.html': html,
  'thanks.html': html,
  'shop.css': 'text/css; charset=utf-8',
  'products.svg': 'image/svg+xml',
  'products.js': script,
  'shop.js': script,
  'list.js': script,
  'shelf.js': script,
  'product.js': script,
  'basket.js': script,
  'thanks.js': script,
}

/** Nothing but its own files, the tag and its events: no inline script or style, no frame around it. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ')

function headersOf(type: string, etag: string): string[] {
  return [
    'Content-Type',
    type,
    'ETag',
    etag,
    'Cache-Control',
    'no-cache',
    'Content-Security-Policy',
    policy,
    'X-Content-Type-Options',
    'nosniff',
    'Server',
    'millrace',
  ]
}

/**
 * Reads the example shop. Its pages name the tag and the API as they are by default, so that they
 * can be read as an example; here they get the names of this collector. A shop that is not
 * installed is no reason not to start.
 * @param apiUrl where the dashboard is; null for nowhere, which leads to the demo page
 */
export async function loadShop(
  scriptName: string,
  apiUrl: string | null,
  folder: URL = shopFolder,
): Promise<Shop> {
  const files = new Map<string, ShopFile>()
  try {
    for (const [name, type] of Object.entries(types)) {
      const text = await readFile(new URL(name, folder), 'utf8')
      const body =
        type === html
          ? text
              .replace('src="/divolte.js?', () => `src="/${escapeHtml(scriptName)}?`)
              .replace('href="http://127.0.0.1:8291/"', () => `href="${escapeHtml(apiUrl ?? '/')}"`)
          : text
      const etag = `"${createHash('sha256').update(body).digest('base64url')}"`
      files.set(name, { body, etag, headers: headersOf(type, etag) })
    }
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'ENOENT') throw thrown
    files.clear()
  }
  return {
    file: (name) => {
      const file = files.get(name === '' ? 'index.html' : name)
      if (file !== undefined) return file
      const code = files.size === 0 ? 'shop_absent' : 'not_found'
      throw new MillraceError(code, `/shop/${name}`)
    },
  }
}
