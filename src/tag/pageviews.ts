import type { PageViewId } from '../event/identifier.ts'
import type { TagCore } from './tag.ts'

/**
 * Numbers the page views of one load of the script: `<identifier>.0.`, `<identifier>.1.` in hex. A
 * gap is a page view that was lost whole, which the counter in the event ids cannot show. Without
 * the last point, event 10 of page view 1 and event 0 of page view 11 would have one id. What a
 * denied consent deletes has no number, and a page view that may have no event at all neither.
 */
export function pageviews(core: TagCore): void {
  const { createPageViewId, forget } = core
  if (!core.options.autoPageView) return
  let loadId = createPageViewId()
  let count = 0
  core.createPageViewId = () =>
    core.isDropping ? createPageViewId() : (`${loadId}.${(count++).toString(16)}.` as PageViewId)
  core.forget = () => {
    forget()
    loadId = createPageViewId()
    count = 0
  }
}
