import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { openTagScripts } from '../../src/collect/script.ts'
import { type ConfigInput, parseConfig } from '../../src/config.ts'
import { parseRequest } from './load-tag.ts'

/** The parameters of one event by name; `checksum` says whether it was right. */
export type SentEvent = Readonly<Record<string, string>>

/** A site with the tag, whose collector only writes down what comes. */
export interface Site {
  readonly origin: string
  /** Every receipt of an event, in order. */
  readonly events: readonly SentEvent[]
  /** Requests for events: how many events each had, and how it came. */
  readonly requests: readonly { readonly method: string; readonly count: number }[]
  /** Answers every request for events in another way; undefined as a collector does. */
  setAnswer(answer: Answer | undefined): void
  /** Waits until `predicate` holds for the events so far. */
  until(predicate: (events: readonly SentEvent[]) => boolean, what?: string): Promise<void>
  close(): Promise<void>
}

type Answer = (request: IncomingMessage, response: ServerResponse, lines: readonly string[]) => void

const gif = Buffer.from(
  '4749463839610100010000000021f904010a0001002c00000000010001000002024c01003b',
  'hex',
)

/** @param pages body of the page at each path; any other is that of `/` */
export async function openSite(
  pages: Readonly<Record<string, string>>,
  settings: ConfigInput['tag'] = {},
): Promise<Site> {
  const events: SentEvent[] = []
  const requests: { method: string; count: number }[] = []
  const waiting = new Set<() => void>()
  const { tag } = parseConfig({ tag: settings })
  const scripts = await openTagScripts(tag)
  let answer: Answer | undefined

  const server = createServer(async (request, response) => {
    const [path = '', query = ''] = (request.url ?? '').split('?')
    if (path === `/${tag.name}`) {
      const { status, headers, body } = await scripts.answer(query, request.headers)
      response.writeHead(status, { ...headers }).end(body)
    } else if (path === `/${tag.eventSuffix}`) {
      const lines = request.method === 'POST' ? (await textOf(request)).split('\n') : [query]
      requests.push({ method: request.method ?? '', count: lines.length })
      if (answer !== undefined) answer(request, response, lines)
      else accept(request, response, lines)
      for (const check of waiting) check()
    } else {
      response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' })
      response.end(`<!doctype html><title>page</title>${pages[path] ?? pages['/']}`)
    }
  })

  function accept(
    request: IncomingMessage,
    response: ServerResponse,
    lines: readonly string[],
  ): void {
    for (const line of lines) {
      const { parameters, checksum, checksumExpected } = parseRequest(`?${line}`)
      const isRight = checksum === checksumExpected
      events.push({ ...Object.fromEntries(parameters), checksum: `${isRight}` })
    }
    if (request.method === 'GET') response.writeHead(200, { 'Content-Type': 'image/gif' }).end(gif)
    else response.end(JSON.stringify({ results: lines.map(() => ({ status: 'accepted' })) }))
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    events,
    requests,
    setAnswer: (next) => {
      answer = next
    },
    until: (predicate, what = 'the events') =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          waiting.delete(check)
          const types = events.slice(-20).map((event) => event['t'])
          reject(new Error(`${what} did not come: ${events.length} events, ${types}`))
        }, 15_000)
        const check = () => {
          if (!predicate(events)) return
          clearTimeout(timer)
          waiting.delete(check)
          resolve()
        }
        waiting.add(check)
        check()
      }),
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}
