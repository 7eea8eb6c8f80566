import type { ErrorAnswer, ErrorDetail } from '../api/answer.ts'
import { apiUrlOverride, type Config } from '../config.ts'
import { type ErrorCode, errorTable, MillraceError } from '../event/error.ts'
import { readOwner } from './owner.ts'

/** The API of the process that owns the data folder, or of `MILLRACE_API_URL`. */
export interface ApiClient {
  readonly url: string
  /** One JSON answer. @throws MillraceError with the API's own code, or `api_unreachable` */
  json<T>(path: string, init?: RequestInit): Promise<T>
  /** Like `json`, but an answer of 503 with a body of the same shape is an answer too. */
  health<T>(path: string): Promise<T>
  /** The lines of a streamed answer (NDJSON, or the data of server-sent events), as they come. */
  lines(path: string, init?: RequestInit): AsyncIterable<string>
  /** The bytes of an answer as they come, and how many there will be, where that is known. */
  bytes(path: string, init?: RequestInit): Promise<ByteAnswer>
}

export interface ByteAnswer {
  readonly chunks: AsyncIterable<Uint8Array>
  readonly total: number | null
}

/** @throws MillraceError `owner_absent` when nobody owns the folder and no address is given */
export async function connectApi(config: Config): Promise<ApiClient> {
  const override = apiUrlOverride()
  if (override !== undefined) return createClient(override, config.api.token)
  const owner = await readOwner(config.data)
  if (owner === undefined) throw new MillraceError('owner_absent', config.data)
  return createClient(owner.url, owner.token)
}

/** Like `connectApi`, or undefined when nobody owns the folder. */
export async function connectOwner(config: Config): Promise<ApiClient | undefined> {
  if (apiUrlOverride() === undefined && (await readOwner(config.data)) === undefined) return
  return connectApi(config)
}

function createClient(url: string, token: string | undefined): ApiClient {
  const base = url.replace(/\/+$/, '')
  const send = async (path: string, init: RequestInit = {}, unwell?: number): Promise<Response> => {
    const headers = new Headers(init.headers)
    if (token !== undefined) headers.set('Authorization', `Bearer ${token}`)
    if (init.body !== undefined && !headers.has('Content-Type')) {
      headers.set('Content-Type', 'application/json')
    }
    const response = await reach(`${base}${path}`, { ...init, headers })
    if (!response.ok && response.status !== unwell) throw await errorOf(response)
    return response
  }
  return {
    url: base,
    json: async <T>(path: string, init?: RequestInit) =>
      (await (await send(path, init)).json()) as T,
    health: async <T>(path: string) => (await (await send(path, {}, 503)).json()) as T,
    lines: (path, init) => readLines(send(path, init)),
    async bytes(path, init) {
      const { body, headers } = await send(path, init)
      const length = headers.get('content-length')
      return { chunks: readBytes(body), total: length === null ? null : Number(length) }
    },
  }
}

async function reach(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init)
  } catch (thrown) {
    if (init.signal?.aborted === true) throw thrown
    throw new MillraceError('api_unreachable', url, { cause: thrown })
  }
}

/** An error as the API told it, also in a line of an answer that had begun well. */
export function errorOfAnswer({ code, message }: ErrorDetail): MillraceError {
  const known = new MillraceError(
    Object.hasOwn(errorTable, code) ? (code as ErrorCode) : 'internal',
  )
  known.message = message
  return known
}

async function errorOf(response: Response): Promise<MillraceError> {
  const text = await response.text()
  try {
    const { error } = JSON.parse(text) as ErrorAnswer
    if (error.code in errorTable) return errorOfAnswer(error)
  } catch {
    // Not an answer of ours: say what came.
  }
  return new MillraceError(
    'api_unreachable',
    `${response.url} said ${response.status} ${text.slice(0, 200)}`,
  )
}

/** A connection that breaks off is an error with a code, as one that was never there. */
async function* readBytes(body: ReadableStream<Uint8Array> | null): AsyncIterable<Uint8Array> {
  try {
    if (body !== null) yield* body
  } catch (thrown) {
    throw new MillraceError('api_unreachable', 'the answer broke off', { cause: thrown })
  }
}

async function* readLines(response: Promise<Response>): AsyncIterable<string> {
  const { body } = await response
  if (body === null) return
  let rest = ''
  const decoder = new TextDecoder()
  for await (const bytes of readBytes(body)) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line !== '') yield line
  }
  rest += decoder.decode()
  if (rest !== '') yield rest
}
