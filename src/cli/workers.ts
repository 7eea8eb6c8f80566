import cluster, { type Worker } from 'node:cluster'
import { AggregatorRegistry, Counter, Gauge } from 'prom-client'
import { MillraceError } from '../event/error.ts'
import { backoffMs, waitMs } from '../lib/retry.ts'
import { logLine } from './terminal.ts'
import type { WorkerNews, WorkerOrder } from './worker.ts'

/** The supervisor of `millrace collect --workers N`: starts, watches and replaces processes, no more. */

const restartBackoff = { initialMs: 100, maxMs: 10_000 }
/** A worker that has lived so long was not broken from the start: the next is started at once. */
const soundMs = 30_000
/** A worker that takes longer to leave than this, while another does its work already, is killed. */
const leaveMs = 60_000
/** A worker that says nothing for so long is left out of the metrics. */
const sampleMs = 2_000

/** A worker's process, and what is known of it. */
interface Process {
  readonly worker: Worker
  readonly pid: number
  /** Resolves with its address when it takes requests; undefined when it ended before. */
  readonly listening: Promise<string | undefined>
  /** Resolves with how it ended, for a message. */
  readonly ended: Promise<string>
}

/** Workers that share one port. */
export interface Workers {
  /** Where they answer. */
  readonly url: string
  /**
   * Replaces each by a new process, one after the other; nobody is refused a request meanwhile.
   * False when a new one does not start: those that are left stay.
   */
  restart(): Promise<boolean>
  /** Stops all of them, each in the order of its data. */
  stop(): Promise<void>
  /** Ends all of them at once. */
  kill(): void
}

/**
 * Starts workers by running this program again, with the same arguments.
 * @throws MillraceError `worker_ended` when one of them ends before it takes requests
 */
export async function startWorkers(count: number): Promise<Workers> {
  const supervisor = new Supervisor(count)
  await supervisor.start()
  return supervisor
}

class Supervisor implements Workers {
  url = ''
  readonly #places: (Process | undefined)[]
  readonly #samplers = new Map<number, (worker: Worker, metrics: object[]) => void>()
  readonly #stopping = new AbortController()
  #asks = 0
  #restarts = 0
  #restarting: Promise<boolean> = Promise.resolve(true)

  constructor(count: number) {
    this.#places = Array.from({ length: count }, () => undefined)
    cluster.on('message', (worker, news: WorkerNews) => {
      if (news.type === 'sampled') this.#samplers.get(news.ask)?.(worker, news.metrics)
      if (news.type === 'metrics') void this.#answerMetrics(worker, news.ask)
    })
  }

  async start(): Promise<void> {
    const started = this.#places.map(() => startProcess())
    const urls = await Promise.all(started.map(({ listening }) => listening))
    if (urls.includes(undefined)) {
      const ends = await Promise.all(started.map((one) => stopProcess(one)))
      const which = urls.indexOf(undefined)
      throw new MillraceError('worker_ended', `${ends[which]}`)
    }
    this.url = urls[0] ?? ''
    for (const [place, one] of started.entries()) {
      logLine(`worker ${place + 1} is process ${one.pid}`)
      this.#watch(place, one)
    }
  }

