import {
  ageMaxMs,
  answerTimeoutMs,
  batchCharactersMax,
  batchItemsMax,
  charactersMax,
  everything,
  itemsMax,
  retryMaxMs,
  retryMinMs,
} from './delivery-limits.ts'
import { createFinish, type Queue } from './queue.ts'
import { createStoredQueue, type StoredQueue } from './stored-queue.ts'
import type { TagCore } from './tag.ts'

/**
 * Sends events by POST, several at once when they come in bursts, and keeps what has no answer for
 * another try, in storage where that is allowed. At least once: an answer that a page does not live
 * to hear is asked for again by the next one, with the same event id, and the store keeps one.
 */
export function delivery(core: TagCore): void {
  // A browser without fetch that can be ended (before 2018) keeps the image requests of the core.
  if ('AbortController' in core.page) core.queue = createDelivery(core)
}

function createDelivery(core: TagCore): Queue {
  const { page, address, options } = core
  const { eventUrl } = address
  const stored = createStoredQueue(page, eventUrl)
  const waiters = createWaiters()
  const sender = createSender(core, stored, waiters.settle)
  let isStored: boolean | undefined
  let isScheduled: boolean | undefined

  page.addEventListener('pagehide', () => {
    if (!isStored || sender.dueMs <= Date.now()) {
      // Firefox before 133 ends every fetch with its page.
      const isAlive = 'keepalive' in Request.prototype
      const left = (isAlive ? [] : sender.batch).concat(sender.items)
      while (left[0] && page.navigator.sendBeacon(eventUrl, takeBatch(left).join('\n'))) {}
      // What is stored is sent once more by the page that finds it there: a beacon has no answer.
      if (!isStored) sender.items = left
    }
    stored.close()
  })
  page.addEventListener('pageshow', (event) => {
    if (!event.persisted || !isStored) return
    // Meanwhile another page may have taken it all.
    sender.batch = []
    sender.items = []
    stored.open()
    stored.read(sender.take)
    stored.adopt(sender.take)
  })
  page.addEventListener('online', () => {
    sender.dueMs = sender.barredMs
    stored.adopt(sender.take)
    sender.flush()
  })

  return {
    send: async (query) => {
      sender.items.push(query)
      if (isScheduled) return
      isScheduled = true
      // At the end of what the page is doing now: events of one moment go together.
      await undefined
      isScheduled = false
      sender.flush()
    },
    whenCommitted: (callback, timeoutMs) => {
      const { batch, items, dueMs } = sender
      // What waits for another try has failed once.
      if (!batch[0] && (!items[0] || dueMs)) callback()
      else {
        const limitMs = Math.min(timeoutMs || options.eventTimeoutMs, options.eventTimeoutMs)
        waiters.add(batch.length + items.length, createFinish(page, limitMs, callback))
      }
    },
    open: (mayStore) => {
      if (mayStore) {
        isStored = stored.open()
        stored.adopt(sender.take)
      } else stored.clear()
    },
    forget: () => {
      sender.items = []
      sender.batch = []
      isStored = false
      stored.clear()
      waiters.settle(everything)
    },
  }
}

/** Sends what is in `items`, one request at a time, and again until it is settled. */
interface Sender {
  items: string[]
  /** Under way, and no more in `items`. Whoever empties it does not want to hear the answer. */
  batch: string[]
  /** Nothing goes before, ms since 1970; 0 while all is well. */
  dueMs: number
  /** The collector's own word on that, which outlasts a connection that comes back. */
  barredMs: number
  /** Adds what was stored before, ahead of all. */
  readonly take: (events: string[], dueMs: number) => void
  readonly flush: () => void
}

