import type { TagCore } from './tag.ts'

/** How long somebody who does nothing is still taken to look at the page. */
const activeMs = 15_000
const tickMs = 1000
/** Attention between two heartbeats. */
const heartbeatMs = 30_000

/**
 * Measures how long somebody looks at a page view, and how far down: while the page is visible and
 * something was touched, typed, moved or scrolled in the last 15 seconds. Sends `attention` with
 * totals of the page view so far, after each 30 seconds of it and once more as the page is hidden
 * or gives way to the next page view. The greatest values of a page view are the answer.
 */
export function attention({ page, tag, onPageViewEnd }: TagCore): void {
  const { document } = page
  let engagedMs = 0
  let sentMs = 0
  let depth = 0
  let activeUntilMs = 0
  let tickedMs = 0
  let timer: number | undefined

  /** Counts up to now, and goes on counting while there is something to count. */
  function tick(): void {
    const nowMs = Date.now()
    page.clearTimeout(timer)
    // A machine that slept between two ticks had nobody looking.
    if (tickedMs) engagedMs += Math.max(0, Math.min(nowMs - tickedMs, 2 * tickMs))
    const isActive = !document.hidden && nowMs < activeUntilMs
    tickedMs = isActive ? nowMs : 0
    if (isActive) timer = page.setTimeout(tick, tickMs)
    if (engagedMs - sentMs >= heartbeatMs) send()
  }

  function touch(): void {
    activeUntilMs = Date.now() + activeMs
    if (!tickedMs) tick()
  }

  function look(): void {
    const { scrollHeight } = document.documentElement
    const seen = (page.scrollY + page.innerHeight) / Math.max(1, scrollHeight)
    depth = Math.max(depth, Math.min(100, Math.round(seen * 100)))
  }

  function send(): void {
    sentMs = engagedMs
    look()
    tag.signal('attention', { engaged_ms: Math.round(engagedMs), scroll_percent: depth })
  }

  function end(): void {
    tick()
    if (engagedMs > sentMs) send()
  }

  for (const type of ['scroll', 'mousemove', 'pointerdown', 'keydown', 'touchstart']) {
    page.addEventListener(type, touch, { passive: true, capture: true })
  }
  page.addEventListener('scroll', look, { passive: true })
  document.addEventListener('visibilitychange', () => (document.hidden ? end() : touch()))
  page.addEventListener('pagehide', end)
  onPageViewEnd.push(() => {
    end()
    engagedMs = sentMs = depth = 0
    touch()
  })
  touch()
}
