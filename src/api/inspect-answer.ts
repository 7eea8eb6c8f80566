import type { ErrorDetail, EventAnswer } from './answer.ts'

/** The answers of the developer's mode: their types, and what is new in them as JSON Schema. */

/** GET /api/inspect, POST /api/inspect/reset: what arrived since the reset. */
export interface InspectAnswer {
  /** Events, each once, however often it came. */
  readonly events: number
  readonly rejections: number
  readonly repeats: number
  /** Arrivals that gave way to newer ones and are in no other number. */
  readonly forgotten: number
  /** The number of the newest arrival; 0 for none. */
  readonly last: number
  /** Give it as `since` to wait for the next change. */
  readonly changes: number
  /** Most first. */
  readonly eventTypes: readonly { readonly eventType: string; readonly count: number }[]
  /** Most first. */
  readonly codes: readonly { readonly code: string; readonly count: number }[]
}

export interface InspectedEventAnswer {
  readonly number: number
  readonly repeats: number
  readonly event: EventAnswer
}

/** GET /api/inspect/events */
export interface InspectedEventsAnswer {
  readonly events: readonly InspectedEventAnswer[]
  /** The number of the last of them: give it as `after`. */
  readonly last: number | null
}

export interface InspectedRejectionAnswer {
  readonly number: number
  readonly receivedAt: string
  /** `tag` or `json` for an event, else the method and the path of the request. */
  readonly request: string
  /** The HTTP status of the answer, or of what the answer says about this one event. */
  readonly status: number
  readonly error: ErrorDetail
  readonly body: string
}

/** GET /api/inspect/rejections */
export interface InspectedRejectionsAnswer {
  readonly rejections: readonly InspectedRejectionAnswer[]
  readonly last: number | null
}

type JsonSchema = Readonly<Record<string, unknown>>

function object<Shape>(properties: Readonly<Record<keyof Shape, JsonSchema>>): JsonSchema {
  return {
    type: 'object',
    required: Object.keys(properties),
    properties,
    additionalProperties: false,
  }
}

const text = { type: 'string' }
const count = { type: 'integer', minimum: 0 }
const number = { ...count, description: 'Counts all arrivals from 1, in the order of the answers' }
const last = {
  type: ['integer', 'null'],
  minimum: 0,
  description: 'Give it as `after` for what follows',
}

/** The answers by name, made of the schemas of an event and of an error. */
export function inspectSchemas(event: JsonSchema, error: JsonSchema) {
  return {
    inspect: object<InspectAnswer>({
      events: { ...count, description: 'Each once, however often it came' },
      rejections: count,
      repeats: count,
      forgotten: { ...count, description: 'The oldest give way beyond 10,000 or 32 MiB' },
      last: count,
      changes: { ...count, description: 'Give it as `since` to wait for the next change' },
      eventTypes: {
        type: 'array',
        items: object<CountOf<'eventType'>>({ eventType: text, count }),
      },
      codes: { type: 'array', items: object<CountOf<'code'>>({ code: text, count }) },
    }),
    inspectedEvents: object<InspectedEventsAnswer>({
      events: {
        type: 'array',
        items: object<InspectedEventAnswer>({ number, repeats: count, event }),
      },
      last,
    }),
    inspectedRejections: object<InspectedRejectionsAnswer>({
      rejections: {
        type: 'array',
        items: object<InspectedRejectionAnswer>({
          number,
          receivedAt: { ...text, format: 'date-time' },
          request: { ...text, description: 'tag, json, or method and path' },
          status: count,
          error,
          body: { ...text, description: 'What was sent, cut at 4,096 characters' },
        }),
      },
      last,
    }),
  } as const
}

type CountOf<Name extends string> = Readonly<Record<Name | 'count', unknown>>
