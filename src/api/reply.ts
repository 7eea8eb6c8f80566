import type { FastifyReply, FastifyRequest } from 'fastify'

/** The query string as it came: questions are read strictly, see query/query.ts. */
export function queryTextOf(request: FastifyRequest): string {
  const start = request.url.indexOf('?')
  return start < 0 ? '' : request.url.slice(start + 1)
}

/** Answers a text of JSON. It is never cached: it is people's behaviour. */
export function sendJson(reply: FastifyReply, text: string): FastifyReply {
  return reply
    .header('cache-control', 'no-store')
    .type('application/json; charset=utf-8')
    .send(text)
}
