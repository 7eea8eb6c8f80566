import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { MillraceError } from '../event/error.ts'
import type { Event } from '../event/event.ts'
import { securityHeaders } from './guard.ts'
import type { InspectAnswer, InspectedRejectionAnswer } from './inspect-answer.ts'
import {
  type ArrivalsQuestion,
  inspectEventsParameters,
  inspectParameters,
  inspectRejectionsParameters,
  parseInspect,
  parseInspectEvents,
  parseInspectRejections,
  type WaitQuestion,
} from './inspect-question.ts'
import { renderEvent, renderTime } from './render.ts'
import { queryTextOf, sendJson } from './reply.ts'
import { answerResponses, questionSchema } from './schema.ts'

/** The developer's mode: what arrived, what was refused and why, for end-to-end tests of a site. */

/** An event that the collector has answered with 2xx. */
export interface InspectedEvent {
  readonly number: number
  readonly event: Event
  readonly repeats: number
}

/** A request, or an event of a batch, that it has refused. */
export interface InspectedRejection {
  readonly number: number
  readonly receivedAt: number
  readonly error: MillraceError
  readonly request: string
  readonly body: string
}

/** What the collector remembers; see collect/inspect.ts. */
export interface Inspected {
  readonly events: () => readonly InspectedEvent[]
  readonly rejections: () => readonly InspectedRejection[]
  readonly forgotten: () => number
  readonly changes: () => number
  readonly onChange: (changed: () => void) => () => void
  readonly reset: () => void
}

/** What needs no token where reading needs none: a test of a site has none, and nothing is lost. */
export const harmlessPaths: readonly string[] = ['/api/inspect/reset']

/** Most answers that wait at once. */
const waitersMax = 64
/** Arrivals that come together wake those who wait once. */
const wakeMs = 10

/** @param stopping aborts when the API stops */
export async function addInspectRoutes(
  app: FastifyInstance,
  inspected: Inspected,
  stopping: AbortSignal,
): Promise<void> {
  const waits = createWaits(inspected, stopping)
  await addPage(app)
  app.get(
    '/api/inspect',
    {
      schema: questionSchema('What arrived since the reset, counted', inspectParameters, 'inspect'),
    },
    async (request, reply) => {
      const wait = parseInspect(queryTextOf(request))
      if (wait !== undefined) {
        const isNew = () => inspected.changes() !== wait.since
        await waits.until(reply, wait.waitMs, () => isNew() || undefined)
      }
      return sendJson(reply, JSON.stringify(countArrivals(inspected)))
    },
  )
  app.get(
    '/api/inspect/events',
    {
      schema: questionSchema(
        'Events that arrived, oldest first; each once, however often it came',
        inspectEventsParameters,
        'inspectedEvents',
      ),
    },
    async (request, reply) => {
      const question = parseInspectEvents(queryTextOf(request))
      const events = await waits.find(reply, question, inspected.events)
      return sendJson(reply, page('events', events, renderInspectedEvent))
    },
  )
  app.get(
    '/api/inspect/rejections',
    {
      schema: questionSchema(
        'What was refused, and why, oldest first',
        inspectRejectionsParameters,
        'inspectedRejections',
      ),
    },
    async (request, reply) => {
      const question = parseInspectRejections(queryTextOf(request))
      const rejections = await waits.find(reply, question, inspected.rejections)
      return sendJson(reply, page('rejections', rejections, renderInspectedRejection))
    },
  )
  const schema = {
    summary: 'Forget what arrived and count from 1 again; what is stored stays',
    response: answerResponses('inspect'),
  }
  app.post('/api/inspect/reset', { schema }, (_request, reply) => {
    inspected.reset()
    return sendJson(reply, JSON.stringify(countArrivals(inspected)))
  })
}

function countArrivals(inspected: Inspected): InspectAnswer {
  const events = inspected.events()
  const rejections = inspected.rejections()
  return {
    events: events.length,
    rejections: rejections.length,
    repeats: events.reduce((sum, { repeats }) => sum + repeats, 0),
    forgotten: inspected.forgotten(),
    last: Math.max(events.at(-1)?.number ?? 0, rejections.at(-1)?.number ?? 0),
    changes: inspected.changes(),
    eventTypes: tally(events.map(({ event }) => event.eventType)).map(([eventType, count]) => {
      return { eventType, count }
    }),
    codes: tally(rejections.map(({ error }) => error.code)).map(([code, count]) => {
      return { code, count }
    }),
  }
}

/** Most first. */
function tally(values: readonly string[]): [value: string, count: number][] {
  const counts = new Map<string, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return [...counts].sort(([, a], [, b]) => b - a)
}

