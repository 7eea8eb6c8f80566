import { randomBytes } from 'node:crypto'
import { resolve } from 'node:path'
import { collectDefaultMetrics, Gauge, type Registry } from 'prom-client'
import { type Api, openApi } from '../api/api.ts'
import type { ReplayRequest } from '../api/replay.ts'
import { type Collector, openCollector } from '../collect/collect.ts'
import { latenessMs } from '../collect/enrich.ts'
import { type Conform, openEventSchemas } from '../collect/event-schema.ts'
import type { Inspector } from '../collect/inspect.ts'
import { createMapper } from '../collect/mapping/mapper.ts'
import { tagFacts } from '../collect/party-cookie.ts'
import { eventOfRejection, recordsOfRejection } from '../collect/replay.ts'
import { openTagScripts } from '../collect/script.ts'
import type { Config } from '../config.ts'
import { createDayCloser } from '../consume/close.ts'
import { type Consumer, openConsumer, tailRows } from '../consume/consume.ts'
import { settleErasures, strangersAgeMs } from '../consume/erase.ts'
import { reconcileLogs } from '../consume/reconcile.ts'
import { type ReplayProgress, type ReplayResult, replayLog } from '../consume/replay.ts'
import { type DeadLetterReplay, replayDeadLetters } from '../consume/replay-dead-letters.ts'
import { MillraceError } from '../event/error.ts'
import { bodyBytesMax } from '../import/batch.ts'
import { createImportTarget, type ImportTarget } from '../import/target.ts'
import { toError } from '../lib/assert.ts'
import { systemClock } from '../lib/clock.ts'
import { type Log, storeGroup } from '../log/log.ts'
import type { FlowHealth } from '../query/health.ts'
import { createModelService } from '../recommend/model-service.ts'
import type { RecommendService } from '../recommend/service.ts'
import type { Store } from '../store/store.ts'
import { isStoreShared, type Logs, openLogs, openStore } from './backends.ts'
import type { Lifecycle } from './lifecycle.ts'
import { mappingsOf, openSources, writtenSchemasOf } from './mappings.ts'
import type { ConsumeMetrics } from './metrics.ts'
import { readOwner, removeOwner, writeOwner } from './owner.ts'
import { forgetting, learning, publicRecommendations } from './recommend-stage.ts'
import { reconcileOptionsOf } from './reconcile.ts'
import { shareAnswer } from './shared-answer.ts'
import { createTakeAlong, settleMs } from './take-along.ts'
import { logLine, quantity } from './terminal.ts'
import { createUpkeep } from './upkeep.ts'
import { version } from './version.ts'

/** The stages, put together: what `start`, `collect`, `consume` and `serve` run. */

/** Opens both logs and frees their old segments from time to time. */
export async function openLogStage(config: Config, lifecycle: Lifecycle): Promise<Logs> {
  const logs = await openLogs(config)
  keepLogs(config, logs, lifecycle)
  return logs
}

/** Frees old segments of the logs from time to time, and closes them at the end. */
export function keepLogs(config: Config, logs: Logs, lifecycle: Lifecycle): void {
  lifecycle.onStop('log', () => logs.close())
  every(config.consume.housekeepingMs, lifecycle, async () => {
    for (const log of [logs.events, logs.rejected]) {
      const freed = await log.retain(systemClock())
      if (freed > 0) logLine(`freed ${freed} bytes of the log ${log.topic}`)
    }
  })
}

/** The store, owned by this process from here on. @throws MillraceError `owner_present` */
export async function openStoreStage(config: Config, lifecycle: Lifecycle): Promise<Store> {
  const owner = await readOwner(config.data)
  const named = owner && `process ${owner.pid}, which answers at ${owner.url}`
  try {
    const store = await openStore(config)
    lifecycle.onStop('store', () => store.close())
    every(config.consume.housekeepingMs, lifecycle, async () => {
      const deleted = await store.retain(config.store.retentionDays, systemClock())
      if (deleted > 0) logLine(`retention deleted ${quantity(deleted, 'event')}`)
    })
    return store
  } catch (thrown) {
    if (named === undefined || !(thrown instanceof MillraceError)) throw thrown
    if (thrown.code !== 'store_locked') throw thrown
    throw new MillraceError('owner_present', named, { cause: thrown })
  }
}

export interface ConsumeFlags {
  readonly acceptLog?: boolean
  readonly acceptGap?: boolean
}

