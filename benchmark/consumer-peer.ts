import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { Client } from 'cassandra-driver'
import { type Cassandra, startCassandra } from '../script/services/cassandra.ts'
import { type Kafka, startKafka } from '../script/services/kafka.ts'
import { openLogs, prepareStore } from '../src/cli/backends.ts'
import { loadConfig } from '../src/config.ts'
import { eventRecordSchema } from '../src/event/record.ts'
import { fillLog } from './events.ts'
import { tableOfPeer } from './one-table.ts'
import { cpuSeconds, machine, median } from './process.ts'

/**
 * Claims: beside the consumer that people write in Python (benchmark/peer), ours stores at least 25
 * times as many events a second at 1/15 of the CPU an event when both fill the same one table, at
 * least 8 times as many with all of its tables and guarantees, and stays below 400 MiB over a
 * backlog.
 * Method: real Kafka and Cassandra on this machine, one lz4 topic, each consumer a process of its
 * own that begins at the topic's start, in turn; the peer's clock starts with its first message, ours
 * before the consumer joins its group. Medians of the rounds.
 *
 * The memory is that of one more run, with all tables over a million events; `--memory-records 0`
 * leaves it out, `--rounds 0` is that run alone.
 *
 *     node benchmark/consumer-peer.ts [--records 200000] [--peer-records 10000] [--rounds 3]
 *       [--memory-records 1000000]
 */
const { values } = parseArgs({
  options: {
    records: { type: 'string', default: '200000' },
    'peer-records': { type: 'string', default: '10000' },
    rounds: { type: 'string', default: '3' },
    'memory-records': { type: 'string', default: '1000000' },
  },
})
const records = Number(values.records)
const peerRecords = Math.min(records, Number(values['peer-records']))
const rounds = Number(values.rounds)
const memoryRecords = Number(values['memory-records'])
const warmUpRecords = 1_000
const run = promisify(execFile)

interface Figures {
  readonly events: number
  readonly seconds: number
  readonly cpuSeconds: number
  readonly peakMiB: number
}

/** Of one run, or the median of several. */
interface Rates {
  readonly events: number
  readonly eventsPerSecond: number
  readonly cpuPer100k: number
  readonly serverPer100k: number
  readonly peakMiB: number
}

interface Scene {
  readonly kafka: Kafka
  readonly cassandra: Cassandra
  readonly client: Client
  readonly python: string
  readonly schemaFile: string
}

/**
 * As Cassandra is shipped. What a single node ought to have, `group`, lets a write wait for up to
 * 15 ms: batches in flight do not mind, but the peer, which waits for each row, would store 60 events
 * a second.
 */
const shippedCommitLog = {
  commitlog_sync: 'periodic',
  commitlog_sync_period: '10000ms',
  commitlog_sync_group_window: undefined,
}

const topic = 'click_stream'
const peerKeyspace = 'peer'
let runs = 0

function environment(scene: Scene, keyspace: string, group: string): Record<string, string> {
  return {
    MILLRACE_LOG: 'kafka',
    MILLRACE_KAFKA_BROKERS: scene.kafka.address,
    MILLRACE_KAFKA_TOPIC: topic,
    MILLRACE_KAFKA_GROUP: group,
    MILLRACE_KAFKA_ALLOW_SINGLE_REPLICA: 'true',
    MILLRACE_STORE: 'cassandra',
    MILLRACE_CASSANDRA_CONTACT_POINTS: scene.cassandra.address,
    MILLRACE_CASSANDRA_DATACENTER: scene.cassandra.datacenter,
    MILLRACE_CASSANDRA_KEYSPACE: keyspace,
  }
}

/** The libraries in an environment of their own that `npm ci` throws away. */
async function preparePython(): Promise<string> {
  const folder = new URL('../node_modules/.cache/peer', import.meta.url).pathname
  const python = join(folder, 'bin', 'python')
  const requirements = new URL('peer/requirements.txt', import.meta.url).pathname
  if (!existsSync(python)) await run('python3', ['-m', 'venv', folder])
  await run(python, ['-m', 'pip', 'install', '--quiet', '-r', requirements])
  return python
}

async function runPeer(scene: Scene, events: number): Promise<Rates> {
  await scene.client.execute(`TRUNCATE ${peerKeyspace}.click_stream`)
  const [host = '', port = ''] = scene.cassandra.address.split(':')
  const flags = {
    brokers: scene.kafka.address,
    topic,
    group: `peer-${runs++}`,
    host,
    port,
    keyspace: peerKeyspace,
    schema: scene.schemaFile,
    records: `${events}`,
  }
  const script = new URL('peer/consume.py', import.meta.url).pathname
  const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value])
  return measure(scene, peerKeyspace, () => run(scene.python, [script, ...args]))
}

async function runOurs(scene: Scene, tables: 'one' | 'all', events: number): Promise<Rates> {
  const name = `ours_${runs++}`
  const keyspace = tables === 'one' ? peerKeyspace : name
  const env = environment(scene, keyspace, name)
  if (tables === 'one') await scene.client.execute(`TRUNCATE ${peerKeyspace}.click_stream`)
  else await prepareStore(await loadConfig({ folder: import.meta.dirname, env }))
  const script = new URL('consume-once.ts', import.meta.url).pathname
  const args = [script, '--tables', tables, '--records', `${events}`]
  return measure(scene, keyspace, () =>
    run(process.execPath, args, { env: { ...process.env, ...env } }),
  )
}

