import assert from 'node:assert/strict'
import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http'
import type { TestContext } from 'node:test'
import { z } from 'zod'
import type { Json } from '../../src/api/answer.ts'
import { type Api, type ApiOptions, type ApiParts, openApi } from '../../src/api/api.ts'
import { type AnswerName, answerSchemas } from '../../src/api/schema.ts'
import type { Row } from '../../src/store/store.ts'
import { createMemoryStore, type MemoryStore } from '../query/memory-store.ts'

export const runToken = 'run-token-of-this-run-and-no-other-0123456789'
export const token = 'a-token-of-at-least-thirty-two-characters'
export const now = Date.parse('2026-03-10T15:30:00Z')

/** An answer as it came over the socket. */
export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  /** The body as JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  readonly json: any
}

export interface Ask {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  /** A text as it is, anything else as JSON. */
  readonly body?: string | Json
}

export interface Scene {
  readonly api: Api
  readonly store: MemoryStore
  readonly live: LiveSource
  readonly errors: unknown[]
  ask(path: string, ask?: Ask): Promise<Answer>
  /** An answer whose body is read by the test. */
  open(path: string, ask?: Ask): Promise<IncomingMessage>
}

/** A tail of a log that the test feeds. */
export interface LiveSource {
  readonly tail: (signal: AbortSignal) => AsyncIterable<Row>
  readonly append: (...rows: Row[]) => void
  readonly fail: (error: Error) => void
  /** How many tails are open now. */
  readonly open: () => number
}

/** An API on a free port, closed when the test ends. */
export async function sceneOf(
  t: TestContext,
  options: Partial<ApiOptions> = {},
  parts: Partial<ApiParts> = {},
): Promise<Scene> {
  const store = createMemoryStore()
  const live = createLiveSource()
  const errors: unknown[] = []
  const api = await openApi(
    { host: '127.0.0.1', port: 0, allowedHosts: [], eventsMax: 1_000, liveMax: 4, ...options },
    {
      store,
      clock: () => now,
      version: '1.2.3',
      health: async () => ({ lag: 0, consumer: 'running', problem: null, collectorUrl: null }),
      live: live.tail,
      replay: async () => ({ read: 0, total: 0, complete: true }),
      replayDeadLetters: async () => ({ replayed: 0, failures: [] }),
      runToken,
      onError: (thrown) => errors.push(thrown),
      ...parts,
    },
  )
  t.after(() => api.stop())
  const open = (path: string, ask?: Ask): Promise<IncomingMessage> => send(api, path, ask)
  return {
    api,
    store,
    live,
    errors,
    open,
    ask: async (path, ask) => readAnswer(await open(path, ask)),
  }
}

/** Sends exactly these headers: `fetch` would not let a test choose Host and Origin. */
export function send(api: Api, path: string, ask: Ask = {}): Promise<IncomingMessage> {
  const { body } = ask
  const text = typeof body === 'string' || body === undefined ? body : JSON.stringify(body)
  const type = text === undefined ? {} : { 'content-type': 'application/json' }
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        host: api.host,
        port: api.port,
        path,
        method: ask.method ?? (text === undefined ? 'GET' : 'POST'),
        headers: { ...type, ...ask.headers },
        agent: false,
      },
      resolve,
    )
    outgoing.once('error', reject)
    outgoing.end(text)
  })
}

export async function readAnswer(incoming: IncomingMessage): Promise<Answer> {
  let text = ''
  incoming.setEncoding('utf8')
  for await (const chunk of incoming) text += chunk
  const isJson = incoming.headers['content-type']?.startsWith('application/json') === true
  return {
    status: incoming.statusCode ?? 0,
    headers: incoming.headers,
    text,
    json: isJson && text !== '' ? JSON.parse(text) : undefined,
  }
}

export function bearer(secret: string): Record<string, string> {
  return { authorization: `Bearer ${secret}` }
}

/** The answer is as /api/openapi.json describes it, member for member. */
export function assertShape(name: AnswerName, answer: unknown): void {
  const schema = z.fromJSONSchema(answerSchemas[name] as Parameters<typeof z.fromJSONSchema>[0])
  const result = schema.safeParse(answer)
  assert.ok(result.success, JSON.stringify(result.error?.issues))
}

/** Waits for what happens elsewhere; fails loudly when it does not. */
export async function until(isSo: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 10_000
  while (!isSo()) {
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

interface Tail {
  readonly rows: Row[]
  wake: () => void
  error: Error | undefined
}

function createLiveSource(): LiveSource {
  const tails = new Set<Tail>()
  return {
    open: () => tails.size,
    append(...rows) {
      for (const tail of tails) {
        tail.rows.push(...rows)
        tail.wake()
      }
    },
    fail(error) {
      for (const tail of tails) {
        tail.error = error
        tail.wake()
      }
    },
    async *tail(signal) {
      const tail: Tail = { rows: [], wake: () => {}, error: undefined }
      tails.add(tail)
      signal.addEventListener('abort', () => tail.wake())
      try {
        while (!signal.aborted) {
          yield* tail.rows.splice(0)
          if (tail.error !== undefined) throw tail.error
          if (tail.rows.length === 0 && !signal.aborted) {
            await new Promise<void>((resolve) => {
              tail.wake = resolve
            })
          }
        }
      } finally {
        tails.delete(tail)
      }
    },
  }
}