/** @param onSettle is told how many events were answered, `everything` when a request has failed */
function createSender(
  core: TagCore,
  stored: StoredQueue,
  onSettle: (count: number) => void,
): Sender {
  const { page } = core
  const sender: Sender = { items: [], batch: [], dueMs: 0, barredMs: 0, take, flush }
  let timer: number | undefined
  let batchMax = batchItemsMax
  let failures = 0

  function take(events: string[], dueMs: number): void {
    sender.items = events.concat(sender.items)
    // A clock that was set back must not stop the queue.
    sender.dueMs = Math.max(sender.dueMs, Math.min(dueMs, Date.now() + retryMaxMs))
    flush()
  }

  function flush(): void {
    page.clearTimeout(timer)
    sender.items = bound(sender.items)
    stored.write(sender.batch.concat(sender.items), Math.max(sender.barredMs, Date.now()))
    if (sender.batch[0] || !sender.items[0]) return
    const waitMs = sender.dueMs - Date.now()
    if (waitMs > 0) timer = page.setTimeout(flush, waitMs)
    else void post()
  }

  async function post(): Promise<void> {
    const sent = takeBatch(sender.items, batchMax)
    sender.batch = sent
    const abort = new AbortController()
    const finish = createFinish(page, answerTimeoutMs, () => abort.abort())
    let retryAfterMs = 0
    let left = sent
    try {
      const answer = await page.fetch(core.address.eventUrl, {
        method: 'POST',
        credentials: core.credentials as RequestCredentials,
        body: sent.join('\n'),
        keepalive: true,
        signal: abort.signal,
      })
      retryAfterMs = readRetryAfter(answer.headers.get('Retry-After') as string)
      if (answer.status === 413) batchMax = Math.ceil(sent.length / 2)
      left = await unsettled(answer, sent)
    } catch {}
    finish()
    if (sender.batch === sent) settle(left, retryAfterMs)
  }

  function settle(left: string[], retryAfterMs: number): void {
    const length = sender.batch.length
    const nowMs = Date.now()
    sender.items = left.concat(sender.items)
    sender.batch = []
    failures = left[0] ? failures + 1 : 0
    // Half of it by chance, so that not all browsers come back at once.
    const pauseMs = Math.min(retryMaxMs, retryMinMs * 2 ** failures) * (0.5 + Math.random() / 2)
    sender.barredMs = nowMs + Math.min(retryMaxMs, retryAfterMs)
    sender.dueMs = failures && Math.max(sender.barredMs, nowMs + pauseMs)
    flush()
    onSettle(failures ? everything : length)
  }

  return sender
}

/** The events that are young enough, the oldest dropped until they are few and small enough. */
function bound(items: readonly string[]): string[] {
  const oldestMs = Date.now() - ageMaxMs
  const young = items.filter((item) => Number.parseInt(item.replace(/.*&c=/, ''), 36) > oldestMs)
  return takeFitting(young.reverse(), itemsMax, charactersMax).reverse()
}

/** Removes from `items` what one request can carry, and returns it; at least one. */
function takeBatch(items: string[], itemsMax = batchItemsMax): string[] {
  return takeFitting(items, itemsMax, batchCharactersMax)
}

/** Removes the first of `items` that fit, one of any length, and returns them. */
function takeFitting(items: string[], itemsMax: number, lengthMax: number): string[] {
  let length = 0
  let end = 0
  while (end < items.length && end < itemsMax) {
    length += (items[end] as string).length + 1
    if (end && length > lengthMax) break
    end++
  }
  return items.splice(0, end)
}

/**
 * What of `sent` has to be sent again by what the collector says of each event. An answer that is
 * not its own (a captive portal, a proxy, a firewall) settles nothing, whatever its status: the
 * collector's refusal of a whole body has a code of several words. An event that is too large on
 * its own is the exception: it would hold up all behind it.
 */
async function unsettled(answer: Response, sent: string[]): Promise<string[]> {
  const { status } = answer
  if (status >= 500 || status === 408 || status === 429) return sent
  if (status === 413) return sent[1] ? sent : []
  const { results, error } = await answer.json()
  if (status === 400 && /_/.test(error.code)) return []
  return sent.filter((_, index) => !/^(accep|rejec)ted$/.test(results[index].status))
}

/** Milliseconds from now; 0 without the header. RFC 9110 section 10.2.3: seconds, or a date. */
function readRetryAfter(header: string): number {
  return Number(header) * 1000 || Date.parse(header) - Date.now() || 0
}

/** Callbacks that wait for a number of events, in their order. */
function createWaiters() {
  let waiters: { left: number; readonly finish: () => void }[] = []
  return {
    add: (left: number, finish: () => void) => waiters.push({ left, finish }),
    settle: (count: number) => {
      waiters = waiters.filter((waiter) => {
        waiter.left -= count
        if (waiter.left > 0) return true
        // A callback that throws is the page's to hear of, but those behind it are still called.
        void Promise.resolve().then(waiter.finish)
        return false
      })
    },
  }
}
