import type { TagCore } from './tag.ts'

/** What the Media Rating Council takes for seen: half of it, for a second. */
const visibleShare = 0.5
const visibleMs = 1000

/**
 * Sends events that the markup asks for, with `data-millrace-item` as `item_id` and the JSON of
 * `data-millrace-parameters`:
 * `data-millrace-impression` when half of the element was to be seen for a second, once for a page
 * view; `data-millrace-click` when it or something in it is clicked. The value is the event type,
 * `impression` and `click` when it is empty. Elements that come later count too.
 */
export function impressions({ page, tag, onPageViewEnd }: TagCore): void {
  const { document } = page
  document.addEventListener('click', ({ target }) => send(target, 'click'), true)
  if (!('IntersectionObserver' in page)) return

  let timers = new Map<Element, number>()
  const observer = new page.IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        page.clearTimeout(timers.get(target))
        if (isIntersecting)
          timers.set(
            target,
            page.setTimeout(() => seen(target), visibleMs),
          )
      }
    },
    { threshold: visibleShare },
  )

  function seen(element: Element): void {
    // Somebody who looks at another tab sees nothing: the second begins when it is shown again.
    observer.unobserve(element)
    if (document.hidden) observer.observe(element)
    else send(element, 'impression')
  }

  function send(target: EventTarget | null, kind: string): void {
    const attribute = `data-millrace-${kind}`
    const element = (target as Element | null)?.closest?.(`[${attribute}]`)
    if (!element) return
    const item = element.getAttribute('data-millrace-item')
    let said: object = {}
    try {
      said = JSON.parse(element.getAttribute('data-millrace-parameters') ?? '{}')
    } catch {}
    const parameters = item === null ? said : { item_id: item, ...said }
    tag.signal(element.getAttribute(attribute) || kind, parameters)
  }

  function observe(root: Element): void {
    const selector = '[data-millrace-impression]'
    if (root.matches(selector)) observer.observe(root)
    for (const element of root.querySelectorAll(selector)) observer.observe(element)
  }

  const added = new page.MutationObserver((changes) => {
    for (const { addedNodes } of changes) {
      for (const node of addedNodes) if (node.nodeType === 1) observe(node as Element)
    }
  })
  const observeAll = () => observe(document.documentElement)
  added.observe(document.documentElement, { childList: true, subtree: true })
  observeAll()
  onPageViewEnd.push(() => {
    for (const timer of timers.values()) page.clearTimeout(timer)
    timers = new Map()
    observer.disconnect()
    observeAll()
  })
}
