/** Events and callbacks in the order in which they came, one event on its way at a time. */
export interface Queue {
  /** Sends a query string when all before it is sent. */
  readonly send: (query: string) => void
  /**
   * Calls once all that is queued now has been answered, has failed or has timed out, or after
   * `timeoutMs`; at once when nothing is queued.
   */
  readonly whenCommitted: (callback: () => void, timeoutMs?: number) => void
  /** Called before the first event: whether anything may be kept in the browser. */
  readonly open: (mayStore: boolean) => void
  /** Deletes what is not sent yet, in memory and in storage. */
  readonly forget: () => void
}

type TimerPage = Pick<Window, 'setTimeout' | 'clearTimeout'>

/** What the queue needs of the browser. */
type QueuePage = TimerPage & {
  readonly Image: new (width: number, height: number) => HTMLImageElement
}

/**
 * Each event is one image: it crosses origins without a preflight and asks nothing of the page. An
 * answer, a failure and `eventTimeoutMs` all let the next one go. There is no second try.
 */
export function createQueue(page: QueuePage, eventUrl: string, eventTimeoutMs: number): Queue {
  let items: (string | (() => void))[] = []
  let isBusy: boolean | undefined

  function add(item: string | (() => void)): void {
    items.push(item)
    if (!isBusy) advance()
  }

  function advance(): void {
    const item = items.shift()
    isBusy = !!item
    if (typeof item === 'string') {
      const image = new page.Image(1, 1)
      image.onload = image.onerror = createFinish(page, eventTimeoutMs, advance)
      image.src = `${eventUrl}?${item}`
    } else if (item) {
      // A callback that throws is the page's to hear of, but the events behind it still go.
      try {
        item()
      } finally {
        advance()
      }
    }
  }

  return {
    send: add,
    whenCommitted: (callback, timeoutMs) => {
      add(timeoutMs && isBusy ? createFinish(page, timeoutMs, callback) : callback)
    },
    // Nothing is kept.
    open: () => {},
    // An image that is under way cannot be called back; callbacks wait for it as before.
    forget: () => {
      items = items.filter((item) => typeof item !== 'string')
    },
  }
}

/** A function that calls `done` the first time that it is called itself, or after `timeoutMs`. */
export function createFinish(page: TimerPage, timeoutMs: number, done: () => void): () => void {
  let isDone: boolean | undefined
  const finish = () => {
    if (isDone) return
    isDone = true
    page.clearTimeout(timer)
    done()
  }
  const timer = page.setTimeout(finish, timeoutMs)
  return finish
}
