import type { FastifyInstance } from 'fastify'
import { tokenAfter } from '../query/events.ts'
import { askParty, parseParty, partyParameters } from '../query/party.ts'
import type { ParameterNotes, QueryContext, QueryStore } from '../query/query.ts'
import { renderParty } from './render.ts'
import { queryTextOf, sendJson } from './reply.ts'
import { questionSchema } from './schema.ts'

const pathNotes: ParameterNotes = {
  partyId: { description: 'The party, percent-encoded', type: 'string', example: '0:iq8k:abc' },
}

/** One party's way through the site. */
export function addPartyRoutes(
  app: FastifyInstance,
  store: QueryStore,
  context: QueryContext,
): void {
  const schema = questionSchema(
    'The events of one party, session by session, newest session first',
    partyParameters,
    'party',
    pathNotes,
  )
  app.get<{ Params: { partyId: string } }>(
    '/api/parties/:partyId',
    { schema },
    async (request, reply) => {
      const question = parseParty(request.params.partyId, queryTextOf(request), context)
      const page = await askParty(store, question)
      const next = page.last === undefined ? null : tokenAfter(question, page.last)
      return sendJson(reply, renderParty(question.partyId, page, next))
    },
  )
}
