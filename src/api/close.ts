import type { FastifyInstance } from 'fastify'
import { MillraceError } from '../event/error.ts'
import { dayOf } from '../lib/clock.ts'
import type { CloseProgressAnswer, CloseResultAnswer } from './answer.ts'
import { sendProgress } from './progress.ts'
import { changeSchema, closeBody } from './schema.ts'

/** What to close. */
export interface CloseRequest {
  /** UTC, `YYYY-MM-DD`; unset, the days that are due. */
  readonly day?: string
  /** The last of the days that are due (UTC, `YYYY-MM-DD`); not together with `day`. */
  readonly until?: string
  /** Aborts when the client goes or the API stops. */
  readonly signal: AbortSignal
}

export interface CloseParts {
  /** Closes days one after the other. */
  readonly close: (
    request: CloseRequest,
    onProgress: (progress: CloseProgressAnswer) => void,
  ) => Promise<CloseResultAnswer>
  readonly onError?: (thrown: unknown) => void
}

/** The request that closes days. */
export function addCloseRoute(app: FastifyInstance, parts: CloseParts, ending: AbortSignal): void {
  let isRunning = false
  const schema = changeSchema(
    'Close days: write their rows into a file each. Lines of progress, then the result',
    closeBody,
    'closeLine',
  )
  app.post('/api/close', { schema }, async (request, reply) => {
    const { day, until } = request.body as { day?: string; until?: string }
    if (day !== undefined) checkDay('day', day)
    if (until !== undefined) checkDay('until', until)
    if (isRunning) throw new MillraceError('close_running', 'one at a time')
    isRunning = true
    const gone = new AbortController()
    reply.raw.once('close', () => gone.abort())
    const signal = AbortSignal.any([ending, gone.signal])
    return sendProgress<CloseProgressAnswer, CloseResultAnswer>(reply, {
      route: 'POST /api/close',
      run: async (onProgress) => {
        try {
          const which = { ...(day !== undefined && { day }), ...(until !== undefined && { until }) }
          return await parts.close({ ...which, signal }, onProgress)
        } finally {
          isRunning = false
        }
      },
      isEnd: ({ done, total }) => done >= total,
      onError: parts.onError ?? (() => {}),
    })
  })
}

/** The schema lets days pass that no month has. */
export function checkDay(name: string, day: string): void {
  const time = Date.parse(`${day}T00:00:00Z`)
  if (!Number.isNaN(time) && dayOf(time) === day) return
  throw new MillraceError('question_invalid', `${name}: there is no ${day}`)
}
