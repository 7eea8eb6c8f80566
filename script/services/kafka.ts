import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Admin, type BaseOptions } from '@platformatic/kafka'
import { fetchJars } from './jars.ts'
import { createServerProcess, freePorts, type Server } from './server.ts'

const run = promisify(execFile)

/** How to run Kafka on this machine. */
export interface KafkaOptions {
  /** Data, logs and pid files; an absolute path. A folder that was in use before is gone on with. */
  readonly folder: string
  /** Default 1. With three, topics have three replicas unless they say otherwise. */
  readonly brokers?: 1 | 3
  /** Where clients connect, one for each broker; free ones if absent. */
  readonly ports?: readonly number[]
  readonly heapMb?: number
  /** Written last into every server.properties. */
  readonly properties?: Readonly<Record<string, string>>
  /** Clients have to log in by SASL/PLAIN. */
  readonly sasl?: { readonly username: string; readonly password: string }
  /** Clients have to speak TLS; both PEM, the key PKCS #8. */
  readonly tls?: { readonly key: string; readonly certificate: string }
  /** Outlives this process. */
  readonly detached?: boolean
}

/** A running cluster. */
export interface Kafka {
  /** `HOST:PORT,…`, for a client to begin with. */
  readonly address: string
  readonly brokers: readonly Server[]
  /** Starts those that are not running; resolves when all of them know each other. */
  start(): Promise<void>
  stop(): Promise<void>
  kill(): Promise<void>
}

interface BrokerPorts {
  readonly client: number
  readonly internal: number
  readonly controller: number
}

/**
 * Starts one or three real brokers (KRaft, each a controller too) that listen on 127.0.0.1 only.
 * @throws Error with the end of a broker's log when one does not come up
 */
export async function startKafka(options: KafkaOptions): Promise<Kafka> {
  const count = options.brokers ?? 1
  const jars = await fetchJars('kafka')
  const ports = await choosePorts(count, options.ports)
  const address = ports.map(({ client }) => `127.0.0.1:${client}`).join(',')
  const clusterId = newClusterId()
  const brokers: Server[] = []
  for (const index of ports.keys()) {
    brokers.push(await prepareBroker(options, jars, ports, index, clusterId))
  }
  const kafka: Kafka = {
    address,
    brokers,
    async start() {
      const stopped = brokers.filter(({ pid }) => pid === undefined)
      await Promise.all(stopped.map((broker) => broker.start()))
    },
    stop: async () => void (await Promise.all(brokers.map((broker) => broker.stop()))),
    kill: async () => void (await Promise.all(brokers.map((broker) => broker.kill()))),
  }
  try {
    await kafka.start()
    return kafka
  } catch (thrown) {
    await kafka.kill()
    throw thrown
  }
}

async function choosePorts(count: number, given?: readonly number[]): Promise<BrokerPorts[]> {
  const free = await freePorts(count * 3)
  return Array.from({ length: count }, (_, index) => {
    const [client = 0, internal = 0, controller = 0] = free.slice(index * 3, index * 3 + 3)
    return { client: given?.[index] ?? client, internal, controller }
  })
}

async function prepareBroker(
  options: KafkaOptions,
  jars: string,
  ports: readonly BrokerPorts[],
  index: number,
  clusterId: string,
): Promise<Server> {
  const name = `kafka-${index + 1}`
  const folder = join(options.folder, name)
  await mkdir(folder, { recursive: true })
  const properties = join(folder, 'server.properties')
  const settings = brokerProperties(options, folder, ports, index)
  const lines = Object.entries(settings).map(([key, value]) => `${key}=${value}\n`)
  await writeFile(properties, lines.join(''))
  const common = [
    `-Dlog4j2.configurationFile=${join(import.meta.dirname, 'log4j2.yaml')}`,
    ...['-Djava.awt.headless=true', '-cp', `${jars}/*`],
  ]
  if (!existsSync(join(folder, 'data', 'meta.properties'))) {
    const format = ['kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', properties]
    await run('java', [
      '-Xmx128m',
      '-XX:TieredStopAtLevel=1',
      '-XX:+UseSerialGC',
      ...common,
      ...format,
    ])
  }
  const heap = `${options.heapMb ?? 256}m`
  const java = [`-Xms${heap}`, `-Xmx${heap}`, '-XX:+UseG1GC', '-XX:MaxGCPauseMillis=20']
  return createServerProcess({
    name,
    folder: options.folder,
    args: [...java, `-Dkafka.logs.dir=${folder}`, ...common, 'kafka.Kafka', properties],
    isReady: () => isReady(options, `127.0.0.1:${ports[index]?.client}`, ports.length),
    ...(options.detached === undefined ? {} : { detached: options.detached }),
  })
}

