import type { EventAnswer, EventsAnswer } from '../api/answer.ts'
import { ask, parse, queryOf } from './ask.ts'

/**
 * Events as they arrive, newest first, over one stream for the whole page. Says `change` when the
 * list or the connection is another one, and `arrive` when events came that may change answers.
 */
export class Feed extends EventTarget {
  /** Newest first, at most `eventsMax`. */
  events: readonly EventAnswer[] = []
  /** How many came since the page was opened. */
  arrived = 0
  connection: 'connecting' | 'live' | 'away' = 'connecting'
  #bots: 'exclude' | 'include' = 'exclude'
  #stream: EventSource | undefined
  #waiting = new Map<string, EventAnswer>()
  #identities = new Set<string>()
  #flush: ReturnType<typeof setTimeout> | undefined
  #reconnect: ReturnType<typeof setTimeout> | undefined

  /** Begins, or begins anew with another filter. */
  open(bots: 'exclude' | 'include'): void {
    this.#bots = bots
    this.#waiting.clear()
    this.#identities.clear()
    this.events = []
    this.#connect()
  }

  close(): void {
    this.#stream?.close()
    this.#stream = undefined
    clearTimeout(this.#flush)
    clearTimeout(this.#reconnect)
    this.#flush = undefined
  }

  #connect(): void {
    this.close()
    const own = new EventSource(`/api/live?${queryOf({ bots: this.#bots })}`)
    this.#stream = own
    own.addEventListener('open', () => {
      this.#tellConnection('live')
      // What came while nobody listened; and every answer may be another one now.
      void this.#addRecent(own)
      this.dispatchEvent(new Event('arrive'))
    })
    own.addEventListener('message', ({ data }) => {
      this.arrived += this.#add([parse(data) as EventAnswer])
      this.#flush ??= setTimeout(() => this.#show(), flushIntervalMs)
    })
    own.addEventListener('error', () => {
      if (this.#stream !== own) return
      this.#tellConnection('away')
      // Refused, not broken off: the browser does not try again by itself.
      if (own.readyState !== EventSource.CLOSED) return
      this.#reconnect = setTimeout(() => this.#connect(), reconnectMs)
    })
  }

  async #addRecent(own: EventSource): Promise<void> {
    const query = queryOf({ last: '90d', order: 'desc', limit: 50, bots: this.#bots })
    try {
      const { events } = await ask<EventsAnswer>(`/api/events?${query}`)
      if (this.#stream !== own) return
      this.#add(events)
      this.#show()
    } catch {
      // The list is filled by what arrives; the answers beside it tell what is wrong.
    }
  }

  /** Returns how many of them are new. */
  #add(events: readonly EventAnswer[]): number {
    let count = 0
    for (const event of events) {
      const identity = identityOf(event)
      if (this.#identities.has(identity) || this.#waiting.has(identity)) continue
      this.#waiting.set(identity, event)
      count++
    }
    // The timers of a page that nobody looks at may come once a minute.
    for (const identity of this.#waiting.keys()) {
      if (this.#waiting.size <= eventsMax) break
      this.#waiting.delete(identity)
    }
    return count
  }

  /** A flood is shown in lots. */
  #show(): void {
    this.#flush = undefined
    const isNew = this.#waiting.size > 0
    const all = [...this.#waiting.values(), ...this.events]
    all.sort((a, b) => (a.receivedAt === b.receivedAt ? 0 : a.receivedAt < b.receivedAt ? 1 : -1))
    this.events = all.slice(0, eventsMax)
    this.#identities = new Set(this.events.map(identityOf))
    this.#waiting.clear()
    this.dispatchEvent(new Event('change'))
    if (isNew) this.dispatchEvent(new Event('arrive'))
  }

  #tellConnection(connection: Feed['connection']): void {
    this.connection = connection
    this.dispatchEvent(new Event('change'))
  }
}

const reconnectMs = 2_000
const flushIntervalMs = 150
/** Older ones are a question for the API. */
const eventsMax = 100

/** What tells an event from all others. */
export function identityOf(event: EventAnswer): string {
  return `${event.partyId ?? ''}\n${event.eventId}`
}
