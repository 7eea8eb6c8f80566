import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Source } from '../event/event.ts'

/** Where requests go, as /metrics names it. */
export type Route =
  | 'event'
  | 'events'
  | 'recommendations'
  | 'script'
  | 'ping'
  | 'metrics'
  | 'page'
  | 'other'

/** What the collector counts. Plain numbers on the way of a request; prom-client sees them later. */
export interface CollectMetrics {
  readonly registry: Registry
  readonly countRequest: (route: Route, status: number) => void
  readonly countRejection: (code: string) => void
  readonly countNotKept: (reason: string, count: number) => void
  readonly countEvents: (source: Source, count: number) => void
  readonly totals: Totals
  readonly observeAppend: (seconds: number) => void
}

/** Counts without labels; whoever sees one adds to it. */
export interface Totals {
  corrupt: number
  bot: number
  unreadable: number
  revalidated: number
  unmapped: number
  leftOut: number
  bytes: number
}

const totalNames = [
  ['corrupt', 'events_corrupt_total', 'Events with a wrong or missing checksum'],
  ['bot', 'events_bot_total', 'Events of bots'],
  ['unreadable', 'parameters_unreadable_total', 'Events whose parameters were malformed'],
  ['revalidated', 'events_revalidated_total', 'Events answered by 304 to a cache'],
  ['unmapped', 'events_unmapped_total', 'Events kept as dead letters as a mapping failed'],
  ['leftOut', 'events_left_out_total', 'Events that mappings left out'],
  ['bytes', 'received_bytes_total', 'Bytes of query strings and bodies'],
] as const

/** What is read at the moment when somebody asks. */
export interface MetricsSources {
  readonly waitingEvents: () => number
  readonly waitingBytes: () => number
  readonly connections: () => Promise<number>
}

type Counts = Map<string, number>

export function createMetrics(sources: MetricsSources, given?: Registry): CollectMetrics {
  const registry = given ?? new Registry()
  const requests = new Map<Route, Map<number, number>>()
  const rejections: Counts = new Map()
  const notKept: Counts = new Map()
  const events: Counts = new Map()
  const totals: Totals = {
    corrupt: 0,
    bot: 0,
    unreadable: 0,
    revalidated: 0,
    unmapped: 0,
    leftOut: 0,
    bytes: 0,
  }

  registerRequests(registry, requests)
  registerCounts(registry, 'rejections_total', 'Refused requests and events', 'code', rejections)
  registerCounts(
    registry,
    'rejections_not_kept_total',
    'Refused requests and events that were counted only',
    'reason',
    notKept,
  )
  registerCounts(registry, 'events_accepted_total', 'Events made durable', 'source', events)
  for (const [key, name, help] of totalNames) registerTotal(registry, name, help, () => totals[key])
  registerGauges(registry, sources)
  const append = new Histogram({
    name: 'millrace_collect_append_seconds',
    help: 'Time until an append was durable',
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5],
    registers: [registry],
  })

  return {
    registry,
    countRequest: (route, status) => {
      let statuses = requests.get(route)
      if (statuses === undefined) {
        statuses = new Map()
        requests.set(route, statuses)
      }
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
    },
    countRejection: (code) => add(rejections, code, 1),
    countNotKept: (reason, count) => add(notKept, reason, count),
    countEvents: (source, count) => add(events, source, count),
    totals,
    observeAppend: (seconds) => append.observe(seconds),
  }
}

function add(counts: Counts, key: string, count: number): void {
  counts.set(key, (counts.get(key) ?? 0) + count)
}

function registerRequests(registry: Registry, requests: Map<Route, Map<number, number>>): void {
  new Counter({
    name: 'millrace_collect_requests_total',
    help: 'Requests by route and status',
    labelNames: ['route', 'status'],
    registers: [registry],
    collect() {
      this.reset()
      for (const [route, statuses] of requests) {
        for (const [status, count] of statuses) this.inc({ route, status }, count)
      }
    },
  })
}

function registerCounts(
  registry: Registry,
  name: string,
  help: string,
  label: string,
  counts: Counts,
): void {
  new Counter({
    name: `millrace_collect_${name}`,
    help,
    labelNames: [label],
    registers: [registry],
    collect() {
      this.reset()
      for (const [key, count] of counts) this.inc({ [label]: key }, count)
    },
  })
}

function registerTotal(registry: Registry, name: string, help: string, read: () => number): void {
  new Counter({
    name: `millrace_collect_${name}`,
    help,
    registers: [registry],
    collect() {
      this.reset()
      this.inc(read())
    },
  })
}

function registerGauges(registry: Registry, sources: MetricsSources): void {
  const gauges = [
    ['waiting_events', 'Events that wait to be durable', sources.waitingEvents],
    ['waiting_bytes', 'Bytes of events that wait to be durable', sources.waitingBytes],
    ['connections', 'Open connections', sources.connections],
  ] as const
  for (const [name, help, read] of gauges) {
    new Gauge({
      name: `millrace_collect_${name}`,
      help,
      registers: [registry],
      async collect() {
        this.set(await read())
      },
    })
  }
}
