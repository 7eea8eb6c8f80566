/** The answers about recommendations: their types, and the same as JSON Schema for /api/openapi.json. */

/** One recommended item. */
export interface RecommendationAnswer {
  readonly itemId: string
  readonly score: number
  readonly reason: string
  /** That gave it: of the models of a chain, the first that knew enough. */
  readonly model: string
}

/** GET /api/recommendations, and /recommendations on the public port. */
export interface RecommendationsAnswer {
  readonly recommendationId: string
  /** That of the first item. */
  readonly model: string
  readonly items: readonly RecommendationAnswer[]
}

/** GET /api/recommend/neighbours */
export interface NeighboursAnswer {
  readonly rows: readonly (RecommendationAnswer & {
    /** The item that was asked about. */
    readonly of: string
  })[]
}

/** POST /api/recommend/build */
export interface RecommendBuildAnswer {
  readonly sessions: number
  readonly clicks: number
  readonly items: number
  readonly milliseconds: number
}

/** A line of GET /api/recommend/sessions. */
export interface StoredSessionAnswer {
  /** In the order of the clicks. */
  readonly items: readonly string[]
  /** Of each click, ms since 1970. */
  readonly times: readonly number[]
}

/** GET /api/recommend/hidden; POST /api/recommend/hide and unhide answer with the item's row. */
export interface HiddenItemsAnswer {
  readonly rows: readonly {
    readonly itemId: string
    /** From when on it is not recommended. */
    readonly from: string
  }[]
}

type Properties = Readonly<Record<string, object>>

function object<P extends Properties>(properties: P): Readonly<Record<string, unknown>> {
  return {
    type: 'object',
    required: Object.keys(properties),
    properties,
    additionalProperties: false,
  }
}

function list(items: object): Readonly<Record<string, unknown>> {
  return { type: 'array', items }
}

const text = { type: 'string' }
const count = { type: 'integer', minimum: 0 }
const day = { type: 'string', format: 'date', description: 'UTC' }
const time = { type: 'string', format: 'date-time' }
const model = { ...text, description: 'session-knn, item-to-item, trending, recent or none' }
const item = {
  itemId: text,
  score: { type: 'number', description: 'Comparable within one model of one answer' },
  reason: { ...text, description: 'Why, as a person reads it' },
  model,
}

/** Part of `answerSchemas`. */
export const recommendSchemas = {
  recommendations: object({
    recommendationId: { ...text, description: '128 random bits in base64url' },
    model,
    items: { type: 'array', items: object(item) },
  }),
  neighbours: object({ rows: { type: 'array', items: object({ ...item, of: text }) } }),
  recommendBuild: object({ sessions: count, clicks: count, items: count, milliseconds: count }),
  hiddenItems: object({
    rows: {
      type: 'array',
      items: object({ itemId: text, from: time }),
    },
  }),
  storedSession: object({ items: list(text), times: list(count) }),
  clickThrough: object({
    rows: list(
      object({
        day,
        model: text,
        position: { type: 'integer', minimum: 1 },
        impressions: { ...count, description: 'Items seen, once a recommendation and day' },
        clicks: { ...count, description: 'Of them, those clicked within 24 hours' },
      }),
    ),
    unmatchedClicks: { ...count, description: 'Clicks without an impression before them' },
    latest: list(
      object({
        recommendationId: text,
        seenAt: time,
        items: list(
          object({
            itemId: text,
            position: { type: 'integer', minimum: 1 },
            model: text,
            isClicked: { type: 'boolean' },
          }),
        ),
      }),
    ),
  }),
} as const

const itemId = { type: 'string', minLength: 1, maxLength: 256 }

/** Body of POST /api/recommendations; recommend/question.ts has the better words for what is wrong. */
export const recommendBody: Readonly<Record<string, unknown>> = {
  type: 'object',
  properties: {
    items: { ...list(text), description: 'Of the session, in the order of the clicks' },
    session: text,
    party: text,
    limit: count,
    exclude: list(text),
  },
}

/** Body of POST /api/recommend/build: nothing to decide. */
export const buildBody: Readonly<Record<string, unknown>> = {
  type: 'object',
  additionalProperties: false,
  properties: {},
}

/** Body of POST /api/recommend/hide. */
export const hideBody: Readonly<Record<string, unknown>> = {
  type: 'object',
  required: ['itemId'],
  additionalProperties: false,
  properties: {
    itemId,
    from: { type: 'string', description: 'An instant (ISO 8601 with a zone); without it, now' },
  },
}

/** Body of POST /api/recommend/unhide. */
export const unhideBody: Readonly<Record<string, unknown>> = {
  type: 'object',
  required: ['itemId'],
  additionalProperties: false,
  properties: { itemId },
}