/** What differs from the defaults, and why. */
function brokerProperties(
  { brokers = 1, sasl, tls, properties }: KafkaOptions,
  folder: string,
  ports: readonly BrokerPorts[],
  index: number,
): Record<string, string> {
  const { client, internal, controller } = ports[index] as BrokerPorts
  const protocol = `${sasl === undefined ? '' : 'SASL_'}${tls === undefined ? 'PLAINTEXT' : 'SSL'}`
  const voters = ports.map(({ controller }, at) => `${at + 1}@127.0.0.1:${controller}`)
  const replicas = `${brokers}`
  const inSync = brokers === 1 ? '1' : '2'
  return {
    'process.roles': 'broker,controller',
    'node.id': `${index + 1}`,
    'controller.quorum.voters': voters.join(','),
    // Brokers speak plainly with each other, whatever clients have to do.
    listeners: `CLIENT://127.0.0.1:${client},INTERNAL://127.0.0.1:${internal},CONTROLLER://127.0.0.1:${controller}`,
    'advertised.listeners': `CLIENT://127.0.0.1:${client},INTERNAL://127.0.0.1:${internal}`,
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'INTERNAL',
    'listener.security.protocol.map': `CLIENT:${protocol},INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT`,
    'log.dirs': join(folder, 'data'),
    'auto.create.topics.enable': 'false',
    'default.replication.factor': replicas,
    'min.insync.replicas': inSync,
    'offsets.topic.num.partitions': '4',
    'offsets.topic.replication.factor': replicas,
    'transaction.state.log.num.partitions': '4',
    'transaction.state.log.replication.factor': replicas,
    'transaction.state.log.min.isr': inSync,
    'share.coordinator.state.topic.num.partitions': '2',
    'share.coordinator.state.topic.replication.factor': replicas,
    'share.coordinator.state.topic.min.isr': inSync,
    // Nobody else will join: a group need not wait 3 s for its other members.
    'group.initial.rebalance.delay.ms': '0',
    // Tests of a lost member and of a lost broker need not take the usual 6 and 9 s.
    'group.min.session.timeout.ms': '1000',
    'broker.session.timeout.ms': '3000',
    'broker.heartbeat.interval.ms': '500',
    // Preallocated indexes of 10 MB a segment would fill a small disk with topics of a few records.
    'log.index.size.max.bytes': `${1024 * 1024}`,
    'log.segment.bytes': `${256 * 1024 * 1024}`,
    'num.network.threads': '2',
    'num.io.threads': '4',
    ...(sasl === undefined ? {} : saslProperties(sasl)),
    ...(tls === undefined ? {} : tlsProperties(tls)),
    ...properties,
  }
}

function saslProperties({ username, password }: { username: string; password: string }) {
  const login = 'org.apache.kafka.common.security.plain.PlainLoginModule required'
  return {
    'sasl.enabled.mechanisms': 'PLAIN',
    'listener.name.client.sasl.enabled.mechanisms': 'PLAIN',
    'listener.name.client.plain.sasl.jaas.config': `${login} user_${username}="${password}";`,
  }
}

function tlsProperties({ key, certificate }: { key: string; certificate: string }) {
  const oneLine = (pem: string) => pem.trim().replaceAll('\n', '\\n')
  return {
    'listener.name.client.ssl.keystore.type': 'PEM',
    'listener.name.client.ssl.keystore.key': oneLine(key),
    'listener.name.client.ssl.keystore.certificate.chain': oneLine(certificate),
  }
}

async function isReady({ sasl, tls }: KafkaOptions, broker: string, count: number) {
  const options: BaseOptions = {
    clientId: 'millrace-services',
    bootstrapBrokers: [broker],
    connectTimeout: 2_000,
    timeout: 2_000,
    retries: 0,
  }
  if (sasl !== undefined) options.sasl = { mechanism: 'PLAIN', ...sasl }
  if (tls !== undefined) options.tls = { ca: tls.certificate }
  const admin = new Admin(options)
  try {
    return (await admin.metadata({})).brokers.size === count
  } finally {
    await admin.close()
  }
}

/** 16 bytes in URL-safe base64; one that begins with a dash would be read as an option. */
function newClusterId(): string {
  return randomBytes(16).toString('base64url').replace(/^[-_]/, 'M')
}
