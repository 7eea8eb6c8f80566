import type { TagCore } from './tag.ts'

/**
 * Follows the routes of a single-page application: each change of the address by the History API or
 * by a hash that is a route (`#/…`, `#!…`) is a page view with the route before it as referrer. A
 * page that is rendered before anybody asked for it (speculation rules) says nothing until it is
 * shown.
 */
export function spa({ page, hold, beginRoute }: TagCore): void {
  const { document, history, location } = page
  let shown = location.href

  function look(): void {
    const before = shown
    shown = location.href
    if (routeOf(shown) !== routeOf(before)) beginRoute(before)
  }

  for (const name of ['pushState', 'replaceState'] as const) {
    const change = history[name]
    history[name] = function (this: History, ...args: Parameters<typeof change>) {
      change.apply(this, args)
      look()
    }
  }
  page.addEventListener('hashchange', look)
  page.addEventListener('popstate', look)

  if ((document as { prerendering?: boolean }).prerendering) {
    document.addEventListener('prerenderingchange', hold(), { once: true })
  }
}

/** The address without a hash that only names a place in the page. */
function routeOf(href: string): string {
  return href.replace(/#(?![!/]).*/, '')
}
