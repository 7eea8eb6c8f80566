import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Intake } from './intake.ts'
import { createOrigins } from './origin.ts'
import { type PartyCookie, tagSourceOf } from './party-cookie.ts'
import type { TagScripts } from './script.ts'
import { isTagBatch, takeBatch } from './take-batch.ts'
import { type DivolteJsonSource, takeDivolteJson } from './take-divolte-json.ts'
import { takeQuery } from './take-query.ts'

/** A source beside those that are always there. */
export type SourceRoute = BrowserRoute | DivolteJsonSource

/** A tag of its own. */
export interface BrowserRoute {
  readonly type: 'browser'
  /** In the configuration. */
  readonly name: string
  readonly scriptPath: string
  readonly eventPath: string
  readonly scripts: TagScripts
  /** Its own; absent: its tag names the party itself. */
  readonly partyCookie?: PartyCookie | undefined
}

/** Takes the request of one address of a source; the query is without its `?`. */
export type TakeRequest = (
  request: IncomingMessage,
  response: ServerResponse,
  query: string,
) => void

/** Sends a script; the collector's own way of doing that. */
export type SendScript = (
  scripts: TagScripts,
  request: IncomingMessage,
  response: ServerResponse,
  query: string,
) => Promise<void>

/** What takes the requests of the sources, by their canonical paths. */
export function routesOf(
  sources: readonly SourceRoute[],
  intake: Intake,
  sendScript: SendScript,
): ReadonlyMap<string, TakeRequest> {
  const routes = new Map<string, TakeRequest>()
  for (const source of sources) {
    if (source.type === 'json') {
      routes.set(source.path, (request, response, query) => {
        void takeDivolteJson(intake, source, request, response, query)
      })
      continue
    }
    routes.set(source.scriptPath, (request, response, query) => {
      void sendScript(source.scripts, request, response, query)
    })
    const { name, partyCookie } = source
    const { allowedOrigins, cookieless } = intake.options
    const tag = tagSourceOf(name, partyCookie, cookieless)
    const origins = createOrigins(allowedOrigins, partyCookie !== undefined)
    routes.set(source.eventPath, (request, response, query) => {
      if (isTagBatch(request)) void takeBatch(intake, origins, request, response, tag)
      else takeQuery(intake, request, response, query, tag)
    })
  }
  return routes
}
