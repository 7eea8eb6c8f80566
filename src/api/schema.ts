import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger'
import { errorTable } from '../event/error.ts'
import type { ParameterNotes } from '../query/query.ts'
import type * as Answer from './answer.ts'

/** The shapes of answer.ts as JSON Schema, for /api/openapi.json; and what bodies must be. */

export type JsonSchema = Readonly<Record<string, unknown>>

const text: JsonSchema = { type: 'string' }
const textOrNull: JsonSchema = { type: ['string', 'null'] }
const time: JsonSchema = { type: 'string', format: 'date-time' }
const timeOrNull: JsonSchema = { type: ['string', 'null'], format: 'date-time' }
const flag: JsonSchema = { type: 'boolean' }
const numberOrNull: JsonSchema = { type: ['number', 'null'] }
const count: JsonSchema = { type: 'integer', minimum: 0 }
const countOrNull: JsonSchema = { type: ['integer', 'null'], minimum: 0 }

/** An object with exactly the members of `Shape`; the compiler holds the two together. */
function object<Shape>(properties: Readonly<Record<keyof Shape, JsonSchema>>): JsonSchema {
  return {
    type: 'object',
    required: Object.keys(properties),
    properties,
    additionalProperties: false,
  }
}

function list(items: JsonSchema): JsonSchema {
  return { type: 'array', items }
}

const agent = object<Answer.AgentAnswer>({
  name: textOrNull,
  family: textOrNull,
  vendor: textOrNull,
  type: textOrNull,
  version: textOrNull,
  deviceCategory: textOrNull,
  osFamily: textOrNull,
  osVersion: textOrNull,
  osVendor: textOrNull,
})

const event = object<Answer.EventAnswer>({
  eventId: text,
  partyId: { ...textOrNull, description: 'null when the person or the site wants no party known' },
  sessionId: textOrNull,
  pageViewId: textOrNull,
  eventType: text,
  eventTime: { ...time, description: 'Places the event in a day' },
  clockSource: { type: 'string', enum: ['client', 'wrong', 'absent', 'collector'] },
  receivedAt: { ...time, description: "By the collector's clock" },
  clientTime: { ...timeOrNull, description: "By the client's clock" },
  location: textOrNull,
  referer: textOrNull,
  remoteAddress: text,
  itemId: textOrNull,
  parameters: { description: 'As sent; numbers keep all their digits' },
  sequence: numberOrNull,
  firstInSession: flag,
  newParty: flag,
  corrupt: { ...flag, description: 'The checksum is missing or does not match' },
  duplicate: { ...flag, description: "Divolte's flag, kept as it came" },
  bot: { ...textOrNull, description: 'Why this is taken for a bot' },
  privacy: textOrNull,
  source: text,
  country: { ...textOrNull, description: 'ISO 3166-1 alpha-2' },
  viewportWidth: numberOrNull,
  viewportHeight: numberOrNull,
  screenWidth: numberOrNull,
  screenHeight: numberOrNull,
  devicePixelRatio: numberOrNull,
  userAgent: textOrNull,
  agent,
})

const position = object<Answer.PositionAnswer>({
  log: text,
  topic: text,
  partition: count,
  offset: count,
})

const error = object<Answer.ErrorDetail>({
  code: { type: 'string', enum: Object.keys(errorTable) },
  message: text,
  hint: text,
})

const next: JsonSchema = {
  ...textOrNull,
  description: 'Give it as `after` for what follows; null when nothing does',
}

const deadLetter = object<Answer.DeadLetterAnswer>({
  position,
  receivedAt: time,
  code: text,
  message: text,
  hint: textOrNull,
  source: { ...text, description: 'tag, json, or log for a record that could not be read' },
  body: text,
  bodyEncoding: { type: 'string', enum: ['text', 'hex'] },
  bodyTruncated: flag,
  replayable: flag,
  replayedAt: timeOrNull,
})

const replayProgress = object<Answer.ReplayProgressAnswer>({
  topic: text,
  read: count,
  total: count,
})
const replayResult = object<Answer.ReplayResultAnswer>({
  read: count,
  total: count,
  complete: flag,
})

