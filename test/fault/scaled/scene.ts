import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import cassandra from 'cassandra-driver'
import {
  freePort,
  type Running,
  type RunOptions,
  runCommand,
  startMillrace,
  temporaryFolder,
} from '../process.ts'
import type { Servers } from './servers.ts'

/** Millrace scaled out: processes of its own for collecting and consuming, between real servers. */

export interface SceneOptions {
  readonly servers: Servers
  /** Settings of all processes, over the scene's own. */
  readonly env?: Readonly<Record<string, string>>
  /** Other programs than the command line's, for negative controls. */
  readonly collectScript?: string
  readonly consumeScript?: string
  /** Another data folder of the first collector than one below the scene's. */
  readonly collectFolder?: string
  /** How long `untilStored` waits at most, in ms; 180,000 unless given. */
  readonly settleMs?: number
}

/** A topic, a keyspace and the processes between them. */
export interface Scene {
  readonly servers: Servers
  readonly topic: string
  readonly keyspace: string
  /** Into the keyspace, past Millrace. */
  readonly client: cassandra.Client
  /** What a command needs to know to mean this scene; its data folder is the first consumer's. */
  readonly env: Readonly<Record<string, string>>
  /** Where the collectors answer, or will. */
  collectPort(number?: number): number
  /** The API of the first consumer. */
  readonly apiUrl: string
  /** The collector of this number (0 unless given); started when it does not run. */
  collector(number?: number): Promise<Running>
  /** The consumer of this number (0 unless given), with its API; started when it does not run. */
  consumer(number?: number): Promise<Running>
  /** Resolves when no spool and no partition holds anything that is not stored. @throws Error after `settleMs` */
  untilStored(): Promise<void>
  close(): Promise<void>
}

const settleMsUsual = 180_000
const lookMs = 100

/** Makes topic and keyspace by `millrace init`. */
export async function openScene(options: SceneOptions): Promise<Scene> {
  const scene = new ProcessScene(options, await freePort(), await freePort())
  try {
    await scene.prepare()
    return scene
  } catch (thrown) {
    await scene.close()
    throw thrown
  }
}

class ProcessScene implements Scene {
  readonly servers: Servers
  readonly topic: string
  readonly keyspace: string
  readonly client: cassandra.Client
  readonly env: Readonly<Record<string, string>>
  readonly #options: SceneOptions
  readonly #folder = temporaryFolder()
  readonly #runs = new Map<string, RunOptions>()
  readonly #running = new Map<string, Running>()
  /** For a run that is interrupted. */
  readonly #abandon = (): void => {
    for (const { child } of this.#running.values()) child.kill('SIGKILL')
    this.#folder.remove()
  }

