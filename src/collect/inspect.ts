import type { ServerResponse } from 'node:http'
import type { MillraceError } from '../event/error.ts'
import type { Event } from '../event/event.ts'
import type { Clock } from '../lib/clock.ts'
import { cut, type Receipt } from './receipt.ts'
import type { Refused, Rejections } from './rejection.ts'

/**
 * What `millrace start --inspect` remembers: every event that was answered by 2xx and every refusal,
 * also those that are no dead letters (a wrong path, a wrong method), for who tests a site.
 */

/** An event that is durable. */
export interface InspectedEvent {
  /** Counts events and refusals together, from 1, in the order of their answers. */
  readonly number: number
  readonly event: Event
  /** How often it came again. */
  repeats: number
}

/** A request, or an event of a batch, that was refused. */
export interface InspectedRejection {
  readonly number: number
  /** ms since 1970 */
  readonly receivedAt: number
  readonly error: MillraceError
  /** `tag` or `json` for an event; `GET /evnts`, the method and the path, for any other request. */
  readonly request: string
  /** The event that was refused, cut at 4,096 characters; '' where none was read or may be kept. */
  readonly body: string
}

/** The memory of the newest arrivals, and where the collector writes them down. */
export interface Inspector {
  readonly events: () => readonly InspectedEvent[]
  readonly rejections: () => readonly InspectedRejection[]
  /** Arrivals that gave way to newer ones. */
  readonly forgotten: () => number
  /** Rises with each arrival, repeat and reset. */
  readonly changes: () => number
  /** Calls back at each change until the returned function is called. */
  readonly onChange: (changed: () => void) => () => void
  /** Forgets everything and counts from 1 again; what is stored stays. */
  readonly reset: () => void
  readonly accept: (event: Event) => void
  /** A refusal of a whole request; one that `watch` has seen already is not written down twice. */
  readonly refuse: (response: ServerResponse, error: MillraceError) => void
  /** An event that was answered by 2xx and kept as a dead letter, as no mapping could take it. */
  readonly note: (event: Event, error: MillraceError) => void
  /** Rejections that are written down as well. */
  readonly watch: (rejections: Rejections) => Rejections
}

export interface InspectLimits {
  /** Most arrivals kept; the oldest give way. */
  readonly arrivalsMax: number
  /** Most bytes that they may hold, about. */
  readonly bytesMax: number
}

/** Enough for the longest test of a site; a test begins with a reset. */
export const inspectLimits: InspectLimits = { arrivalsMax: 10_000, bytesMax: 32 * 1024 * 1024 }

const bodyCharactersMax = 4_096
/** What an arrival holds beside its long texts, about: objects, identifiers, the agent. */
const arrivalBytes = 1_024

export function createInspector(clock: Clock, limits: InspectLimits = inspectLimits): Inspector {
  const memory = createMemory(limits)
  const told = new WeakSet<MillraceError>()
  const reject = (
    error: MillraceError,
    receivedAt: number,
    request: string,
    text: string,
  ): void => {
    told.add(error)
    const body = cut(text, bodyCharactersMax)
    memory.add({ rejection: { number: memory.next(), receivedAt, error, request, body } })
  }
  return {
    events: () => memory.list().flatMap(({ event }) => event ?? []),
    rejections: () => memory.list().flatMap(({ rejection }) => rejection ?? []),
    forgotten: memory.forgotten,
    changes: memory.changes,
    onChange: memory.onChange,
    reset: memory.reset,
    accept(event) {
      const known = memory.find(identityOf(event))
      if (known === undefined) memory.add({ event: { number: memory.next(), event, repeats: 0 } })
      else {
        known.repeats++
        memory.change()
      }
    },
    refuse(response, error) {
      if (told.has(error)) return
      const { method = '', url = '' } = response.req
      const mark = url.indexOf('?')
      const path = cut(mark < 0 ? url : url.slice(0, mark), bodyCharactersMax)
      reject(error, clock(), `${method} ${path}`, '')
    },
    note: ({ receivedAt, source, eventType, parameters }, error) => {
      reject(error, receivedAt, source, `${eventType} ${parameters ?? ''}`)
    },
    watch: ({ keep }) => ({
      keep(refused: readonly Refused[], receipt: Receipt) {
        for (const { error, body, source } of refused) {
          reject(error, receipt.receivedAt, source, body)
        }
        return keep(refused, receipt)
      },
    }),
  }
}

function identityOf({ partyId, eventId }: Event): string {
  return `${partyId ?? ''}\n${eventId}`
}

/** One of the two. */
interface Arrival {
  readonly event?: InspectedEvent
  readonly rejection?: InspectedRejection
}

interface Memory {
  readonly list: () => readonly Arrival[]
  readonly find: (identity: string) => InspectedEvent | undefined
  readonly add: (arrival: Arrival) => void
  /** The number of the next arrival. */
  readonly next: () => number
  readonly change: () => void
  readonly changes: () => number
  readonly forgotten: () => number
  readonly onChange: (changed: () => void) => () => void
  readonly reset: () => void
}

function createMemory({ arrivalsMax, bytesMax }: InspectLimits): Memory {
  // In the order of arrival, so that the oldest is the first.
  const arrivals = new Set<Arrival>()
  const byIdentity = new Map<string, InspectedEvent>()
  const listeners = new Set<() => void>()
  let [bytes, count, forgotten, changes] = [0, 0, 0, 0]

  const change = (): void => {
    changes++
    for (const listener of [...listeners]) listener()
  }
  const forgetOldest = (): void => {
    const [oldest] = arrivals
    if (oldest === undefined) return
    arrivals.delete(oldest)
    if (oldest.event !== undefined) byIdentity.delete(identityOf(oldest.event.event))
    bytes -= bytesOf(oldest)
    forgotten++
  }
  return {
    list: () => [...arrivals],
    find: (identity) => byIdentity.get(identity),
    next: () => count + 1,
    add(arrival) {
      count++
      arrivals.add(arrival)
      if (arrival.event !== undefined)
        byIdentity.set(identityOf(arrival.event.event), arrival.event)
      bytes += bytesOf(arrival)
      while (arrivals.size > arrivalsMax || (bytes > bytesMax && arrivals.size > 1)) forgetOldest()
      change()
    },
    change,
    changes: () => changes,
    forgotten: () => forgotten,
    onChange(changed) {
      listeners.add(changed)
      return () => listeners.delete(changed)
    },
    reset() {
      arrivals.clear()
      byIdentity.clear()
      ;[bytes, count, forgotten] = [0, 0, 0]
      change()
    },
  }
}

/** Two bytes a character at most, of the texts that a sender can make long. */
function bytesOf({ event, rejection }: Arrival): number {
  if (rejection !== undefined) {
    const { body, request, error } = rejection
    return arrivalBytes + 2 * (body.length + request.length + error.message.length)
  }
  const { parameters, location, referer, userAgent } = event?.event ?? {}
  const texts = [parameters, location, referer, userAgent]
  return arrivalBytes + 2 * texts.reduce((sum, text) => sum + (text?.length ?? 0), 0)
}
