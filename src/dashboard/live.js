// @ts-check
/**
 * Events as they arrive.
 * @import { EventAnswer, EventsAnswer } from '../api/answer.ts'
 */
import { ask, element, make, parse, showProblem, webLink } from './dom.js'

const reconnectMs = 5_000
/** A flood is drawn in lots: at most `shownMax` rows at a time. */
const flushIntervalMs = 150
const announceIntervalMs = 10_000
/** Most events shown; older ones are a question for the API. */
const shownMax = 100

/** Shows events in the list, newest first. */
export class LiveView {
  /** @type {Map<string, EventAnswer>} those that are not drawn yet */
  #waiting = new Map()
  /** @type {{ identity: string, row: HTMLElement, receivedAt: string }[]} newest first */
  #shown = []
  /** @type {Set<string>} of those that are shown */
  #identities = new Set()
  /** @type {EventSource | undefined} */
  #stream
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #flush
  #isPaused = false
  #unannounced = 0
  #bots
  #onEvent

  /**
   * @param {() => string} bots whether bots are wanted now: exclude or include
   * @param {() => void} onEvent called for each event that arrives
   */
  constructor(bots, onEvent) {
    this.#bots = bots
    this.#onEvent = onEvent
    element('pause').addEventListener('click', () => {
      this.#isPaused = !this.#isPaused
      if (!this.#isPaused) this.#draw(true)
      this.#showPause()
    })
    setInterval(() => this.#announce(), announceIntervalMs)
  }

  get isEmpty() {
    return this.#shown.length === 0 && this.#waiting.size === 0
  }

  connect() {
    this.#stream?.close()
    const own = new EventSource(`/api/live?bots=${this.#bots()}`)
    this.#stream = own
    own.addEventListener('open', () => {
      showConnection('is-live', 'Live')
      // What came while nobody listened.
      void this.#showRecent()
    })
    own.addEventListener('message', ({ data }) => {
      this.#add([parse(data)], true)
      this.#onEvent()
    })
    own.addEventListener('error', () => {
      if (this.#stream !== own) return
      showConnection('is-away', 'Reconnecting…')
      // Refused, not broken off: the browser does not try again by itself.
      if (own.readyState !== EventSource.CLOSED) return
      setTimeout(() => this.#stream === own && this.connect(), reconnectMs)
    })
  }

  /** Begins anew, for another filter. */
  restart() {
    this.#waiting.clear()
    this.#shown = []
    this.#identities.clear()
    element('live').replaceChildren()
    element('live-none').hidden = false
    this.connect()
  }

  async #showRecent() {
    const bots = this.#bots()
    try {
      /** @type {EventsAnswer} */
      const { events } = await ask(`/api/events?last=90d&order=desc&limit=50&bots=${bots}`)
      if (bots === this.#bots()) this.#add(events.toReversed(), false)
      showProblem('live', '')
    } catch (error) {
      showProblem('live', error)
    }
  }

  /**
   * @param {readonly EventAnswer[]} events oldest first
   * @param {boolean} isNew
   */
  #add(events, isNew) {
    for (const event of events) {
      const identity = `${event.partyId ?? ''}\n${event.eventId}`
      if (this.#identities.has(identity) || this.#waiting.has(identity)) continue
      this.#waiting.set(identity, event)
      if (isNew) this.#unannounced++
    }
    const excess = Math.max(0, this.#waiting.size - shownMax)
    for (const identity of [...this.#waiting.keys()].slice(0, excess)) {
      this.#waiting.delete(identity)
    }
    if (this.#isPaused) this.#showPause()
    else if (!isNew) this.#draw(false)
    else if (this.#flush === undefined) {
      this.#flush = setTimeout(() => {
        this.#flush = undefined
        if (!this.#isPaused) this.#draw(true)
        this.#showPause()
      }, flushIntervalMs)
    }
  }

  /** @param {boolean} isNew */
  #draw(isNew) {
    const list = element('live')
    for (const [identity, event] of this.#waiting) {
      const row = eventRow(event)
      if (isNew) row.className = 'new'
      const { receivedAt } = event
      const older = this.#shown.findIndex((other) => other.receivedAt <= receivedAt)
      const at = older < 0 ? this.#shown.length : older
      list.insertBefore(row, this.#shown[at]?.row ?? null)
      this.#shown.splice(at, 0, { identity, row, receivedAt })
      this.#identities.add(identity)
    }
    this.#waiting.clear()
    element('live-none').hidden = this.#shown.length > 0
    for (const { identity, row } of this.#shown.splice(shownMax)) {
      row.remove()
      this.#identities.delete(identity)
    }
  }

  #showPause() {
    const { size } = this.#waiting
    const button = element('pause')
    button.setAttribute('aria-pressed', String(this.#isPaused))
    button.textContent = !this.#isPaused ? 'Pause' : size > 0 ? `Show ${size} new` : 'Paused'
  }

  /** Tells a screen reader now and then how many came, not each of a thousand. */
  #announce() {
    if (this.#unannounced === 0) return
    const events = this.#unannounced === 1 ? 'event' : 'events'
    element('announcement').textContent = `${this.#unannounced} new ${events}`
    this.#unannounced = 0
  }
}

/**
 * @param {string} kind
 * @param {string} text
 */
function showConnection(kind, text) {
  element('connection').className = `pill ${kind}`
  element('connection').textContent = text
}

/** @param {EventAnswer} event */
function eventRow(event) {
  const details = make('details')
  const summary = make('summary')
  const time = make('time', event.eventTime.slice(11, 19))
  time.setAttribute('datetime', event.eventTime)
  time.title = event.eventTime
  summary.append(time, make('span', event.eventType, 'type'))
  if (event.itemId !== null) summary.append(make('span', `item ${event.itemId}`, 'item'))
  if (event.bot !== null) summary.append(make('span', 'bot', 'note'))
  summary.append(make('span', placeOf(event.location) ?? event.source, 'where'))
  const who = make('span', event.partyId?.slice(-6) ?? event.privacy ?? 'no party', 'who')
  who.title = event.partyId === null ? 'No party is known' : `Party ${event.partyId}`
  summary.append(who)
  details.append(summary)
  // Most rows are never opened.
  details.addEventListener('toggle', () => details.append(eventFields(event)), { once: true })
  const row = make('li')
  row.append(details)
  return row
}

/** @param {EventAnswer} event */
function eventFields(event) {
  const fields = make('dl')
  const { agent, parameters, ...rest } = event
  const agentTexts = [agent.name, agent.version, agent.osFamily, agent.osVersion]
  const entries = Object.entries({
    parameters: parameters === null ? null : JSON.stringify(parameters, null, 1),
    ...rest,
    agent: agentTexts.filter((text) => text !== null).join(', '),
  })
  for (const [name, value] of entries) {
    if (value === null || value === '' || value === false) continue
    const cell = make('dd')
    cell.append(webLink(String(value)) ?? String(value))
    fields.append(make('dt', name), cell)
  }
  return fields
}

/** @param {string | null} location */
function placeOf(location) {
  if (location === null || !URL.canParse(location)) return location
  const { host, pathname, search } = new URL(location)
  return host === '' ? location : host + pathname + search
}