function page<Arrival extends { readonly number: number }>(
  name: string,
  arrivals: readonly Arrival[],
  render: (arrival: Arrival) => string,
): string {
  const last = arrivals.at(-1)?.number ?? null
  return `{"${name}":[${arrivals.map(render).join(',')}],"last":${last}}`
}

function renderInspectedEvent({ number, event, repeats }: InspectedEvent): string {
  return `{"number":${number},"repeats":${repeats},"event":${renderEvent(event)}}`
}

function renderInspectedRejection(rejection: InspectedRejection): string {
  const { number, receivedAt, error, request, body } = rejection
  const answer: InspectedRejectionAnswer = {
    number,
    receivedAt: renderTime(receivedAt) ?? '',
    request,
    status: error.status,
    error: error.toJSON(),
    body,
  }
  return JSON.stringify(answer)
}

interface Waits {
  /**
   * Resolves with what `look` finds, at once or at a later change; with undefined when the time is
   * up, the client has gone, or the API stops.
   * @throws MillraceError `live_full`
   */
  readonly until: <Found>(
    reply: FastifyReply,
    waitMs: number,
    look: () => Found | undefined,
  ) => Promise<Found | undefined>
  /** The newest arrivals of a question. @throws MillraceError `event_absent`, `live_full` */
  readonly find: <Arrival extends { readonly number: number }>(
    reply: FastifyReply,
    question: ArrivalsQuestion<Arrival>,
    list: () => readonly Arrival[],
  ) => Promise<readonly Arrival[]>
}

function createWaits(inspected: Inspected, stopping: AbortSignal): Waits {
  let waiting = 0
  const until: Waits['until'] = async (reply, waitMs, look) => {
    const found = look()
    if (found !== undefined || waitMs === 0) return found
    if (waiting >= waitersMax) throw new MillraceError('live_full', String(waitersMax))
    const gone = new AbortController()
    const signal = AbortSignal.any([stopping, gone.signal, AbortSignal.timeout(waitMs)])
    reply.raw.once('close', () => gone.abort())
    waiting++
    try {
      while (!signal.aborted) {
        await nextChange(inspected, signal)
        await sleep(wakeMs)
        const later = look()
        if (later !== undefined) return later
      }
      return undefined
    } finally {
      waiting--
    }
  }
  return {
    until,
    async find(reply, question, list) {
      const matching = (): ReturnType<typeof list> =>
        list().filter((one) => one.number > question.after && question.matches(one))
      if (question.waitMs === 0) return matching().slice(-question.limit)
      const found = await until(reply, question.waitMs, () => {
        const some = matching()
        return some.length >= question.count ? some : undefined
      })
      if (found === undefined) throw absent(question, matching().length, inspected)
      return found.slice(-question.limit)
    },
  }
}

function nextChange(inspected: Inspected, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      leave()
      signal.removeEventListener('abort', end)
      resolve()
    }
    const leave = inspected.onChange(end)
    signal.addEventListener('abort', end)
    if (signal.aborted) end()
  })
}

/** Says what came instead: who reads it is looking for a mistake in a page, or in a test. */
function absent(
  { count, waitMs, wanted }: WaitQuestion & { readonly wanted: string },
  found: number,
  inspected: Inspected,
): MillraceError {
  const { eventTypes, codes } = countArrivals(inspected)
  const came = [
    ...eventTypes.map(({ eventType, count }) => `${eventType} ${count}`),
    ...codes.map(({ code, count }) => `refused by ${code} ${count}`),
  ]
  const instead = came.length === 0 ? 'nothing arrived at all' : `arrived: ${came.join(', ')}`
  const detail = `${found} of ${count} ${wanted} within ${waitMs} ms; ${instead}`
  return new MillraceError('event_absent', detail)
}

/** One file, its script and style allowed by their digests; no other script runs on it. */
async function addPage(app: FastifyInstance): Promise<void> {
  const html = await readFile(new URL('inspect.html', import.meta.url), 'utf8')
  const digests = (element: string): string =>
    [...html.matchAll(new RegExp(`<${element}>([\\s\\S]*?)</${element}>`, 'g'))]
      .map(([, text = '']) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`)
      .join(' ')
  const policy = (securityHeaders['content-security-policy'] ?? '')
    .replace("script-src 'self'", `script-src ${digests('script')}`)
    .replace("style-src 'self'", `style-src ${digests('style')}`)
  app.get('/inspect', { schema: { hide: true } }, (_request, reply) =>
    reply
      .header('content-security-policy', policy)
      .header('cache-control', 'no-store')
      .type('text/html; charset=utf-8')
      .send(html),
  )
}
