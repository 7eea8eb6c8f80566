import { MillraceError } from '../../event/error.ts'

/** A client of a schema registry that speaks Confluent's HTTP API. */
export interface SchemaRegistry {
  /**
   * The id under which a subject keeps this schema; it is registered if need be.
   * @throws MillraceError `registry_unavailable`, `registry_refused` when it is incompatible
   */
  register(subject: string, text: string): Promise<number>
  /**
   * The text of a schema by its id, or undefined when there is none.
   * @throws MillraceError `registry_unavailable`
   */
  schema(id: number): Promise<string | undefined>
}

export interface RegistryOptions {
  /** `http://HOST:PORT`; a user and password in it are sent as basic authentication. */
  readonly url: string
  readonly timeoutMs: number
}

const contentType = 'application/vnd.schemaregistry.v1+json'

/** Ids are for ever, so what was learned once is not asked for again. */
export function createSchemaRegistry({ url, timeoutMs }: RegistryOptions): SchemaRegistry {
  const base = new URL(url.endsWith('/') ? url : `${url}/`)
  const headers: Record<string, string> = { accept: contentType }
  if (base.username !== '') {
    const user = `${decodeURIComponent(base.username)}:${decodeURIComponent(base.password)}`
    headers['authorization'] = `Basic ${Buffer.from(user).toString('base64')}`
    base.username = ''
    base.password = ''
  }
  const texts = new Map<number, string>()
  const ids = new Map<string, number>()

  async function ask(path: string, init: RequestInit): Promise<Answer> {
    let response: Response
    try {
      const signal = AbortSignal.timeout(timeoutMs)
      response = await fetch(new URL(path, base), { ...init, signal })
      const body = await response.text()
      // 408 and 429 pass, like what the registry itself got wrong.
      if (response.status < 500 && response.status !== 408 && response.status !== 429) {
        return { status: response.status, body: parsed(body) }
      }
    } catch (thrown) {
      throw new MillraceError('registry_unavailable', `${base.origin}: ${causeOf(thrown)}`, {
        cause: thrown,
      })
    }
    throw new MillraceError('registry_unavailable', `${base.origin} says ${response.status}`)
  }

  return {
    async register(subject, text) {
      const key = `${subject}\n${text}`
      const known = ids.get(key)
      if (known !== undefined) return known
      const { status, body } = await ask(`subjects/${encodeURIComponent(subject)}/versions`, {
        method: 'POST',
        headers: { ...headers, 'content-type': contentType },
        body: JSON.stringify({ schema: text }),
      })
      if (status !== 200 || typeof body.id !== 'number') throw refused(subject, status, body)
      ids.set(key, body.id)
      return body.id
    },
    async schema(id) {
      const known = texts.get(id)
      if (known !== undefined) return known
      const { status, body } = await ask(`schemas/ids/${id}`, { headers })
      if (status === 404) return
      if (status !== 200 || typeof body.schema !== 'string') throw refused(`id ${id}`, status, body)
      texts.set(id, body.schema)
      return body.schema
    },
  }
}

interface Answer {
  readonly status: number
  readonly body: { readonly id?: unknown; readonly schema?: unknown; readonly message?: unknown }
}

function parsed(text: string): Answer['body'] {
  try {
    return (JSON.parse(text) ?? {}) as Answer['body']
  } catch {
    return { message: text.slice(0, 200) }
  }
}

function refused(what: string, status: number, { message }: Answer['body']): MillraceError {
  return new MillraceError('registry_refused', `${what}: ${status} ${String(message ?? '')}`)
}

/** `fetch` says only that it failed; its cause says why. */
function causeOf(thrown: unknown): string {
  const error = thrown as Error
  return error.cause instanceof Error ? error.cause.message : error.message
}
