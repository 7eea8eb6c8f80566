import { PassThrough } from 'node:stream'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { MillraceError } from '../event/error.ts'
import type {
  DeadLettersReplayAnswer,
  PositionAnswer,
  ReplayLine,
  ReplayProgressAnswer,
  ReplayResultAnswer,
} from './answer.ts'
import { toAnswerable } from './failure.ts'
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

type Run = (onProgress: (progress: ReplayProgressAnswer) => void) => Promise<ReplayResultAnswer>

/** Progress is told at most this often. */
const progressIntervalMs = 200

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
    const run: Run = async (onProgress) => {
      try {
        return await parts.replay({ ...body, signal }, onProgress)
      } finally {
        isRunning = false
      }
    }
    return sendReplay(reply, run, parts.onError ?? (() => {}))
  })
}

/**
 * The answer begins with the first progress, so that a replay that cannot begin has an error's
 * status; an error after that is the last line.
 */
function sendReplay(
  reply: FastifyReply,
  run: Run,
  onError: (thrown: unknown) => void,
): Promise<FastifyReply> {
  const { promise, resolve, reject } = Promise.withResolvers<FastifyReply>()
  const lines = new PassThrough()
  let hasBegun = false
  let toldAt = 0
  const tell = (line: ReplayLine): void => {
    if (!lines.destroyed) lines.write(`${JSON.stringify(line)}\n`)
    if (hasBegun) return
    hasBegun = true
    reply.header('cache-control', 'no-store').type('application/x-ndjson; charset=utf-8')
    resolve(reply.send(lines))
  }
  const onProgress = (progress: ReplayProgressAnswer): void => {
    const now = performance.now()
    const isEnd = progress.read >= progress.total
    // A reader that is slower than the replay gets fewer lines, not a queue of them.
    if (hasBegun && !isEnd && (now - toldAt < progressIntervalMs || lines.writableNeedDrain)) return
    toldAt = now
    tell({ progress })
  }
  run(onProgress).then(
    (result) => {
      tell({ result })
      lines.end()
    },
    (thrown) => {
      if (!hasBegun) return reject(thrown)
      tell({ error: toAnswerable(thrown, onError, 'POST /api/replay').toJSON() })
      lines.end()
    },
  )
  return promise
}
