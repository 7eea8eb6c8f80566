/** What the tag needs of the browser to see page views begin. */
type NavigationPage = Pick<Window, 'addEventListener'> & {
  readonly document: Pick<Document, 'hidden' | 'addEventListener'>
}

/**
 * Calls `begin` for each page view: now, or when a page that loads hidden is first shown, and again
 * each time that the browser shows the page out of its back/forward cache.
 * @param hasBegun false until the first page view begins; an event of a hidden page begins it too
 */
export function watchPageViews(
  page: NavigationPage,
  hasBegun: () => unknown,
  begin: (event?: PageTransitionEvent) => void,
): void {
  const { document } = page
  // A page is shown once as it loads, before it is ever hidden; that is not a second page view. A
  // listener that is there already is not added again.
  page.addEventListener('pagehide', () => page.addEventListener('pageshow', begin))
  if (document.hidden) {
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden && !hasBegun()) begin()
    })
  } else begin()
}
