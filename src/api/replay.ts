import type { FastifyInstance } from 'fastify'
import { MillraceError } from '../event/error.ts'
import type {
  DeadLettersReplayAnswer,
  PositionAnswer,
  ReplayProgressAnswer,
  ReplayResultAnswer,
} from './answer.ts'
import { sendProgress } from './progress.ts'
import { changeSchema, deadLettersReplayBody, replayBody } from './schema.ts'

/** The two requests that change something: to read the log again, and to try dead letters again. */

/** What to read again. */
export interface ReplayRequest {
  /** The offset to begin at in each partition, or the oldest record kept. */
  readonly from: 'earliest' | number
  /** Records in one write; unset, the consumer's setting. */
  readonly batchRecords?: number
  /** Aborts when the client goes or the API stops. */
  readonly signal: AbortSignal
}

export interface ReplayParts {
  /** Reads the log again and writes what it says. */
  readonly replay: (
    request: ReplayRequest,
    onProgress: (progress: ReplayProgressAnswer) => void,
  ) => Promise<ReplayResultAnswer>
  /** Tries dead letters again: some, or all that can be replayed and were not yet. */
  readonly replayDeadLetters: (
    which: readonly PositionAnswer[] | 'all',
  ) => Promise<DeadLettersReplayAnswer>
  /** Told of every error that is not one of ours; its text is never answered. */
  readonly onError?: (thrown: unknown) => void
}

export function addReplayRoutes(
  app: FastifyInstance,
  parts: ReplayParts,
  ending: AbortSignal,
): void {
  let isRunning = false
  const letters = changeSchema('Try dead letters again', deadLettersReplayBody, 'deadLettersReplay')
  app.post('/api/dead-letters/replay', { schema: letters }, async (request, reply) => {
    const { positions } = request.body as { positions?: PositionAnswer[] }
    const result = await parts.replayDeadLetters(positions ?? 'all')
    return reply
      .header('cache-control', 'no-store')
      .type('application/json; charset=utf-8')
      .send(JSON.stringify(result))
  })

  const replay = changeSchema(
    'Read the log again and store what is missing: lines of progress, then the result',
    replayBody,
    'replayLine',
  )
  app.post('/api/replay', { schema: replay }, async (request, reply) => {
    if (isRunning) throw new MillraceError('replay_running', 'one at a time')
    isRunning = true
    const gone = new AbortController()
    reply.raw.once('close', () => gone.abort())
    const body = request.body as Omit<ReplayRequest, 'signal'>
    const signal = AbortSignal.any([ending, gone.signal])
    return sendProgress<ReplayProgressAnswer, ReplayResultAnswer>(reply, {
      route: 'POST /api/replay',
      run: async (onProgress) => {
        try {
          return await parts.replay({ ...body, signal }, onProgress)
        } finally {
          isRunning = false
        }
      },
      isEnd: ({ read, total }) => read >= total,
      onError: parts.onError ?? (() => {}),
    })
  })
}
