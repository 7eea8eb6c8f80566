import type { FastifyInstance } from 'fastify'
import { MillraceError } from '../event/error.ts'
import type { ErrorAnswer } from './answer.ts'
import { sendProgress } from './progress.ts'
import { type JsonSchema, responses } from './schema.ts'

/** The request that compares the log with the store. It changes nothing, but reads much. */

/** What to compare. */
export interface ReconcileRequest {
  /** Where to begin in each partition; unset, at the oldest record kept. */
  readonly from?: number
  /** Only so many of the last stored records of each partition. */
  readonly last?: number
  /** Aborts when the client goes or the API stops. */
  readonly signal: AbortSignal
}

/** A line of POST /api/reconcile: any number of `progress`, then one `result` or `error`. */
export type ReconcileLine =
  | { readonly progress: ReconcileProgressAnswer }
  | { readonly result: ReconcileResultAnswer }
  | ErrorAnswer

export interface ReconcileProgressAnswer {
  readonly topic: string
  readonly read: number
  readonly total: number
  /** Records that should be in the store and are not; each is told once. */
  readonly missing: readonly {
    readonly topic: string
    readonly partition: number
    readonly offset: number
    /** null when the record cannot be read. */
    readonly eventId: string | null
    readonly partyId: string | null
  }[]
}

export interface ReconcileResultAnswer {
  /** Records compared, and what became of them. */
  readonly read: number
  readonly row: number
  /** Further receipts of stored events. */
  readonly repeat: number
  readonly deadLetter: number
  /** Dropped or deleted, as their party was erased. */
  readonly erased: number
  /** Of days that retention has deleted. */
  readonly expired: number
  readonly missing: number
  /** Records that the store has not read yet; they are not compared. */
  readonly waiting: number
  /** False when it was stopped before the end. */
  readonly complete: boolean
}

export interface ReconcileParts {
  readonly reconcile: (
    request: ReconcileRequest,
    onProgress: (progress: ReconcileProgressAnswer) => void,
  ) => Promise<ReconcileResultAnswer>
  readonly onError?: (thrown: unknown) => void
}

const count: JsonSchema = { type: 'integer', minimum: 0 }
const textOrNull: JsonSchema = { type: ['string', 'null'] }
const recordProperties = {
  topic: { type: 'string' },
  partition: count,
  offset: count,
  eventId: textOrNull,
  partyId: textOrNull,
}
const resultProperties = {
  read: count,
  row: count,
  repeat: count,
  deadLetter: count,
  erased: count,
  expired: count,
  missing: count,
  waiting: count,
  complete: { type: 'boolean' },
}

const answer: JsonSchema = {
  oneOf: [
    {
      type: 'object',
      properties: {
        progress: {
          type: 'object',
          properties: {
            topic: { type: 'string' },
            read: count,
            total: count,
            missing: { type: 'array', items: { type: 'object', properties: recordProperties } },
          },
        },
      },
    },
    {
      type: 'object',
      properties: { result: { type: 'object', properties: resultProperties } },
    },
  ],
}

const offset: JsonSchema = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER }

const body: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    from: { ...offset, description: 'The offset to begin at in each partition' },
    last: { ...offset, description: 'So many of the last stored records of each partition' },
  },
}

export function addReconcileRoute(
  app: FastifyInstance,
  parts: ReconcileParts,
  ending: AbortSignal,
): void {
  let isRunning = false
  const schema = {
    summary: 'Compare the log with the store: lines of progress, then the result',
    body,
    response: responses(answer),
  }
  app.post('/api/reconcile', { schema }, async (request, reply) => {
    if (isRunning) throw new MillraceError('reconcile_running', 'one at a time')
    isRunning = true
    const gone = new AbortController()
    reply.raw.once('close', () => gone.abort())
    const signal = AbortSignal.any([ending, gone.signal])
    return sendProgress<ReconcileProgressAnswer, ReconcileResultAnswer>(reply, {
      route: 'POST /api/reconcile',
      run: async (onProgress) => {
        try {
          return await parts.reconcile({ ...(request.body as object), signal }, onProgress)
        } finally {
          isRunning = false
        }
      },
      isEnd: ({ read, total, missing }) => read >= total || missing.length > 0,
      onError: parts.onError ?? (() => {}),
    })
  })
}
