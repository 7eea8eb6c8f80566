import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger'
import { errorTable } from '../event/error.ts'
import type { ParameterNotes } from '../query/query.ts'
import type * as Answer from './answer.ts'
import { inspectSchemas } from './inspect-answer.ts'
import { recommendSchemas } from './recommend-answer.ts'
import {
  count,
  countOrNull,
  dated,
  flag,
  type JsonSchema,
  list,
  numberOrNull,
  object,
  text,
  textOrNull,
  time,
  timeOrNull,
} from './shape.ts'

/** The shapes of answer.ts as JSON Schema, for /api/openapi.json; and what bodies must be. */

export type { JsonSchema } from './shape.ts'

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

const day: JsonSchema = { type: 'string', format: 'date', description: 'UTC' }

/** Rows of a top list: `value` is what its values are called. */
function topRows<Value extends string>(value: Value): JsonSchema {
  const row = { [value]: text, count } as Record<Value | 'count', JsonSchema>
  return object<{ rows: unknown }>({
    rows: list(object<Record<Value | 'count', unknown>>(row)),
  })
}

function rowsOf<Row>(properties: Readonly<Record<keyof Row, JsonSchema>>): JsonSchema {
  return object<{ rows: unknown }>({ rows: list(object<Row>(properties)) })
}

type RowOf<Rows extends { readonly rows: readonly unknown[] }> = Rows['rows'][number]

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

const closeProgress = object<Answer.CloseProgressAnswer>({ day: text, done: count, total: count })
const closeResult = object<Answer.CloseResultAnswer>({
  days: count,
  rows: count,
  bytes: count,
  complete: flag,
})

const erasure = object<Answer.ErasureAnswer>({
  party: { ...text, description: "SHA-256 of the store's salt and the party's id" },
  at: { ...time, description: 'What was received until then is erased' },
  state: { type: 'string', enum: ['pending', 'final'] },
  finalAt: timeOrNull,
  places: list(
    object<Answer.ErasureAnswer['places'][number]>({
      place: {
        type: 'string',
        enum: ['events', 'repeats', 'claims', 'deadLetters', 'log', 'backups'],
      },
      state: { type: 'string', enum: ['deleted', 'expires', 'yours'] },
      rows: countOrNull,
      expiresAt: timeOrNull,
    }),
  ),
  dropped: count,
})

