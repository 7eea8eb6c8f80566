import cluster from 'node:cluster'
import { Registry } from 'prom-client'
import type { Collector } from '../collect/collect.ts'
import type { Config } from '../config.ts'
import { runUntil } from './lifecycle.ts'
import { openCollectLogStage, registerSpoolMetrics } from './spool.ts'
import * as stages from './stages.ts'
import { printError } from './terminal.ts'

/** What one worker of `millrace collect --workers N` does; workers.ts is the process above it. */

/** What the supervisor tells a worker. */
export type WorkerOrder =
  | { readonly type: 'stop' }
  /** As `stop`, while others go on: no request may be refused. */
  | { readonly type: 'handOver' }
  | { readonly type: 'sample'; readonly ask: number }
  | { readonly type: 'metrics'; readonly ask: number; readonly text: string }

/** What a worker tells its supervisor. */
export type WorkerNews =
  | { readonly type: 'listening'; readonly url: string }
  | { readonly type: 'sampled'; readonly ask: number; readonly metrics: object[] }
  /** Somebody asked this worker for the metrics of all. */
  | { readonly type: 'metrics'; readonly ask: number }

/** How long open connections may take to end with an answer. Whoever is silent for longer is cut off. */
const handOverMs = 5_000
const metricsTimeoutMs = 5_000

/** True in a process that a supervisor has started. */
export function isWorker(): boolean {
  return cluster.isWorker
}

/** Collects until the supervisor, or a signal, says stop; then ends the process. */
export async function runWorker(config: Config, workers: number): Promise<never> {
  const registry = new WorkersRegistry()
  let collector: Collector | undefined
  const told = new Promise<string>((resolve) => {
    onOrder('stop', () => resolve('told to stop'))
    onOrder('handOver', () => {
      void (collector?.handOver(handOverMs) ?? Promise.resolve()).then(() => resolve('handed over'))
    })
    // A terminal and some supervisors signal the whole group, more than once: the first one counts.
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => resolve(name))
    process.on('SIGHUP', () => {})
  })
  try {
    await runUntil(told, async (lifecycle) => {
      const own = shareOf(config, workers)
      const logs = await openCollectLogStage(own, lifecycle, false)
      stages.registerPipelineMetrics(registry, logs)
      registerSpoolMetrics(registry, logs)
      collector = await stages.openCollectStage(own, logs, registry, lifecycle, null)
      tell({ type: 'listening', url: collector.url })
    })
  } catch (thrown) {
    printError(thrown)
    process.exitCode = 1
  }
  // The channel to the supervisor would keep the process alive.
  process.exit()
}

/** The part of one worker in what all of them may take together. */
function shareOf(config: Config, workers: number): Config {
  const { collect, spool } = config
  const share = (total: number): number => Math.ceil(total / workers)
  return {
    ...config,
    collect: {
      ...collect,
      rejectionsPerSecondMax: share(collect.rejectionsPerSecondMax),
      rejectionBytesPerSecondMax: share(collect.rejectionBytesPerSecondMax),
    },
    spool: { ...spool, maxBytes: share(spool.maxBytes) },
  }
}

/** Whichever worker is asked for its metrics answers with the sum of all. */
class WorkersRegistry extends Registry {
  readonly #asked = new Map<number, (text: string) => void>()
  #asks = 0

  constructor() {
    super()
    onOrder('metrics', ({ ask, text }) => this.#asked.get(ask)?.(text))
    onOrder('sample', ({ ask }) => {
      this.getMetricsAsJSON().then(
        (metrics) => tell({ type: 'sampled', ask, metrics }),
        () => tell({ type: 'sampled', ask, metrics: [] }),
      )
    })
  }

  override async metrics(): Promise<string> {
    const ask = this.#asks++
    const { promise, resolve, reject } = Promise.withResolvers<string>()
    const late = new Error('the supervisor of the workers does not answer')
    const timer = setTimeout(() => reject(late), metricsTimeoutMs)
    this.#asked.set(ask, resolve)
    tell({ type: 'metrics', ask })
    try {
      return await promise
    } finally {
      clearTimeout(timer)
      this.#asked.delete(ask)
    }
  }
}

function onOrder<Type extends WorkerOrder['type']>(
  type: Type,
  act: (order: Extract<WorkerOrder, { type: Type }>) => void,
): void {
  process.on('message', (order: WorkerOrder) => {
    if (order.type === type) act(order as Extract<WorkerOrder, { type: Type }>)
  })
}

function tell(news: WorkerNews): void {
  if (process.connected) process.send?.(news)
}
