import { randomFillSync } from 'node:crypto'
import type { IncomingHttpHeaders, ServerResponse } from 'node:http'
import { MillraceError } from '../event/error.ts'
import { createPageViewId } from '../event/identifier.ts'
import { systemClock } from '../lib/clock.ts'
import { createSenderOf, type Sender } from './address.ts'
import { type HeaderList, sendError } from './answer.ts'
import { type AppendQueue, createAppendQueue } from './append-queue.ts'
import type { CountryOf } from './country.ts'
import { createAgentReader } from './enrich.ts'
import type { Inspector } from './inspect.ts'
import { createRateLimit, type RateLimit } from './limits.ts'
import { plainRecords, type RecordsOf } from './mapping/mapper.ts'
import { type CollectMetrics, createMetrics, type Route } from './metrics.ts'
import type { CollectOptions, CollectParts } from './options.ts'
import { keepUnmapped, type UnmappedEvent } from './outcome.ts'
import { type TagSource, tagSourceOf } from './party-cookie.ts'
import { privacyOf } from './privacy.ts'
import { cut, type EventMaking, type Receipt } from './receipt.ts'
import { createRejections, type Rejections } from './rejection.ts'

/** What both sources of events share: who sent it, whether it may come in, the way into the log. */
export interface Intake {
  readonly options: CollectOptions
  readonly making: EventMaking
  readonly queue: AppendQueue
  readonly rejections: Rejections
  readonly recordsOf: RecordsOf
  /** Resolves when these are durable as dead letters. @throws MillraceError what `log.append` throws */
  readonly keepUnmapped: (events: readonly UnmappedEvent[]) => Promise<void>
  readonly metrics: CollectMetrics
  readonly rateLimit: RateLimit
  /** Absent unless somebody tests a site. */
  readonly inspector: Inspector | undefined
  /** The tag at the root; others have their own. */
  readonly browser: TagSource
  readonly senderOf: (peer: string | undefined, headers: IncomingHttpHeaders) => Sender
  readonly receiptOf: (headers: IncomingHttpHeaders, sender: Sender) => Receipt
  /** Refuses with an error of the table; `Retry-After` where trying again helps. */
  readonly refuse: (
    response: ServerResponse,
    route: Route,
    error: MillraceError,
    headers?: HeaderList,
    waitSeconds?: number,
  ) => void
  /** Requests for events that have no answer yet. */
  underWay: number
  /** No new event is taken. */
  stopping: boolean
}

/** Shortest time between two lines about the same trouble, ms. */
const lineIntervalMs = 10_000

export function createIntake(
  options: CollectOptions,
  parts: CollectParts,
  connections: () => Promise<number>,
  countryOf: CountryOf,
): Intake {
  const { clock = systemClock, random = Math.random, inspector } = parts
  const randomBytes =
    parts.randomBytes ?? ((length: number) => randomFillSync(new Uint8Array(length)))
  const readSender = createSenderOf(options.trustedProxies, options.address, countryOf)
  const complain = createComplaint(parts.onLine, clock)
  const queue: AppendQueue = createAppendQueue(parts.events, {
    ...options,
    onAppend: (seconds, events, failure) => {
      metrics.observeAppend(seconds)
      if (failure !== undefined) complain(`${events} events were refused: ${failure.message}`)
    },
  })
  const metrics = createMetrics(
    { waitingEvents: queue.waitingEvents, waitingBytes: queue.waitingBytes, connections },
    parts.registry,
  )
  const rejections = createRejections(options, {
    log: parts.rejected,
    clock,
    onNotKept: (count, reason) => metrics.countNotKept(reason, count),
  })
  return {
    options,
    queue,
    metrics,
    making: {
      options,
      readAgent: createAgentReader(),
      createEventId: () => createPageViewId(randomBytes(32)),
      conform: parts.conform,
    },
    rejections: inspector === undefined ? rejections : inspector.watch(rejections),
    inspector,
    recordsOf: parts.recordsOf ?? plainRecords,
    keepUnmapped: async (unmapped) => {
      metrics.totals.unmapped += unmapped.length
      const [first] = unmapped
      complain(`${unmapped.length} events are kept as dead letters: ${first?.error.message}`)
      await keepUnmapped(parts.rejected, unmapped)
      for (const one of unmapped) inspector?.note(one.event, one.error)
    },
    rateLimit: createRateLimit(options.requestsPerSecondMax, options.requestsBurstMax, clock),
    browser: tagSourceOf('browser', options.partyCookie, options.cookieless),
    senderOf: (peer, headers) => readSender(peer, headers['x-forwarded-for'] as string | undefined),
    receiptOf: (headers, sender) => ({
      receivedAt: clock(),
      remoteAddress: sender.kept,
      country: sender.country,
      userAgent: cutAgent(headers['user-agent'], options.userAgentCharactersMax),
      privacy: privacyOf(headers, options.cookieless),
    }),
    refuse: (response, route, error, headers = [], waitSeconds = 0) => {
      metrics.countRequest(route, error.status)
      metrics.countRejection(error.code)
      inspector?.refuse(response, error)
      const seconds = waitSeconds > 0 ? waitSeconds : retryAfterSeconds(error, random)
      const all = seconds === 0 ? headers : [...headers, 'Retry-After', String(seconds)]
      sendError(response, error, error.code === 'stopping' ? [...all, 'Connection', 'close'] : all)
    },
    underWay: 0,
    stopping: false,
  }
}

function cutAgent(header: string | undefined, charactersMax: number): string | null {
  return header === undefined ? null : cut(header, charactersMax)
}

/** Seconds after which trying again makes sense, spread so that not all come back at once. */
function retryAfterSeconds(error: MillraceError, random: () => number): number {
  if (error.status !== 503) return 0
  const isFull = error.code === 'log_full' || error.code === 'spool_full'
  const atLeast = isFull ? 30 : error.code === 'log_unwritable' ? 5 : 1
  return atLeast + Math.floor(random() * (atLeast + 4))
}

function createComplaint(
  onLine: ((line: string) => void) | undefined,
  clock: () => number,
): (line: string) => void {
  let saidAt = Number.NEGATIVE_INFINITY
  return (line) => {
    if (clock() - saidAt < lineIntervalMs) return
    saidAt = clock()
    onLine?.(line)
  }
}

/** The error that keeps any request for events out, before it is looked at. */
export function refusalAtDoor(intake: Intake): MillraceError | undefined {
  return intake.stopping ? new MillraceError('stopping') : intake.queue.refusal(1)
}