  constructor(options: SceneOptions, collectPort: number, apiPort: number) {
    const { servers, env, collectFolder } = options
    const name = `faults_${randomBytes(6).toString('hex')}`
    this.#options = options
    this.servers = servers
    this.topic = name
    this.keyspace = name
    this.client = new cassandra.Client({
      contactPoints: [servers.cassandraAddress],
      localDataCenter: 'datacenter1',
      // A node that was killed is wanted back at once.
      policies: {
        reconnection: new cassandra.policies.reconnection.ConstantReconnectionPolicy(200),
      },
      // Dropping a keyspace waits for its files.
      socketOptions: { readTimeout: 120_000 },
    })
    const consumer = join(this.#folder.path, 'consumer-0')
    this.env = {
      MILLRACE_DATA: consumer,
      MILLRACE_LOG: 'kafka',
      MILLRACE_KAFKA_BROKERS: servers.kafkaAddress,
      MILLRACE_KAFKA_TOPIC: name,
      MILLRACE_KAFKA_GROUP: name,
      MILLRACE_KAFKA_PARTITIONS: '3',
      MILLRACE_KAFKA_SESSION_TIMEOUT_MS: '3000',
      ...(servers.brokers === 1 ? { MILLRACE_KAFKA_ALLOW_SINGLE_REPLICA: 'true' } : {}),
      MILLRACE_STORE: 'cassandra',
      MILLRACE_CASSANDRA_CONTACT_POINTS: servers.cassandraAddress,
      MILLRACE_CASSANDRA_KEYSPACE: name,
      MILLRACE_COLLECT_REQUESTS_PER_SECOND_MAX: '0',
      ...env,
    }
    const folder = collectFolder ?? join(this.#folder.path, 'collector-0')
    this.#runs.set('collector-0', { folder, collectPort, apiPort: 0 })
    this.#runs.set('consumer-0', { folder: consumer, collectPort: 0, apiPort })
  }

  async prepare(): Promise<void> {
    process.once('exit', this.#abandon)
    const { code, stderr } = await runCommand(['init'], this.env)
    if (code !== 0) throw new Error(`millrace init: ${stderr}`)
  }

  get apiUrl(): string {
    return `http://127.0.0.1:${this.#runs.get('consumer-0')?.apiPort}`
  }

  collectPort(number = 0): number {
    const run = this.#runs.get(`collector-${number}`)
    if (run === undefined) throw new Error(`there is no collector ${number} yet`)
    return run.collectPort
  }

  collector(number = 0): Promise<Running> {
    return this.#process(`collector-${number}`, 'collect', this.#options.collectScript)
  }

  consumer(number = 0): Promise<Running> {
    return this.#process(`consumer-${number}`, 'consume', this.#options.consumeScript)
  }

  async untilStored(): Promise<void> {
    const { settleMs = settleMsUsual } = this.#options
    const deadline = performance.now() + settleMs
    let waiting = 'nothing was asked'
    do {
      waiting = (await this.#whatWaits()) ?? ''
      if (waiting === '') return
      await new Promise((resolve) => setTimeout(resolve, lookMs))
    } while (performance.now() < deadline)
    const outputs = [...this.#running].map(([name, { output }]) => `${name}:\n${tail(output())}`)
    throw new Error(`not stored after ${settleMs} ms: ${waiting}\n${outputs.join('\n')}`)
  }

  async close(): Promise<void> {
    process.off('exit', this.#abandon)
    for (const running of this.#running.values()) await running.kill()
    try {
      await this.client.execute(`DROP KEYSPACE IF EXISTS ${this.keyspace}`)
    } catch {
      // A server that a row has harmed goes with its folder.
    }
    await this.client.shutdown()
    this.#folder.remove()
  }

  async #process(name: string, command: string, script: string | undefined): Promise<Running> {
    const before = this.#running.get(name)
    if (before !== undefined && isAlive(before)) return before
    let run = this.#runs.get(name)
    if (run === undefined) {
      const ports = { collectPort: await freePort(), apiPort: await freePort() }
      run = { folder: join(this.#folder.path, name), ...ports }
      this.#runs.set(name, run)
    }
    const { MILLRACE_DATA: _, ...env } = this.env
    const running = await startMillrace({
      ...run,
      command: [command],
      env,
      ...(script === undefined ? {} : { script }),
    })
    this.#running.set(name, running)
    return running
  }

  /** What is not stored yet, in words. */
  async #whatWaits(): Promise<string | undefined> {
    try {
      for (const [name, running] of this.#running) {
        if (!name.startsWith('collector') || !isAlive(running)) continue
        const metrics = await (await fetch(`${running.collectorUrl}/metrics`)).text()
        const spooled = Number(/^millrace_spool_records (\S+)$/m.exec(metrics)?.[1] ?? 0)
        if (spooled > 0) return `${spooled} records in the spool of ${name}`
      }
      const { lag } = (await (await fetch(`${this.apiUrl}/api/health`)).json()) as {
        lag: number | null
      }
      return lag === 0 ? undefined : `lag ${lag}`
    } catch (thrown) {
      return String(thrown)
    }
  }
}

function isAlive({ child }: Running): boolean {
  return child.exitCode === null && child.signalCode === null
}

function tail(output: string): string {
  return output.split('\n').slice(-12).join('\n')
}
