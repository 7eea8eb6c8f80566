import type { PageViewId } from '../event/identifier.ts'
import type { TagCore } from './tag.ts'

/**
 * Numbers the page views of one load of the script: `<identifier>.0`, `<identifier>.1` in hex. A
 * gap is a page view that was lost whole, which the counter in the event ids cannot show.
 */
export function pageviews(core: TagCore): void {
  const loadId = core.createPageViewId()
  let count = 0
  core.createPageViewId = () => `${loadId}.${(count++).toString(16)}` as PageViewId
}
