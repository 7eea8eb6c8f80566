import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import {
  askDeadLetters,
  createBodyReader,
  deadLettersParameters,
  parseDeadLetters,
  tokenAfterLetter,
} from '../query/dead-letters.ts'
import {
  askEvents,
  type EventsQuestion,
  eventsParameters,
  parseEventStream,
  parseEvents,
  tokenAfter,
} from '../query/events.ts'
import { askHealth } from '../query/health.ts'
import { type EventRow, type QueryContext, readParameters } from '../query/query.ts'
import type { RouteContext } from './api.ts'
import { addCountRoutes } from './count-routes.ts'
import { liveParameters } from './live.ts'
import { addPartyRoutes } from './party-routes.ts'
import { collectPage, renderDeadLetter, renderEvent, renderHealth } from './render.ts'
import { queryTextOf, sendJson } from './reply.ts'
import { answerSchemas, questionSchema, type RouteSchema } from './schema.ts'

/** The questions that are only read. Answers are never cached: they are people's behaviour. */
export function addRoutes(app: FastifyInstance, context: RouteContext): void {
  const { options, parts } = context
  const query: QueryContext = { clock: parts.clock, rowsMax: options.eventsMax }
  addEvents(app, context, query)
  addDeadLetters(app, context, query)
  addHealth(app, context)
  addCountRoutes(app, parts.store, query)
  addPartyRoutes(app, parts.store, query)
  const live = {
    ...questionSchema('Events as they arrive, as server-sent events', liveParameters, 'event'),
    response: { 200: { content: { 'text/event-stream': { schema: answerSchemas.event } } } },
  }
  app.get('/api/live', { schema: live }, (request, reply) => {
    context.live.open(reply.raw, queryTextOf(request), reply.getHeaders())
    reply.hijack()
  })
  app.get('/api/openapi.json', { schema: { hide: true } }, (_request, reply) =>
    sendJson(reply, JSON.stringify(app.swagger())),
  )
  const { metrics } = parts
  if (metrics === undefined) return
  for (const path of ['/metrics', '/api/metrics']) {
    app.get(path, { schema: { hide: true } }, async (_request, reply) =>
      reply
        .header('cache-control', 'no-store')
        .type('text/plain; version=0.0.4; charset=utf-8')
        .send(await metrics()),
    )
  }
}

function addEvents(app: FastifyInstance, context: RouteContext, query: QueryContext): void {
  const { store } = context.parts
  const schema = questionSchema(
    'Events in the order of their time; by `Accept: application/x-ndjson` a line each, all of them',
    eventsParameters,
    'events',
  )
  app.get('/api/events', { schema }, async (request, reply) => {
    if (wantsLines(request)) {
      const question = parseEventStream(queryTextOf(request), query)
      return sendLines(reply, askEvents(store, question, question.limit), context)
    }
    const question = parseEvents(queryTextOf(request), query)
    return sendJson(reply, await eventsPage(context, question))
  })
}

async function eventsPage(context: RouteContext, question: EventsQuestion): Promise<string> {
  const limit = question.limit ?? context.options.eventsMax
  const { texts, next } = await collectPage(
    askEvents(context.parts.store, question, limit + 1),
    limit,
    renderEvent,
    (last) => tokenAfter(question, last),
  )
  return `{"events":[${texts.join(',')}],"next":${JSON.stringify(next)}}`
}

function addDeadLetters(app: FastifyInstance, context: RouteContext, query: QueryContext): void {
  const { store, schemaText } = context.parts
  const readBody = createBodyReader(schemaText ?? (async () => undefined))
  const schema = questionSchema(
    'What could not be stored, newest first',
    deadLettersParameters,
    'deadLetters',
  )
  app.get('/api/dead-letters', { schema }, async (request, reply) => {
    const question = parseDeadLetters(queryTextOf(request), query)
    const { texts, next } = await collectPage(
      askDeadLetters(store, question, question.limit + 1),
      question.limit,
      async (letter) => JSON.stringify(renderDeadLetter(letter, await readBody(letter))),
      (last) => tokenAfterLetter(question, last),
    )
    return sendJson(reply, `{"deadLetters":[${texts.join(',')}],"next":${JSON.stringify(next)}}`)
  })
}

function addHealth(app: FastifyInstance, context: RouteContext): void {
  const { parts, live } = context
  const described = questionSchema(
    'How everything is; with 503 when events are not stored',
    {},
    'health',
  )
  const schema: RouteSchema = {
    ...described,
    response: { ...described.response, 503: described.response[200] },
  }
  app.get('/api/health', { schema }, async (request, reply) => {
    readParameters(queryTextOf(request), {})
    const health = await askHealth(parts.store, parts.health)
    const text = renderHealth(health, {
      now: parts.clock(),
      version: parts.version,
      liveStreams: live.count(),
    })
    return sendJson(reply.code(health.ok ? 200 : 503), text)
  })
}

function wantsLines(request: FastifyRequest): boolean {
  const accept = request.headers.accept ?? ''
  return accept
    .split(',')
    .some((range) => /^\s*application\/(x-)?ndjson\s*(;(?!\s*q=0(\.0*)?\s*$).*)?$/i.test(range))
}

/**
 * A line for each event. The first chunk is read before the status is sent, so that an error still
 * has its status; a later one cuts the connection, which a client sees as an answer without its end.
 */
async function sendLines(
  reply: FastifyReply,
  chunks: AsyncGenerator<readonly EventRow[], void, undefined>,
  context: RouteContext,
): Promise<FastifyReply> {
  const first = await chunks.next()
  const texts = async function* (): AsyncGenerator<string, void, undefined> {
    try {
      if (first.done === true) return
      yield linesOf(first.value)
      for await (const rows of chunks) yield linesOf(rows)
    } catch (thrown) {
      context.onError(thrown)
      throw thrown
    }
  }
  return reply
    .header('cache-control', 'no-store')
    .type('application/x-ndjson; charset=utf-8')
    .send(Readable.from(texts(), { highWaterMark: 1 }))
}

function linesOf(rows: readonly EventRow[]): string {
  return rows.map((row) => `${renderEvent(row)}\n`).join('')
}
