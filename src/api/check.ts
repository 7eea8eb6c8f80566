import type { FastifyInstance } from 'fastify'
import { MillraceError } from '../event/error.ts'
import type { CheckProgress, CheckQuestion, CheckResult } from '../query/check.ts'
import type { ErrorAnswer } from './answer.ts'
import { checkDay } from './close.ts'
import { sendProgress } from './progress.ts'
import { sendJson } from './reply.ts'
import { responses } from './schema.ts'
import { count, flag, type JsonSchema, list, object, text, timeOrNull } from './shape.ts'

/** Which days there are, and whether they are whole. */

/** GET /api/days */
export interface DaysAnswer {
  readonly rows: readonly {
    /** UTC, `YYYY-MM-DD`. */
    readonly day: string
    /** Rows that came since the day was closed, or all while it is not. */
    readonly openRows: number
    readonly closedRows: number
    /** How often it was closed. */
    readonly version: number
    /** ISO 8601: before that, events of the day may still come. */
    readonly dueAt: string
  }[]
}

export interface DaysParts {
  readonly days: () => Promise<DaysAnswer['rows']>
}

const daysAnswer = object<DaysAnswer>({
  rows: list(
    object<DaysAnswer['rows'][number]>({
      day: text,
      openRows: count,
      closedRows: count,
      version: count,
      dueAt: { ...text, format: 'date-time' },
    }),
  ),
})

export function addDaysRoute(app: FastifyInstance, { days }: DaysParts): void {
  const schema = {
    summary: 'The days that have rows, and which of them are closed',
    response: responses(daysAnswer),
  }
  app.get('/api/days', { schema }, async (_request, reply) => {
    const answer: DaysAnswer = { rows: await days() }
    return sendJson(reply, JSON.stringify(answer))
  })
}

/** A line of POST /api/check: any number of `progress`, then one `result` or `error`. */
export type CheckLine =
  | { readonly progress: CheckProgress }
  | { readonly result: CheckResult }
  | ErrorAnswer

export interface CheckParts {
  readonly check: (
    question: CheckQuestion,
    signal: AbortSignal,
    onProgress: (progress: CheckProgress) => void,
  ) => Promise<CheckResult>
  readonly onError?: (thrown: unknown) => void
}

const progress = object<CheckProgress>({ day: text, done: count, total: count })
const share: JsonSchema = { type: 'number', minimum: 0, maximum: 1 }
const result = object<CheckResult>({
  ok: flag,
  reasons: list(text),
  storedUntil: timeOrNull,
  lag: count,
  days: list(
    object<CheckResult['days'][number]>({
      day: text,
      sent: count,
      stored: count,
      rejected: count,
      missing: count,
      loss: share,
      isClosed: flag,
      isEqual: { type: ['boolean', 'null'] },
    }),
  ),
})
const answer: JsonSchema = {
  oneOf: [object<{ progress: unknown }>({ progress }), object<{ result: unknown }>({ result })],
}

const body: JsonSchema = {
  type: 'object',
  required: ['until', 'lossMax'],
  additionalProperties: false,
  properties: {
    from: { ...text, description: 'The first day (UTC); without it the first that has rows' },
    until: { ...text, description: 'The last day (UTC)' },
    lossMax: { ...share, description: 'The largest share of a day that may be missing' },
  },
}

/** It changes nothing, but counts every row: one at a time. */
export function addCheckRoute(app: FastifyInstance, parts: CheckParts, ending: AbortSignal): void {
  let running: Promise<unknown> = Promise.resolve()
  const schema = {
    summary: 'Check that days are whole: lines of progress, then the result',
    body,
    response: responses(answer),
  }
  app.post('/api/check', { schema }, async (request, reply) => {
    const question = request.body as CheckQuestion
    for (const name of ['from', 'until'] as const) {
      const day = question[name]
      if (day !== undefined) checkDay(name, day)
    }
    if (question.from !== undefined && question.from > question.until) {
      throw new MillraceError('question_invalid', 'from is after until')
    }
    const gone = new AbortController()
    reply.raw.once('close', () => gone.abort())
    const signal = AbortSignal.any([ending, gone.signal])
    return sendProgress<CheckProgress, CheckResult>(reply, {
      route: 'POST /api/check',
      run: (onProgress) => {
        const work = running.then(() => parts.check(question, signal, onProgress))
        running = work.catch(() => undefined)
        return work
      },
      isEnd: ({ done, total }) => done >= total,
      onError: parts.onError ?? (() => {}),
    })
  })
}
