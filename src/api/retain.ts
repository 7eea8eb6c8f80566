import type { FastifyInstance } from 'fastify'
import { sendJson } from './reply.ts'
import { responses } from './schema.ts'
import { count, object, text } from './shape.ts'

/** POST /api/retain */
export interface RetainAnswer {
  /** The first day (UTC, `YYYY-MM-DD`) that is kept. */
  readonly firstDay: string
  /** Events deleted with the days before it. */
  readonly events: number
  /** Of the log, freed. */
  readonly logBytes: number
}

export interface RetainParts {
  /** Applies retention to store and log now; the same again changes nothing. */
  readonly retain: () => Promise<RetainAnswer>
}

export function addRetainRoute(app: FastifyInstance, { retain }: RetainParts): void {
  const schema = {
    summary: 'Delete what is older than the retention of store and log',
    body: { type: 'object', additionalProperties: false, properties: {} },
    response: responses(object<RetainAnswer>({ firstDay: text, events: count, logBytes: count })),
  }
  app.post('/api/retain', { schema }, async (_request, reply) =>
    sendJson(reply, JSON.stringify(await retain())),
  )
}
