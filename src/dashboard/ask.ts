import type { ErrorAnswer } from '../api/answer.ts'

/** Questions to the API, and what goes wrong with them in words for the reader. */

/** Why there is no answer. */
export interface Problem {
  readonly message: string
  readonly hint: string
  /** The same question may be answered later: the server is away or busy. */
  readonly isPassing: boolean
}

/** Thrown by `ask`. */
export class ProblemError extends Error {
  readonly problem: Problem

  constructor(problem: Problem, options?: ErrorOptions) {
    super(problem.message, options)
    this.problem = problem
  }
}

const away: Problem = {
  message: 'The server does not answer',
  hint: 'It is asked again by itself until it does',
  isPassing: true,
}

/**
 * Asks the API; without a session the login page takes over.
 * @param body sent by POST, as JSON
 * @throws ProblemError, and an `AbortError` when `signal` aborts
 */
export async function ask<Answer>(
  path: string,
  signal: AbortSignal | null = null,
  body?: unknown,
): Promise<Answer> {
  const init: RequestInit = { headers: { accept: 'application/json' }, signal }
  if (body !== undefined) {
    init.method = 'POST'
    init.headers = { accept: 'application/json', 'content-type': 'application/json' }
    init.body = JSON.stringify(body)
  }
  let response: Response
  let text: string
  try {
    response = await fetch(path, init)
    text = await response.text()
  } catch (cause) {
    if (signal?.aborted) throw cause
    throw new ProblemError(away, { cause })
  }
  if (response.status === 401) location.assign('/login')
  return readAnswer<Answer>(response.status, text)
}

/**
 * The answer in a text, or the error that it tells. A health that is bad comes with 503 and is an
 * answer all the same.
 * @throws ProblemError
 */
export function readAnswer<Answer>(status: number, text: string): Answer {
  const isPassing = status >= 500 || status === 429
  let answer: Answer | ErrorAnswer
  try {
    answer = parse(text) as Answer | ErrorAnswer
  } catch (cause) {
    // A proxy's own page, or half an answer.
    const problem = { message: `The server answered ${status}`, hint: away.hint, isPassing: true }
    throw new ProblemError(problem, { cause })
  }
  if (isError(answer)) {
    const { message, hint } = answer.error
    throw new ProblemError({ message, hint, isPassing })
  }
  return answer
}

function isError(answer: unknown): answer is ErrorAnswer {
  return typeof answer === 'object' && answer !== null && 'error' in answer
}

/** What went wrong, for any thrown value. */
export function problemOf(thrown: unknown): Problem {
  if (thrown instanceof ProblemError) return thrown.problem
  return { message: 'This page has a fault', hint: String(thrown), isPassing: false }
}

interface RawJson {
  parse(
    text: string,
    revive: (name: string, value: unknown, context?: { source?: string }) => unknown,
  ): unknown
  rawJSON?(text: string): unknown
}

/**
 * Reads JSON. Parameters of an event may have numbers that JavaScript cannot hold: where the browser
 * can, they keep their digits.
 */
export function parse(text: string): unknown {
  const json = JSON as unknown as RawJson
  const { rawJSON } = json
  if (rawJSON === undefined) return JSON.parse(text)
  return json.parse(text, (_name, value, context) => {
    if (typeof value !== 'number' || context?.source === undefined) return value
    return String(value) === context.source ? value : rawJSON(context.source)
  })
}

/** The query string of a question; members that are undefined are left out. */
export function queryOf(members: Readonly<Record<string, string | number | undefined>>): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(members)) {
    if (value !== undefined && value !== '') query.set(name, String(value))
  }
  return query.toString()
}
