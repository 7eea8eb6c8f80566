import type { CookieOptions } from './party.ts'
import type { TagCore } from './tag.ts'

/**
 * Finds the widest domain on which this page may set a cookie, so that `shop.example.co.uk` and
 * `www.example.co.uk` see one party: browsers refuse a cookie on a public suffix (`co.uk`), and tell
 * by not giving it back. Asked when a cookie is first written, never before a consent.
 */
export function domain({ page, options }: TagCore): void {
  const { document, location } = page
  let found: string | undefined
  Object.defineProperty(options as CookieOptions, 'cookieDomain', {
    get: () => {
      found ??= widest(location.hostname)
      return found
    },
  })

  /** '' for a host that is no domain: `localhost`, an address. */
  function widest(host: string): string {
    const labels = host.split('.')
    for (let from = labels.length - 2; from >= 0; from--) {
      const candidate = labels.slice(from).join('.')
      const probe = `_dvd=1; path=/; domain=${candidate}`
      document.cookie = probe
      if (/(^|; )_dvd=1/.test(document.cookie)) {
        document.cookie = `${probe}; max-age=0`
        return candidate
      }
    }
    return ''
  }
}