/** The consumer of both topics into the store. */
export async function openConsumeStage(
  config: Config,
  logs: Logs,
  store: Store,
  flags: ConsumeFlags,
  lifecycle: Lifecycle,
  metrics?: ConsumeMetrics,
): Promise<Consumer> {
  const consumer = await openConsumer(
    { ...config.consume, ...flags },
    {
      ...logs,
      store,
      clock: systemClock,
      onRetry(error, attempt) {
        metrics?.onRetry()
        logLine(`try ${attempt} to store failed: ${error.message}`)
      },
      onWritten: (written) => metrics?.onWritten(written),
    },
  )
  consumer.done.catch(lifecycle.fail)
  every(config.consume.housekeepingMs, lifecycle, async () => {
    const parts = { ...logs, store, clock: systemClock }
    await settleErasures(parts, settleMs, new AbortController().signal, strangersAgeMs)
  })
  closeDaysFromTimeToTime(config, logs, store, lifecycle)
  lifecycle.onStop('consumer', () => consumer.stop())
  return consumer
}

function closeDaysFromTimeToTime(
  config: Config,
  { events }: Logs,
  store: Store,
  lifecycle: Lifecycle,
): void {
  const stopping = new AbortController()
  const parts = { events, store, clock: systemClock }
  const close = createDayCloser(parts, { latenessMs, signal: stopping.signal })
  every(config.consume.housekeepingMs, lifecycle, async () => {
    const { days, rows } = await close()
    if (days > 0) logLine(`closed ${quantity(days, 'day')} with ${quantity(rows, 'event')}`)
  })
  lifecycle.onStop('closing of days', async () => stopping.abort())
}

interface ApiStageParts {
  readonly logs: Logs
  readonly recommend?: RecommendService | undefined
  readonly store: Store
  readonly consumer?: Consumer
  readonly collectorUrl?: () => string | null
  /** What `/metrics` of the API tells; without it there is none. */
  readonly registry?: Registry
  readonly inspector?: Inspector | undefined
}

/** The API over the store, and the file by which commands of this user find it. */
export async function openApiStage(
  config: Config,
  parts: ApiStageParts,
  lifecycle: Lifecycle,
): Promise<Api> {
  const { logs, store, consumer, registry } = parts
  const runToken = randomBytes(32).toString('base64url')
  const takeAlong = await createTakeAlong(config, parts, lifecycle)
  const conform = await openEventSchemas(config.collect)
  const api = await openApi(config.api, {
    store,
    clock: systemClock,
    version,
    runToken,
    health: async () => ({
      lag: await lagOf(logs.events),
      consumer: consumerState(config, consumer),
      problem: await problemOf(parts, consumer),
      collectorUrl: parts.collectorUrl?.() ?? null,
    }),
    live: (signal) => tailRows(logs.events, signal, logs.foreign),
    schemaText: (fingerprint) => logs.events.schema(fingerprint),
    replay: (request, onProgress) => replayBoth(config, parts, request, onProgress),
    replayDeadLetters: (which) =>
      replayDeadLetters(which, deadLetterReplay(config, parts, conform)),
    ...createUpkeep(config, logs, store),
    reconcile: (request, onProgress) =>
      reconcileLogs(
        { ...logs, store, clock: systemClock },
        { ...reconcileOptionsOf(config), ...request },
        onProgress,
      ),
    imports: { ...learning(importTargetOf(config, store), parts.recommend), bodyBytesMax },
    models: createModelService(store, config.recommend, systemClock),
    takeAlong: forgetting(takeAlong, parts.recommend),
    ...(parts.recommend !== undefined && { recommend: parts.recommend }),
    ...(parts.inspector !== undefined && { inspected: parts.inspector }),
    ...(registry !== undefined && { metrics: () => registry.metrics() }),
    onError: (thrown) => logLine(`api: ${toError(thrown).stack}`),
  })
  lifecycle.onStop('api', () => api.stop())
  const { pid } = process
  const startedAt = new Date().toISOString()
  await writeOwner(config.data, { pid, url: api.url, token: runToken, startedAt })
  lifecycle.onStop('owner file', () => removeOwner(config.data, pid))
  return api
}

/** Where imported rows go in the process that owns the store. */
export function importTargetOf(config: Config, store: Store): ImportTarget {
  const { retentionDays } = config.store
  return createImportTarget({ store, clock: systemClock, retentionDays })
}

async function lagOf(log: Log): Promise<number> {
  return (await log.lag(storeGroup)).reduce((sum, { lag }) => sum + lag, 0)
}

/** Only who collects asks whether the log can be written: the asking takes a partition of it. */
async function problemOf(
  { logs, collectorUrl }: ApiStageParts,
  consumer: Consumer | undefined,
): Promise<string | null> {
  const trouble = consumer?.trouble()
  if (trouble) return trouble.message
  const away = logs.spooling?.trouble
  if (away !== undefined) return `events go to the spool: ${away.message}`
  if (collectorUrl === undefined) return null
  return logs.events.check().then(
    () => null,
    (thrown: Error) => thrown.message,
  )
}

function consumerState(config: Config, consumer: Consumer | undefined): FlowHealth['consumer'] {
  if (consumer === undefined) return isStoreShared(config) ? 'elsewhere' : 'stopped'
  return consumer.trouble() === null ? 'running' : 'waiting'
}

