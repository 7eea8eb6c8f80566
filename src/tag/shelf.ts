import type { Queue } from './queue.ts'
import type { ShelfItem, ShelfOptions, TagCore } from './tag.ts'

/** What the Media Rating Council takes for seen: half of it, for a second. */
const visibleShare = 0.5
const visibleMs = 1000
/** What comes into view together is told together. */
const gatherMs = 250
/** Later, an answer would move what the person already reads. */
const answerMs = 3000

interface Told {
  readonly item_id: string
  readonly position: number
  readonly model: string
}

/**
 * Fills a place of the page with recommendations: `divolte.shelf(place, { items, draw })`. The event
 * `impression` tells what of it was seen, with the recommendation's id, and `click` what was clicked.
 * Nothing is asked before a consent or after a refusal; under Global Privacy Control no session is
 * named.
 */
export function shelf(core: TagCore): void {
  const { page, tag, onPageViewEnd } = core
  const open = opening(core)
  let flushes: (() => void)[] = []
  const flushAll = (): void => {
    for (const flush of flushes) flush()
  }
  page.document.addEventListener('visibilitychange', () => page.document.hidden && flushAll())
  onPageViewEnd.push(() => {
    flushAll()
    flushes = []
  })

  tag.shelf = async (place, options) => {
    await open
    const answer = core.isDropping ? undefined : await ask(core, options)
    // The answer of a page that has gone on, or of somebody who has just refused, is nobody's.
    if (!answer || core.isDropping) return 0
    const drawn: [Element, Told][] = []
    for (const { itemId, reason, model } of answer.items) {
      const position = drawn.length + 1
      const element = options.draw({ itemId, reason, position })
      if (element) drawn.push([element, { item_id: itemId, position, model }])
    }
    if (drawn[0]) {
      place.textContent = ''
      for (const [element] of drawn) place.appendChild(element)
      flushes.push(watch(core, answer.recommendationId, drawn))
    }
    return drawn.length
  }
}

async function ask(
  { page, address, tag }: TagCore,
  options: ShelfOptions,
): Promise<Answer | undefined> {
  const names = [
    ['session', tag.sessionId ? [tag.sessionId] : []],
    ['item', options.items],
    ['exclude', options.exclude],
    ['limit', [options.limit || 6]],
  ] as const
  const query = names.flatMap(([name, values]) =>
    (values || []).map((value) => `${name}=${encodeURIComponent(value)}`),
  )
  const url = address.eventUrl.replace(/[^/]*$/, 'recommendations?') + query.join('&')
  const { pageViewId } = tag
  const startMs = Date.now()
  try {
    const response = await page.fetch(url, { credentials: 'omit' })
    const answer: Answer = await response.json()
    const isLate = Date.now() - startMs > answerMs || tag.pageViewId !== pageViewId
    return response.ok && !isLate ? answer : undefined
  } catch {
    return
  }
}

/** Tells what is seen and clicked; what it returns tells at once what was seen lately. */
function watch(
  { page, tag }: TagCore,
  recommendation_id: string,
  drawn: readonly [Element, Told][],
): () => void {
  const left = new Map(drawn)
  const timers = new Map<Element, number>()
  let seen: Told[] = []
  let gathering: number | undefined

  const flush = (): void => {
    page.clearTimeout(gathering)
    gathering = undefined
    const items = seen.sort((a, b) => a.position - b.position)
    seen = []
    if (items[0]) tag.signal('impression', { recommendation_id, items })
  }
  const see = (element: Element): void => {
    const told = left.get(element)
    if (told && left.delete(element)) seen.push(told)
    gathering = gathering || page.setTimeout(flush, gatherMs)
  }
  const dwell = (element: Element): void => {
    page.clearTimeout(timers.get(element))
    // Somebody who looks at another tab sees nothing: the second begins again.
    const look = (): void => (page.document.hidden ? dwell(element) : see(element))
    timers.set(element, page.setTimeout(look, visibleMs))
  }
  const observer =
    'IntersectionObserver' in page &&
    new page.IntersectionObserver(
      (entries) => {
        for (const { target, isIntersecting } of entries) {
          if (isIntersecting) dwell(target)
          else page.clearTimeout(timers.get(target))
        }
      },
      { threshold: visibleShare },
    )
  for (const [element, told] of drawn) {
    if (observer) observer.observe(element)
    const click = (): void => {
      element.removeEventListener('click', click, true)
      element.removeEventListener('auxclick', click, true)
      // What is clicked was seen, however short.
      see(element)
      flush()
      tag.signal('click', { ...told, recommendation_id })
    }
    element.addEventListener('click', click, true)
    element.addEventListener('auxclick', click, true)
  }
  return flush
}

/** Resolves as the last hold goes, whichever queue another module puts in. */
function opening(core: TagCore): Promise<void> {
  return new Promise((resolve) => {
    let { queue } = core
    Object.defineProperty(core, 'queue', {
      get: () => queue,
      set: (next: Queue) => {
        const open = (mayStore: boolean): void => {
          next.open(mayStore)
          resolve()
        }
        queue = Object.assign({}, next, { open })
      },
    })
    core.queue = queue
  })
}

interface Answer {
  readonly recommendationId: string
  readonly items: readonly (Omit<ShelfItem, 'position'> & { readonly model: string })[]
}
