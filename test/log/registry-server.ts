import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A server that speaks the part of Confluent's schema registry API that a client needs. */
export interface RegistryServer {
  readonly url: string
  /** What was asked: `METHOD PATH`. */
  readonly asked: string[]
  /** The texts by id, ids begin at 1. */
  readonly schemas: Map<number, string>
  /** Answer everything with this status; undefined answers rightly. */
  failWith: number | undefined
  close(): Promise<void>
}

const contentType = 'application/vnd.schemaregistry.v1+json'

/** @param authorization what the header of that name has to be */
export async function startRegistryServer(authorization?: string): Promise<RegistryServer> {
  const schemas = new Map<number, string>()
  const asked: string[] = []
  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy())
  })

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    asked.push(`${request.method} ${request.url}`)
    const body = Buffer.concat(await request.toArray()).toString()
    const say = (status: number, value: unknown): void => {
      response.writeHead(status, { 'content-type': contentType }).end(JSON.stringify(value))
    }
    if (registry.failWith !== undefined)
      return say(registry.failWith, { error_code: 1, message: 'no' })
    if (authorization !== undefined && request.headers.authorization !== authorization) {
      return say(401, { error_code: 401, message: 'Unauthorized' })
    }
    const id = /^\/schemas\/ids\/(\d+)$/.exec(request.url ?? '')?.[1]
    if (id !== undefined && request.method === 'GET') {
      const schema = schemas.get(Number(id))
      if (schema === undefined) return say(404, { error_code: 40403, message: 'Schema not found' })
      return say(200, { schema })
    }
    if (request.method === 'POST' && /^\/subjects\/[^/]+\/versions$/.test(request.url ?? '')) {
      const { schema } = JSON.parse(body) as { schema: string }
      if (schema.includes('incompatible')) {
        return say(409, { error_code: 409, message: 'Schema being registered is incompatible' })
      }
      const known = [...schemas].find(([, text]) => text === schema)
      const registered = known?.[0] ?? schemas.size + 1
      schemas.set(registered, schema)
      return say(200, { id: registered })
    }
    return say(404, { error_code: 404, message: 'HTTP 404 Not Found' })
  }

  const { promise, resolve } = Promise.withResolvers<void>()
  server.listen(0, '127.0.0.1', resolve)
  await promise
  const registry: RegistryServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    schemas,
    failWith: undefined,
    async close() {
      server.closeAllConnections()
      await new Promise((closed) => server.close(closed))
    },
  }
  return registry
}