/** Every answer by name. */
export const answerSchemas = {
  event,
  events: object<Answer.EventsAnswer>({ events: list(event), next }),
  counts: object<Answer.CountsAnswer>({
    rows: list(
      object<Answer.CountAnswer>({
        day: { type: 'string', format: 'date' },
        eventType: text,
        count,
      }),
    ),
  }),
  deadLetters: object<Answer.DeadLettersAnswer>({ deadLetters: list(deadLetter), next }),
  deadLettersReplay: object<Answer.DeadLettersReplayAnswer>({
    replayed: count,
    failures: list(object<Answer.DeadLettersReplayAnswer['failures'][number]>({ position, error })),
  }),
  replayLine: {
    oneOf: [
      object<{ progress: unknown }>({ progress: replayProgress }),
      object<{ result: unknown }>({ result: replayResult }),
      object<Answer.ErrorAnswer>({ error }),
    ],
  },
  health: object<Answer.HealthAnswer>({
    ok: flag,
    problem: textOrNull,
    lag: countOrNull,
    consumer: text,
    lastStoredAt: timeOrNull,
    lastWrittenAt: timeOrNull,
    events: countOrNull,
    duplicates: countOrNull,
    deadLetters: countOrNull,
    storeBytes: countOrNull,
    liveStreams: count,
    collectorUrl: textOrNull,
    version: text,
    now: time,
  }),
  error: object<Answer.ErrorAnswer>({ error }),
} as const satisfies Record<string, JsonSchema>

export type AnswerName = keyof typeof answerSchemas

/** Body of POST /api/replay. */
export const replayBody: JsonSchema = {
  type: 'object',
  required: ['from'],
  additionalProperties: false,
  properties: {
    from: {
      description: 'The oldest record kept, or the offset to begin at in each partition',
      anyOf: [
        { type: 'string', const: 'earliest' },
        { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
      ],
    },
    batchRecords: {
      description: 'Records in one write',
      type: 'integer',
      minimum: 1,
      maximum: 100_000,
    },
  },
}

/** Body of POST /api/dead-letters/replay: some, or all that can be. */
export const deadLettersReplayBody: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  minProperties: 1,
  maxProperties: 1,
  properties: {
    positions: { ...list(position), minItems: 1, maxItems: 10_000 },
    all: { type: 'boolean', const: true },
  },
}

/** What a route tells fastify: the checks of its body and, for the document, its answers. */
export interface RouteSchema {
  readonly summary: string
  readonly body?: JsonSchema
  readonly response: Readonly<Record<number | string, unknown>>
  /** For the document only: query/ reads the parameters itself, with better words than a schema. */
  readonly parameterNotes?: ParameterNotes
}

/** A route that answers a question. */
export function questionSchema(
  summary: string,
  parameterNotes: ParameterNotes,
  answer: AnswerName,
): RouteSchema {
  return { summary, parameterNotes, response: responses(answerSchemas[answer]) }
}

/** A route that changes something. */
export function changeSchema(summary: string, body: JsonSchema, answer: AnswerName): RouteSchema {
  return { summary, body, response: responses(answerSchemas[answer]) }
}

function responses(answer: JsonSchema): RouteSchema['response'] {
  return {
    200: { description: 'The answer', ...answer },
    '4xx': { description: 'The request is at fault', ...answerSchemas.error },
    '5xx': { description: 'The server is at fault', ...answerSchemas.error },
  }
}

/** What /api/openapi.json says beside the routes. */
export function openApiDocument(version: string): FastifyDynamicSwaggerOptions {
  return {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Millrace',
        version,
        description:
          'Questions over the events that are stored. Days are UTC; bots are left out unless asked for.',
      },
      components: {
        securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
      },
      security: [{ token: [] }, {}],
    },
    transform: ({ schema, url }) => {
      const { parameterNotes, ...rest } = (schema ?? {}) as RouteSchema
      if (parameterNotes === undefined) return { schema: rest as never, url }
      const querystring = { type: 'object', properties: parameterNotes }
      return { schema: { ...rest, querystring } as never, url }
    },
  }
}