/** Every answer by name. */
export const answerSchemas = {
  event,
  events: object<Answer.EventsAnswer>({ events: list(event), next }),
  counts: dated(rowsOf<Answer.CountAnswer>({ day, eventType: text, count })),
  uniques: dated(
    object<Omit<Answer.UniquesAnswer, 'asOf'>>({
      rows: list(object<RowOf<Answer.UniquesAnswer>>({ day, parties: count })),
      parties: { ...count, description: 'Different parties in the whole range' },
    }),
  ),
  topItems: dated(topRows<keyof RowOf<Answer.TopItemsAnswer>>('itemId')),
  topPages: topRows<keyof RowOf<Answer.TopPagesAnswer>>('page'),
  topReferrers: topRows<keyof RowOf<Answer.TopReferrersAnswer>>('referrer'),
  countries: topRows<keyof RowOf<Answer.CountriesAnswer>>('country'),
  devices: topRows<keyof RowOf<Answer.DevicesAnswer>>('device'),
  sessions: rowsOf<RowOf<Answer.SessionsAnswer>>({
    day,
    sessions: count,
    events: count,
    bounces: { ...count, description: 'Sessions with one page view or none' },
    meanSeconds: { type: 'number', minimum: 0, description: 'From the first to the last event' },
  }),
  funnel: rowsOf<RowOf<Answer.FunnelAnswer>>({ step: text, parties: count }),
  retention: rowsOf<RowOf<Answer.RetentionAnswer>>({
    week: { ...day, description: 'Its Monday, UTC' },
    parties: count,
    returned: { ...list(count), description: 'Parties that came again 0, 1, 2… weeks later' },
  }),
  accounting: rowsOf<RowOf<Answer.AccountingAnswer>>({
    day,
    sent: { ...count, description: 'stored + rejected + missing' },
    stored: count,
    rejected: { ...count, description: 'Dead letters that are not replayed' },
    missing: { ...count, description: 'Numbers that a page view has used and that did not come' },
    repeated: { ...count, description: 'Further receipts of stored events' },
  }),
  party: object<Answer.PartyAnswer>({
    partyId: text,
    firstSeen: { ...timeOrNull, description: 'In the range' },
    lastSeen: timeOrNull,
    events: { ...count, description: 'In the range' },
    sessions: list(
      object<Answer.PartyAnswer['sessions'][number]>({
        start: time,
        end: time,
        events: list(event),
      }),
    ),
    next,
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
  closeLine: {
    oneOf: [
      object<{ progress: unknown }>({ progress: closeProgress }),
      object<{ result: unknown }>({ result: closeResult }),
      object<Answer.ErrorAnswer>({ error }),
    ],
  },
  importBegun: object<Answer.ImportBegunAnswer>({ next: count }),
  importForgotten: object<Answer.ImportForgottenAnswer>({ log: text }),
  erasure,
  erasures: object<Answer.ErasuresAnswer>({ erasures: list(erasure) }),
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
    fullestBucket: {
      ...object<NonNullable<Answer.HealthAnswer['fullestBucket']>>({ name: text, rows: count }),
      type: ['object', 'null'],
    },
    liveStreams: count,
    collectorUrl: textOrNull,
    version: text,
    now: time,
  }),
  ...inspectSchemas(event, error),
  ...recommendSchemas,
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

/** Body of POST /api/close. */
export const closeBody: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    day: {
      description: 'UTC; without it the days that are over',
      type: 'string',
      pattern: '^\\d{4}-\\d\\d-\\d\\d$',
    },
    until: { ...text, description: 'UTC; of the days that are over those up to this one' },
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

/** Body of POST /api/imports: what the file is, and the days that it has rows of. */
export const importBeginBody: JsonSchema = {
  type: 'object',
  required: ['log', 'days', 'outsideRetention'],
  additionalProperties: false,
  properties: {
    log: text,
    days: { ...list({ type: 'string', pattern: '^\\d{4}-\\d\\d-\\d\\d$' }), maxItems: 20_000 },
    outsideRetention: {
      description: 'Keep days that retention would delete, until they are forgotten',
      type: 'boolean',
    },
  },
}

/** Body of POST /api/imports/forget. */
export const importForgetBody: JsonSchema = {
  type: 'object',
  required: ['log'],
  additionalProperties: false,
  properties: { log: text },
}

/** What a route tells fastify: the checks of its body and, for the document, its answers. */
export interface RouteSchema {
  readonly summary: string
  readonly body?: JsonSchema
  readonly response: Readonly<Record<number | string, unknown>>
  /** For the document only: query/ reads the parameters itself, with better words than a schema. */
  readonly parameterNotes?: ParameterNotes
  readonly pathNotes?: ParameterNotes
}

/**
 * A route that answers a question.
 * @param pathNotes what stands in the path as `:name`
 */
export function questionSchema(
  summary: string,
  parameterNotes: ParameterNotes,
  answer: AnswerName,
  pathNotes?: ParameterNotes,
): RouteSchema {
  const path = pathNotes === undefined ? {} : { pathNotes }
  return { summary, parameterNotes, ...path, response: responses(answerSchemas[answer]) }
}

/** A route that changes something. */
export function changeSchema(summary: string, body: JsonSchema, answer: AnswerName): RouteSchema {
  return { summary, body, response: responses(answerSchemas[answer]) }
}

/** The answers of a route that changes something and takes no body. */
export function answerResponses(answer: AnswerName): RouteSchema['response'] {
  return responses(answerSchemas[answer])
}

export function responses(answer: JsonSchema): RouteSchema['response'] {
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
      const { parameterNotes, pathNotes, ...rest } = (schema ?? {}) as RouteSchema
      const described = {
        ...rest,
        ...(parameterNotes && { querystring: { type: 'object', properties: parameterNotes } }),
        ...(pathNotes && { params: { type: 'object', properties: pathNotes } }),
      }
      return { schema: described as never, url }
    },
  }
}
