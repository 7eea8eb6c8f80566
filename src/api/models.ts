import type { FastifyInstance } from 'fastify'
import type { Clock } from '../lib/clock.ts'
import type { ModelDays } from '../recommend/model-build.ts'
import type { PublishResult } from '../recommend/model-publish.ts'
import type { ModelList, ModelService } from '../recommend/model-service.ts'
import type { ModelCounts, ModelItem, NewModel } from '../store/models.ts'
import { sendJson } from './reply.ts'
import { type JsonSchema, responses } from './schema.ts'

/** The models of the store: listed, built, taken from a Spark job, published. */

/** GET /api/recommend/models */
export type ModelsAnswer = ModelList
/** POST /api/recommend/models/build */
export type ModelBuildAnswer = NewModel
/** POST /api/recommend/models/publish */
export type PublishAnswer = PublishResult

const text: JsonSchema = { type: 'string' }
const count: JsonSchema = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER }
const version: JsonSchema = { type: 'string', pattern: '^[0-9A-Za-z-]{1,64}$' }
const day: JsonSchema = { type: 'string', pattern: '^\\d{4}-\\d\\d-\\d\\d$', description: 'UTC' }
const itemId: JsonSchema = { type: 'string', minLength: 1 }
const engine: JsonSchema = { type: 'string', enum: ['embedded', 'spark'] }

function object(properties: Readonly<Record<string, JsonSchema>>): JsonSchema {
  return {
    type: 'object',
    required: Object.keys(properties),
    properties,
    additionalProperties: false,
  }
}

function orNull(schema: JsonSchema): JsonSchema {
  return { anyOf: [schema, { type: 'null' }] }
}

const counts = object({ items: count, pairs: count, together: count })
const newModel = { version, engine, firstDay: day, lastDay: day, startedAt: count }
const goodness = object({ version: text, hr20: { type: 'number' }, mrr20: { type: 'number' } })
const neighbour = object({ itemId, sessions: count })
const item = object({
  itemId,
  sessions: count,
  neighbours: { type: 'array', items: neighbour, maxItems: 100 },
})
const listed = object({
  served: { ...orNull(text), description: 'The version that answers' },
  models: {
    type: 'array',
    items: object({ ...newModel, completedAt: orNull(count), counts: orNull(counts) }),
  },
})
const published = object({
  isPublished: { type: 'boolean' },
  reason: text,
  model: goodness,
  served: orNull(goodness),
  predictions: count,
})
const nothing = object({})

/** Routes over `service`. */
export function addModelRoutes(app: FastifyInstance, service: ModelService, clock: Clock): void {
  const listing = { summary: 'The models of the store, newest first', response: responses(listed) }
  app.get('/api/recommend/models', { schema: listing }, async (_request, reply) => {
    const answer: ModelsAnswer = await service.list()
    return sendJson(reply, JSON.stringify(answer))
  })
  const building = {
    summary: 'Make a model from some days; nothing is served by that',
    body: object({ firstDay: day, lastDay: day }),
    response: responses(object(newModel)),
  }
  app.post('/api/recommend/models/build', { schema: building }, async (request, reply) => {
    const answer: ModelBuildAnswer = await service.build(request.body as ModelDays)
    return sendJson(reply, JSON.stringify(answer))
  })
  const publishing = {
    summary: 'Serve a model, unless it is worse than the one in service',
    body: object({ version, force: { type: 'boolean' } }),
    response: responses(published),
  }
  app.post('/api/recommend/models/publish', { schema: publishing }, async (request, reply) => {
    const given = request.body as { version: string; force: boolean }
    const answer: PublishAnswer = await service.publish(given.version, given.force)
    return sendJson(reply, JSON.stringify(answer))
  })
  addUploadRoutes(app, service, clock)
}

/** How a model that was made elsewhere comes into the store: begun, put in parts, completed. */
function addUploadRoutes(app: FastifyInstance, { models }: ModelService, clock: Clock): void {
  const response = responses(nothing)
  const beginning = { summary: 'Begin to write a model', body: object(newModel), response }
  app.post('/api/recommend/models/begin', { schema: beginning }, async (request, reply) => {
    await models.begin(request.body as NewModel)
    return sendJson(reply, '{}')
  })
  const putting = {
    summary: 'Write items of a model that was begun',
    body: object({
      version,
      part: { type: 'integer', minimum: 0, maximum: 15 },
      items: { type: 'array', items: item },
    }),
    response,
  }
  app.post('/api/recommend/models/put', { schema: putting }, async (request, reply) => {
    const given = request.body as { version: string; part: number; items: ModelItem[] }
    await models.put(given.version, given.part, given.items)
    return sendJson(reply, '{}')
  })
  const completing = {
    summary: 'Say that a model is written, and what has to be in it',
    body: object({ version, counts }),
    response,
  }
  app.post('/api/recommend/models/complete', { schema: completing }, async (request, reply) => {
    const given = request.body as { version: string; counts: ModelCounts }
    await models.complete(given.version, given.counts, clock())
    return sendJson(reply, '{}')
  })
}
