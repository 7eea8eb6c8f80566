import type { ServerResponse } from 'node:http'
import { MillraceError } from '../event/error.ts'
import type { Event } from '../event/event.ts'
import {
  filterParameters,
  matchesFilter,
  type ParameterNotes,
  parseFilter,
  readParameters,
} from '../query/query.ts'
import { renderEvent } from './render.ts'

/** Events as they arrive, over server-sent events. One tail of the log feeds all streams. */

/** An event with its place on the log, which names it in the stream. */
export interface LiveEvent extends Event {
  readonly position: { readonly partition: number; readonly offset: number }
}

export interface LiveOptions {
  readonly streamsMax: number
  readonly heartbeatMs: number
  /** Most bytes that wait for a client that does not read. */
  readonly bufferBytesMax: number
  /** How long such a client may take to read them, before its connection is cut. */
  readonly drainTimeoutMs: number
}

/** Below the idle timeouts of usual proxies, which are 30 s and more. */
export const liveDefaults: Omit<LiveOptions, 'streamsMax'> = {
  heartbeatMs: 15_000,
  bufferBytesMax: 1024 * 1024,
  drainTimeoutMs: 10_000,
}

export const liveParameters: ParameterNotes = filterParameters

export interface LiveStreams {
  readonly count: () => number
  /**
   * Streams to `response` what matches the question until it closes.
   * @throws MillraceError `live_full`, `question_invalid`
   */
  readonly open: (response: ServerResponse, queryText: string, headers: OutHeaders) => void
  /** Ends every stream. */
  readonly stop: () => void
}

type OutHeaders = Readonly<Record<string, string | number | string[] | undefined>>

interface Stream {
  readonly offer: (event: LiveEvent, text: () => string) => void
  readonly end: (reason: string) => void
}

/**
 * @param tail events from now on, until the signal aborts; opened while somebody looks
 */
export function createLiveStreams(
  options: LiveOptions,
  tail: (signal: AbortSignal) => AsyncIterable<LiveEvent>,
  onError: (thrown: unknown) => void,
): LiveStreams {
  const streams = new Set<Stream>()
  let tailing: AbortController | undefined

  const endAll = (reason: string): void => {
    for (const stream of [...streams]) stream.end(reason)
  }
  const leave = (stream: Stream): void => {
    streams.delete(stream)
    if (streams.size > 0) return
    tailing?.abort()
    tailing = undefined
  }
  const follow = async (controller: AbortController): Promise<void> => {
    try {
      for await (const event of tail(controller.signal)) {
        if (tailing !== controller) return
        let rendered: string | undefined
        const text = (): string => (rendered ??= renderMessage(event))
        for (const stream of streams) stream.offer(event, text)
      }
    } catch (thrown) {
      onError(thrown)
    }
    // The tail ended by itself: clients come back after `retry` and open another.
    if (tailing === controller) endAll('the log is not readable now')
  }
  return {
    count: () => streams.size,
    open(response, queryText, headers) {
      const filter = parseFilter(readParameters(queryText, liveParameters))
      if (streams.size >= options.streamsMax) {
        throw new MillraceError('live_full', String(options.streamsMax))
      }
      // The client may have gone while the request was read.
      if (response.destroyed) return
      const stream = openStream(response, headers, options, (event) => matchesFilter(filter, event))
      streams.add(stream)
      response.once('close', () => leave(stream))
      if (tailing !== undefined) return
      tailing = new AbortController()
      void follow(tailing)
    },
    stop: () => endAll('the server is stopping'),
  }
}

function renderMessage(event: LiveEvent): string {
  const { partition, offset } = event.position
  return `id: ${partition}-${offset}\ndata: ${renderEvent(event)}\n\n`
}

/**
 * One client. What it does not read waits in the response up to a bound; past it the client only
 * misses events, and once it has read what waits it is told how many, and let go.
 */
function openStream(
  response: ServerResponse,
  headers: OutHeaders,
  options: LiveOptions,
  matches: (event: LiveEvent) => boolean,
): Stream {
  let missed = 0
  let cut: NodeJS.Timeout | undefined
  response.writeHead(200, {
    ...headers,
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  })
  response.write('retry: 2000\n: events follow as they arrive\n\n')
  const heartbeat = setInterval(() => {
    if (response.writableLength === 0) response.write(': alive\n\n')
  }, options.heartbeatMs)
  response.once('close', () => {
    clearInterval(heartbeat)
    clearTimeout(cut)
  })
  const giveUp = (): void => {
    cut = setTimeout(() => response.destroy(), options.drainTimeoutMs)
    response.once('drain', () => {
      response.end(
        `: too slow, ${missed} events were missed\nevent: dropped\ndata: {"missed":${missed}}\n\n`,
      )
    })
  }
  return {
    offer(event, text) {
      if (response.writableEnded || !matches(event)) return
      if (missed === 0 && response.writableLength < options.bufferBytesMax) {
        response.write(text())
        return
      }
      missed++
      if (missed === 1) giveUp()
    },
    end(reason) {
      if (response.writableEnded) return
      response.end(`: ${reason}\n\n`)
      // A client that does not read would keep its connection, and the process, for ever.
      cut ??= setTimeout(() => response.destroy(), options.drainTimeoutMs)
    },
  }
}
