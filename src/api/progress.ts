import { PassThrough } from 'node:stream'
import type { FastifyReply } from 'fastify'
import { toAnswerable } from './failure.ts'

/** Answers of work that takes long: a line of progress from time to time, then the result. */
export interface ProgressWork<Progress, Result> {
  /** Tells of errors, as `POST /api/replay`. */
  readonly route: string
  readonly run: (onProgress: (progress: Progress) => void) => Promise<Result>
  /** Told in any case. */
  readonly isEnd: (progress: Progress) => boolean
  readonly onError: (thrown: unknown) => void
}

/** Progress is told at most this often. */
const progressIntervalMs = 200

/**
 * The answer begins with the first progress, so that work that cannot begin has an error's status;
 * an error after that is the last line.
 */
export function sendProgress<Progress, Result>(
  reply: FastifyReply,
  { route, run, isEnd, onError }: ProgressWork<Progress, Result>,
): Promise<FastifyReply> {
  const { promise, resolve, reject } = Promise.withResolvers<FastifyReply>()
  const lines = new PassThrough()
  let hasBegun = false
  let toldAt = 0
  const tell = (line: object): void => {
    if (!lines.destroyed) lines.write(`${JSON.stringify(line)}\n`)
    if (hasBegun) return
    hasBegun = true
    reply.header('cache-control', 'no-store').type('application/x-ndjson; charset=utf-8')
    resolve(reply.send(lines))
  }
  const onProgress = (progress: Progress): void => {
    const now = performance.now()
    const isSoon = now - toldAt < progressIntervalMs
    // A reader that is slower than the work gets fewer lines, not a queue of them.
    if (hasBegun && !isEnd(progress) && (isSoon || lines.writableNeedDrain)) return
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
      tell({ error: toAnswerable(thrown, onError, route).toJSON() })
      lines.end()
    },
  )
  return promise
}
