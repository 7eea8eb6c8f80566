import type { FastifyInstance, FastifyReply } from 'fastify'
import { parseIdentifier } from '../event/identity.ts'
import type { Erasure } from '../export/take-along.ts'
import { type ParameterNotes, readParameters } from '../query/query.ts'
import type { ErasureAnswer, ErasuresAnswer } from './answer.ts'
import { partyOf, queryTextOf, type TakeAlongContext } from './export.ts'
import { renderTime } from './render.ts'
import { answerResponses, questionSchema } from './schema.ts'

/** Erasing a party, and the receipts of all erasures. */

const erasuresParameters: ParameterNotes = {
  party: { description: 'Only the erasures of this party', type: 'string' },
}

export function addEraseRoutes(app: FastifyInstance, context: TakeAlongContext): void {
  const { takeAlong } = context
  const render = (erasure: Erasure): ErasureAnswer =>
    renderErasure(erasure, takeAlong.logExpiresAt(erasure.at), takeAlong.clock())

  const erase = {
    summary: 'Erase a party: what is stored of it is deleted; the answer is the receipt',
    response: answerResponses('erasure'),
  }
  app.post('/api/parties/:partyId/erase', { schema: erase }, async (request, reply) => {
    readParameters(queryTextOf(request), {})
    return sendJson(reply, render(await takeAlong.erase(partyOf(request))))
  })

  const erasures = questionSchema(
    'The receipts of erasures, newest first',
    erasuresParameters,
    'erasures',
  )
  app.get('/api/erasures', { schema: erasures }, async (request, reply) => {
    const party = readParameters(queryTextOf(request), erasuresParameters).get('party')
    const found = await takeAlong.store.erasures(party && (parseIdentifier(party) ?? party))
    return sendJson(reply, { erasures: found.map(render) } satisfies ErasuresAnswer)
  })
}

/** The receipt: what became of the party in each place where something of it can be. */
export function renderErasure(
  { party, at, deleted, dropped, finalAt }: Erasure,
  logExpiresAt: number,
  now: number,
): ErasureAnswer {
  const gone = (place: ErasureAnswer['places'][number]['place'], rows: number) =>
    ({ place, state: 'deleted', rows, expiresAt: null }) as const
  const isLogGone = logExpiresAt <= now
  return {
    party,
    at: renderTime(at) ?? '',
    state: finalAt === null ? 'pending' : 'final',
    finalAt: renderTime(finalAt),
    places: [
      gone('events', deleted.events),
      gone('repeats', deleted.repeats),
      gone('claims', deleted.claims),
      gone('deadLetters', deleted.deadLetters),
      {
        place: 'log',
        state: isLogGone ? 'deleted' : 'expires',
        rows: null,
        expiresAt: isLogGone ? null : renderTime(logExpiresAt),
      },
      { place: 'backups', state: 'yours', rows: null, expiresAt: null },
    ],
    dropped,
  }
}

function sendJson(reply: FastifyReply, answer: unknown): FastifyReply {
  return reply
    .header('cache-control', 'no-store')
    .type('application/json; charset=utf-8')
    .send(JSON.stringify(answer))
}