/** Runs a consumer, which measures itself, beside the servers, and counts what it stored. */
async function measure(
  { kafka, cassandra, client }: Scene,
  keyspace: string,
  consume: () => Promise<{ readonly stdout: string }>,
): Promise<Rates> {
  const servers = [...kafka.brokers, cassandra].map(({ pid }) => pid ?? 0)
  const serverSeconds = (): number => servers.reduce((sum, pid) => sum + cpuSeconds(pid), 0)
  const before = serverSeconds()
  const figures = JSON.parse((await consume()).stdout) as Figures
  const server = serverSeconds() - before
  const query = `SELECT pk FROM ${keyspace}.click_stream`
  const rows = await client.execute(query, [], { prepare: true, fetchSize: 5_000 })
  let stored = 0
  for await (const _row of rows) stored++
  // At its end ours stores what it has read already, so there may be more.
  if (stored < figures.events) {
    throw new Error(`${keyspace} has ${stored} rows instead of ${figures.events}`)
  }
  const scale = 100_000 / figures.events
  return {
    events: figures.events,
    eventsPerSecond: figures.events / figures.seconds,
    cpuPer100k: figures.cpuSeconds * scale,
    serverPer100k: server * scale,
    peakMiB: figures.peakMiB,
  }
}

function described({ events, eventsPerSecond, cpuPer100k, serverPer100k, peakMiB }: Rates): string {
  return (
    `${Math.round(eventsPerSecond).toLocaleString('en')} events/s, ` +
    `${cpuPer100k.toFixed(1)} CPU s per 100,000 events (servers: ${serverPer100k.toFixed(1)}), ` +
    `${peakMiB.toFixed(0)} MiB at most, over ${events.toLocaleString('en')} events`
  )
}

function medianOf(rates: readonly Rates[]): Rates {
  const of = (pick: (one: Rates) => number): number => median(rates.map(pick))
  return {
    events: of((one) => one.events),
    eventsPerSecond: of((one) => one.eventsPerSecond),
    cpuPer100k: of((one) => one.cpuPer100k),
    serverPer100k: of((one) => one.serverPer100k),
    peakMiB: of((one) => one.peakMiB),
  }
}

async function compare(scene: Scene): Promise<void> {
  // The servers' first thousands of writes run uncompiled, whoever sends them.
  await runOurs(scene, 'one', warmUpRecords)
  await runPeer(scene, warmUpRecords)
  const seen = { peer: [] as Rates[], one: [] as Rates[], all: [] as Rates[] }
  for (let round = 1; round <= rounds; round++) {
    seen.peer.push(await runPeer(scene, peerRecords))
    say(`round ${round}, peer: ${described(seen.peer.at(-1) as Rates)}`)
    seen.one.push(await runOurs(scene, 'one', records))
    say(`round ${round}, ours, one table: ${described(seen.one.at(-1) as Rates)}`)
    seen.all.push(await runOurs(scene, 'all', records))
    say(`round ${round}, ours, all tables: ${described(seen.all.at(-1) as Rates)}`)
  }
  const [peer, one, all] = [medianOf(seen.peer), medianOf(seen.one), medianOf(seen.all)]
  say(`median: peer ${described(peer)}`)
  say(
    `one table ${times(one, peer)} (claim ≥ 25 × events/s, ≤ 1/15 = 0.067 of the CPU an event)\n` +
      `all tables ${times(all, peer)} (claim ≥ 8 × events/s)`,
  )
}

async function measureMemory(scene: Scene): Promise<void> {
  const rates = await runOurs(scene, 'all', memoryRecords)
  say(`memory: ${described(rates)} (claim ≤ 400 MB, which are 381 MiB, over a million; all tables)`)
}

function times(ours: Rates, peer: Rates): string {
  const speed = ours.eventsPerSecond / peer.eventsPerSecond
  const cpu = ours.cpuPer100k / peer.cpuPer100k
  return `${described(ours)}: ${speed.toFixed(1)} × the peer's events/s at ${cpu.toFixed(3)} of its CPU an event`
}

async function prepare(scene: Scene): Promise<void> {
  const keyspace = `CREATE KEYSPACE ${peerKeyspace} WITH replication = {'class': 'NetworkTopologyStrategy', 'datacenter1': 1}`
  await scene.client.execute(keyspace)
  const table = tableOfPeer.replace(' click_stream (', ` ${peerKeyspace}.click_stream (`)
  await scene.client.execute(table)
  await writeFile(scene.schemaFile, eventRecordSchema.text)
  const env = environment(scene, peerKeyspace, 'fill')
  const logs = await openLogs(await loadConfig({ folder: import.meta.dirname, env }))
  try {
    await fillLog(logs.events, Math.max(records, memoryRecords))
  } finally {
    await logs.close()
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

const folder = await mkdtemp(join(tmpdir(), 'millrace-bench-'))
const python = await preparePython()
const kafka = await startKafka({ folder: join(folder, 'kafka') })
try {
  const cassandra = await startCassandra({
    folder: join(folder, 'cassandra'),
    heapMb: 1_024,
    settings: shippedCommitLog,
  })
  const client = new Client({
    contactPoints: [cassandra.address],
    localDataCenter: cassandra.datacenter,
  })
  try {
    const scene = { kafka, cassandra, client, python, schemaFile: join(folder, 'event.avsc') }
    await prepare(scene)
    const versions = (await run(python, ['-m', 'pip', 'freeze'])).stdout.trim().replace(/\n/g, ', ')
    say(`${machine()}; peer: ${(await run(python, ['--version'])).stdout.trim()}, ${versions}`)
    if (rounds > 0) await compare(scene)
    if (memoryRecords > 0) await measureMemory(scene)
  } finally {
    await client.shutdown()
    await cassandra.kill()
  }
} finally {
  await kafka.kill()
  await rm(folder, { recursive: true, force: true })
}