  restart(): Promise<boolean> {
    this.#restarting = this.#restarting.then(() => this.#restartAll())
    return this.#restarting
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#restarting
    await Promise.all(this.#places.map((one) => one && stopProcess(one)))
  }

  kill(): void {
    for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill('SIGKILL')
  }

  /** Puts the process into its place and another one there when it has ended unasked. */
  #watch(place: number, one: Process): void {
    this.#places[place] = one
    const startedAt = performance.now()
    void one.ended.then(async (how) => {
      if (this.#places[place] !== one || this.#stopping.signal.aborted) return
      logLine(`worker ${place + 1} (process ${one.pid}) ${how}; another is started`)
      this.#places[place] = undefined
      await this.#replace(place, performance.now() - startedAt > soundMs ? 0 : 1)
    })
  }

  async #replace(place: number, failures: number): Promise<void> {
    const { signal } = this.#stopping
    for (let attempt = failures; ; attempt++) {
      if (attempt > 0) await waitMs(backoffMs(attempt, restartBackoff), signal)
      if (signal.aborted || this.#places[place] !== undefined) return
      this.#restarts++
      const one = startProcess()
      this.#places[place] = one
      if ((await one.listening) !== undefined) {
        logLine(`worker ${place + 1} is process ${one.pid}`)
        return this.#watch(place, one)
      }
      this.#places[place] = undefined
      logLine(`worker ${place + 1} (process ${one.pid}) ${await one.ended} before it listened`)
    }
  }

  async #restartAll(): Promise<boolean> {
    for (const [place, old] of this.#places.entries()) {
      if (this.#stopping.signal.aborted) return false
      // A place without a process is being filled already.
      if (old === undefined) continue
      const next = startProcess()
      if ((await next.listening) === undefined) {
        logLine(`the new worker ${await next.ended} before it listened; the old ones stay`)
        return false
      }
      const isStillThere = this.#places[place] === old
      if (!isStillThere || this.#stopping.signal.aborted) {
        // The old one has ended meanwhile and has its successor, or all have to go.
        await stopProcess(next)
        continue
      }
      this.#restarts++
      this.#watch(place, next)
      logLine(`worker ${place + 1} is process ${next.pid}; process ${old.pid} hands over`)
      await stopProcess(old, 'handOver')
    }
    return true
  }

  async #answerMetrics(asker: Worker, ask: number): Promise<void> {
    const samples = await this.#sample()
    const registry = AggregatorRegistry.aggregate(samples)
    const registers = [registry]
    new Gauge({
      name: 'millrace_workers',
      help: 'Worker processes that answer',
      registers,
    }).set(samples.length)
    new Counter({
      name: 'millrace_worker_restarts_total',
      help: 'Worker processes started in the place of others',
      registers,
    }).inc(this.#restarts)
    order(asker, { type: 'metrics', ask, text: await registry.metrics() })
  }

  /** The metrics of every worker that answers in time. */
  async #sample(): Promise<object[][]> {
    const ask = this.#asks++
    const asked = this.#places.flatMap((one) => (one?.worker.isConnected() ? [one.worker] : []))
    const samples = new Map<Worker, object[]>()
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#samplers.set(ask, (worker, metrics) => {
      samples.set(worker, metrics)
      if (samples.size === asked.length) resolve()
    })
    const timer = setTimeout(resolve, sampleMs)
    for (const worker of asked) order(worker, { type: 'sample', ask })
    await promise
    clearTimeout(timer)
    this.#samplers.delete(ask)
    return [...samples.values()]
  }
}

function startProcess(): Process {
  const worker = cluster.fork()
  const ended = new Promise<string>((resolve) => {
    worker.once('exit', (code, signal) => {
      resolve(signal ? `was ended by ${signal}` : `ended with code ${code}`)
    })
    worker.once('error', (error) => resolve(`failed: ${error.message}`))
  })
  const listening = new Promise<string | undefined>((resolve) => {
    worker.on('message', (news: WorkerNews) => {
      if (news.type === 'listening') resolve(news.url)
    })
    void ended.then(() => resolve(undefined))
  })
  return { worker, pid: worker.process.pid ?? 0, listening, ended }
}

async function stopProcess(
  { worker, pid, ended }: Process,
  type: 'stop' | 'handOver' = 'stop',
): Promise<string> {
  order(worker, { type })
  const killing = setTimeout(() => {
    logLine(`process ${pid} does not end and is killed`)
    worker.process.kill('SIGKILL')
  }, leaveMs)
  const how = await ended
  clearTimeout(killing)
  return how
}

function order(worker: Worker, what: WorkerOrder): void {
  // One that is about to end has closed its channel; its end is seen elsewhere.
  if (worker.isConnected()) worker.send(what, () => {})
}