function deadLetterReplay(
  config: Config,
  { logs, store }: ApiStageParts,
  conform: Conform | undefined,
): DeadLetterReplay {
  const recordsOf = createMapper(mappingsOf(config))
  return {
    ...logs,
    store,
    clock: systemClock,
    eventOf: (rejection, position) =>
      eventOfRejection(rejection, position, config.collect, conform),
    recordsOf: (rejection, event) => recordsOfRejection(rejection, event, recordsOf),
  }
}

/** Both topics one after the other: the refused requests of the past stay dead letters. */
async function replayBoth(
  config: Config,
  { logs, store }: ApiStageParts,
  request: ReplayRequest,
  onProgress: (progress: ReplayProgress) => void,
): Promise<ReplayResult> {
  const options = { ...config.consume, ...request, foreign: logs.foreign }
  const first = await replayLog(logs.events, store, systemClock, options, onProgress)
  const second = await replayLog(logs.rejected, store, systemClock, options, onProgress)
  return {
    read: first.read + second.read,
    total: first.total + second.total,
    complete: first.complete && second.complete,
  }
}

/** The collector on the public port. */
export async function openCollectStage(
  config: Config,
  logs: Logs,
  registry: Registry,
  lifecycle: Lifecycle,
  apiUrl: string | null,
  recommend?: RecommendService,
  inspector?: Inspector,
): Promise<Collector> {
  refuseForeign(config, logs)
  const scripts = await openTagScripts(config.tag)
  const sources = await openSources(config)
  const collector = await openCollector(
    { ...config.collect, ...tagFacts(config.tag) },
    {
      ...logs,
      scripts,
      sources,
      recordsOf: createMapper(mappingsOf(config)),
      schemas: writtenSchemasOf(config),
      registry,
      apiUrl,
      clock: systemClock,
      onLine: logLine,
      conform: await openEventSchemas(config.collect),
      ...publicRecommendations(config, recommend),
      ...(inspector !== undefined && { inspector }),
    },
  )
  lifecycle.onStop('collector', () => collector.stop())
  return collector
}

/** Nobody has checked that a topic of others keeps what the collector promises. */
function refuseForeign({ consume }: Config, { foreign }: Logs): void {
  if (foreign?.schemaText === undefined) return
  const is = `consume.recordSchema (MILLRACE_RECORD_SCHEMA) is ${consume.recordSchema}`
  throw new MillraceError('config_invalid', `${is}: the collector needs a topic of its own`)
}

/** What a Prometheus server should alarm on, beside the collector's own counters. */
export function registerPipelineMetrics(registry: Registry, logs: Logs, store?: Store): void {
  collectDefaultMetrics({ register: registry, prefix: 'millrace_' })
  gauge(registry, 'millrace_log_lag', 'Records on the log that are not stored yet', () =>
    lagOf(logs.events),
  )
  if (store === undefined) return
  // A store that has much to count must not cost the scrape, and with it the lag.
  const health = shareAnswer(healthMs, () => store.health())
  gauge(
    registry,
    'millrace_store_last_received_seconds',
    'Receipt of the newest stored event, Unix time',
    async () => ((await health()).lastReceivedAt ?? 0) / 1_000,
  )
  gauge(
    registry,
    'millrace_store_duplicates',
    'Receipts of events that were stored already',
    async () => (await health()).duplicates,
  )
  gauge(
    registry,
    'millrace_store_bucket_rows_max',
    'Rows of the fullest partition of the store (Cassandra); alarm beyond 500,000',
    async () => (await health()).fullestBucket?.rows ?? 0,
  )
  gauge(
    registry,
    'millrace_store_dead_letters',
    'Dead letters kept',
    async () => (await health()).deadLetters,
  )
}

const healthMs = 3_000

/**
 * A number that is read when it is asked for; left out while it cannot be had. Of several workers
 * the largest counts unless their numbers are parts of a sum.
 */
export function gauge(
  registry: Registry,
  name: string,
  help: string,
  read: () => Promise<number>,
  aggregator: 'max' | 'sum' = 'max',
): void {
  new Gauge({
    name,
    help,
    aggregator,
    registers: [registry],
    async collect() {
      try {
        this.set(await read())
      } catch {
        this.remove()
      }
    },
  })
}

/** Where the data is, as a person would type it. */
export function dataFolder(config: Config): string {
  return resolve(config.data)
}

/** Does `work` again and again, never twice at once, until the stages stop. */
export function every(intervalMs: number, lifecycle: Lifecycle, work: () => Promise<void>): void {
  let running: Promise<void> | undefined
  const timer = setInterval(() => {
    running ??= work()
      .catch((thrown: Error) => logLine(`housekeeping failed: ${thrown.message}`))
      .finally(() => {
        running = undefined
      })
  }, intervalMs)
  timer.unref()
  lifecycle.onStop('housekeeping', async () => {
    clearInterval(timer)
    await running
  })
}
