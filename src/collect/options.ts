import type { Registry } from 'prom-client'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../log/log.ts'
import type { Conform } from './event-schema.ts'
import type { Inspector } from './inspect.ts'
import type { RecordsOf } from './mapping/mapper.ts'
import type { PartyCookie } from './party-cookie.ts'
import type { AnswerRecommendations } from './recommendations.ts'
import type { TagScripts } from './script.ts'
import type { SourceRoute } from './sources.ts'

/** How an address is kept: without its last part, whole, or not at all. */
export type AddressSetting = 'masked' | 'full' | 'none'

/** What decides how a request becomes an event; a replay needs the same. */
export interface EventOptions {
  readonly cookieless: boolean
  /** The event parameter that names the item. */
  readonly itemIdParameter: string
  /** Largest JSON text of one event's own parameters. */
  readonly parametersBytesMax: number
  /** Deepest nesting of one event's own parameters. */
  readonly parametersDepthMax: number
  /** Longest event type, id and other short texts. */
  readonly textCharactersMax: number
  /** Longest location and referer; the rest is cut. */
  readonly urlCharactersMax: number
  /** Longest user agent; the rest is cut. */
  readonly userAgentCharactersMax: number
  readonly queryBytesMax: number
}

/** The settings of the collector: `config.collect` and the names of the tag. */
export interface CollectOptions extends EventOptions {
  readonly host: string
  /** 0 takes a free port. */
  readonly port: number
  /** Origins whose pages may POST events; `*` is any. */
  readonly allowedOrigins: readonly string[]
  /** Addresses or CIDR ranges of proxies whose X-Forwarded-For is believed. */
  readonly trustedProxies: readonly string[]
  readonly address: AddressSetting
  /** `default`, `none`, or the path of an .mmdb file. */
  readonly countryDatabase: string
  /** Show the demo page and /metrics to other machines than this one. */
  readonly publicPages: boolean
  readonly bodyBytesMax: number
  readonly batchEventsMax: number
  readonly connectionsMax: number
  readonly requestTimeoutMs: number
  readonly keepAliveTimeoutMs: number
  readonly queueEventsMax: number
  readonly queueBytesMax: number
  /** 0 switches the limit off. */
  readonly requestsPerSecondMax: number
  readonly requestsBurstMax: number
  readonly rejectionsPerSecondMax: number
  readonly rejectionBytesPerSecondMax: number
  readonly shutdownDelayMs: number
  readonly shutdownTimeoutMs: number
  /** The script's name, `divolte.js`. */
  readonly name: string
  /** The path of tag events without its slash, `csc-event`. */
  readonly eventSuffix: string
  /** Absent: every tag names its party itself. */
  readonly partyCookie?: PartyCookie | undefined
}

/** What the collector works with; it closes none of them. */
export interface CollectParts {
  readonly events: Log
  readonly rejected: Log
  readonly scripts: TagScripts
  /** Where the demo page finds the API, `http://127.0.0.1:8291`; null for nowhere. */
  readonly apiUrl?: string | null
  /** Where /metrics are kept; one of its own by default. */
  readonly registry?: Registry
  readonly clock?: Clock
  /** A number from 0 to 1, for the spread of Retry-After. */
  readonly random?: () => number
  /** `length` random bytes, for the ids of events that came without one. */
  readonly randomBytes?: (length: number) => Uint8Array
  /** Answers `/recommendations`; without it there is nothing there. */
  readonly recommendations?: AnswerRecommendations
  /** Holds each event against the schema of its type; see event-schema.ts. */
  readonly conform?: Conform | undefined
  /** Is told what arrives, for who tests a site. */
  readonly inspector?: Inspector
  /** What events are as records; ours by default. */
  readonly recordsOf?: RecordsOf
  /** The texts of the schemas of those records. */
  readonly schemas?: readonly string[]
  /** Sources beside the tag at the root and `POST /events`. */
  readonly sources?: readonly SourceRoute[]
  /** Takes lines about faults that an operator should see. */
  readonly onLine?: (line: string) => void
}
