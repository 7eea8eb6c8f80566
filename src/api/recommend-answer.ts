/** The answers about recommendations: their types, and the same as JSON Schema for /api/openapi.json. */

/** One recommended item. */
export interface RecommendationAnswer {
  readonly itemId: string
  readonly score: number
  readonly reason: string
}

/** GET /api/recommendations, and /recommendations on the public port. */
export interface RecommendationsAnswer {
  readonly recommendationId: string
  readonly model: string
  readonly items: readonly RecommendationAnswer[]
}

/** GET /api/recommend/neighbours */
export interface NeighboursAnswer {
  readonly rows: readonly (RecommendationAnswer & {
    /** The item that was asked about. */
    readonly of: string
    readonly model: string
  })[]
}

/** POST /api/recommend/build */
export interface RecommendBuildAnswer {
  readonly sessions: number
  readonly clicks: number
  readonly items: number
  readonly milliseconds: number
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

const text = { type: 'string' }
const count = { type: 'integer', minimum: 0 }
const item = {
  itemId: text,
  score: { type: 'number', description: 'Comparable within one model of one answer' },
  reason: { ...text, description: 'Why, as a person reads it' },
}
const model = { ...text, description: 'session-knn, item-to-item, trending, recent or none' }

/** Part of `answerSchemas`. */
export const recommendSchemas = {
  recommendations: object({
    recommendationId: { ...text, description: '128 random bits in base64url' },
    model,
    items: { type: 'array', items: object(item) },
  }),
  neighbours: object({ rows: { type: 'array', items: object({ ...item, of: text, model }) } }),
  recommendBuild: object({ sessions: count, clicks: count, items: count, milliseconds: count }),
  hiddenItems: object({
    rows: {
      type: 'array',
      items: object({ itemId: text, from: { type: 'string', format: 'date-time' } }),
    },
  }),
} as const

const itemId = { type: 'string', minLength: 1, maxLength: 256 }

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
