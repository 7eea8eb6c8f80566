import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { parseIdentifier } from '../event/identity.ts'
import type { Clock } from '../lib/clock.ts'
import {
  invalid,
  type ParameterNotes,
  parseRange,
  quote,
  rangeParameters,
  readParameters,
} from '../query/query.ts'
import {
  parseRecommend,
  partyRecommendParameters,
  type RecommendQuestion,
  readRecommendBody,
  recommendParameters,
} from '../recommend/question.ts'
import type { RecommendService } from '../recommend/service.ts'
import type {
  HiddenItemsAnswer,
  NeighboursAnswer,
  RecommendationsAnswer,
  RecommendBuildAnswer,
  StoredSessionAnswer,
} from './recommend-answer.ts'
import { buildBody, hideBody, recommendBody, unhideBody } from './recommend-answer.ts'
import { queryTextOf, sendJson } from './reply.ts'
import { changeSchema, questionSchema } from './schema.ts'

/** Recommendations for a party, what goes with an item, and which items are hidden. */

const neighbourParameters: ParameterNotes = {
  item: recommendParameters.item,
  limit: recommendParameters.limit,
}

/** Routes over `service`. */
export function addRecommendRoutes(
  app: FastifyInstance,
  service: RecommendService,
  clock: Clock,
): void {
  const schema = questionSchema(
    'Items for a party, or for a session given in the request, best first',
    partyRecommendParameters,
    'recommendations',
  )
  const answerTo = async (given: RecommendQuestion): Promise<string> => {
    const { partyId } = given
    const question =
      partyId === undefined ? given : { ...given, partyId: parseIdentifier(partyId) ?? partyId }
    const answer: RecommendationsAnswer = await service.recommend(question)
    return JSON.stringify(answer)
  }
  app.get('/api/recommendations', { schema }, async (request, reply) => {
    const given = parseRecommend(queryTextOf(request), partyRecommendParameters)
    return sendJson(reply, await answerTo(given))
  })
  const posted = changeSchema('The same, for many items', recommendBody, 'recommendations')
  app.post('/api/recommendations', { schema: posted }, async (request, reply) =>
    sendJson(reply, await answerTo(readRecommendBody(request.body, ['party']))),
  )
  addModelRoutes(app, service)
  addSessionsRoute(app, service, clock)
  addHiddenRoutes(app, service, clock)
}

function addModelRoutes(app: FastifyInstance, service: RecommendService): void {
  const described = questionSchema(
    'What goes with each of some items, by model',
    neighbourParameters,
    'neighbours',
  )
  app.get('/api/recommend/neighbours', { schema: described }, async (request, reply) => {
    const { items, limit } = parseRecommend(queryTextOf(request), neighbourParameters)
    if (items.length === 0) throw invalid('item is missing')
    const rows = items.flatMap((of) =>
      service.neighbours(of, limit).map((entry) => ({ of, ...entry })),
    )
    const answer: NeighboursAnswer = { rows }
    return sendJson(reply, JSON.stringify(answer))
  })
  const schema = changeSchema(
    'Read the store and build the models anew',
    buildBody,
    'recommendBuild',
  )
  app.post('/api/recommend/build', { schema }, async (_request, reply) => {
    const answer: RecommendBuildAnswer = await service.build()
    return sendJson(reply, JSON.stringify(answer))
  })
}

/** A line for each session, without its party: what an evaluation in another process reads. */
function addSessionsRoute(app: FastifyInstance, service: RecommendService, clock: Clock): void {
  const schema = questionSchema(
    'Sessions with items as NDJSON, in the order in which they ended; bots are left out',
    rangeParameters,
    'storedSession',
  )
  app.get('/api/recommend/sessions', { schema }, async (request, reply) => {
    const parameters = readParameters(queryTextOf(request), rangeParameters)
    const sessions = service.sessions(parseRange(parameters, clock()))[Symbol.asyncIterator]()
    // An error before the first line still has its status.
    const first = await sessions.next()
    const lines = async function* (): AsyncGenerator<string, void, undefined> {
      for (let next = first; next.done !== true; next = await sessions.next()) {
        const answer: StoredSessionAnswer = next.value
        yield `${JSON.stringify(answer)}\n`
      }
    }
    return reply
      .header('cache-control', 'no-store')
      .type('application/x-ndjson; charset=utf-8')
      .send(Readable.from(lines()))
  })
}

function addHiddenRoutes(
  app: FastifyInstance,
  { visibility }: RecommendService,
  clock: Clock,
): void {
  const listed = questionSchema('Items that are not recommended', {}, 'hiddenItems')
  app.get('/api/recommend/hidden', { schema: listed }, async (_request, reply) => {
    const rows = visibility
      .list()
      .map(({ itemId, fromMs }) => ({ itemId, from: new Date(fromMs).toISOString() }))
    const answer: HiddenItemsAnswer = { rows }
    return sendJson(reply, JSON.stringify(answer))
  })
  const hide = changeSchema('Stop recommending an item', hideBody, 'hiddenItems')
  app.post('/api/recommend/hide', { schema: hide }, async (request, reply) => {
    const { itemId, from } = request.body as { itemId: string; from?: string }
    const fromMs = from === undefined ? clock() : instantOf(from)
    await visibility.hide(itemId, fromMs)
    const answer: HiddenItemsAnswer = { rows: [{ itemId, from: new Date(fromMs).toISOString() }] }
    return sendJson(reply, JSON.stringify(answer))
  })
  const unhide = changeSchema('Recommend an item again', unhideBody, 'hiddenItems')
  app.post('/api/recommend/unhide', { schema: unhide }, async (request, reply) => {
    const { itemId } = request.body as { itemId: string }
    if (!(await visibility.show(itemId))) throw invalid(`item ${quote(itemId)} is not hidden`)
    const answer: HiddenItemsAnswer = { rows: [] }
    return sendJson(reply, JSON.stringify(answer))
  })
}

const instantPattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)$/

function instantOf(text: string): number {
  const time = instantPattern.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(time)) {
    throw invalid(`from is an instant such as 2026-01-31T12:00:00Z, not ${quote(text)}`)
  }
  return time
}
