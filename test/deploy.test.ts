import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { Registry } from 'prom-client'
import { parse } from 'yaml'
import type { Logs } from '../src/cli/backends.ts'
import { createConsumeMetrics } from '../src/cli/metrics.ts'
import { registerSpoolMetrics } from '../src/cli/spool.ts'
import { registerPipelineMetrics } from '../src/cli/stages.ts'
import { createMetrics } from '../src/collect/metrics.ts'
import { loadConfig } from '../src/config.ts'
import type { Store } from '../src/store/store.ts'

/**
 * What deploy/ says is looked up, not run: there is no Docker where the tests run. Names of settings
 * are read by the configuration itself, ports and files are compared.
 */

interface Service {
  readonly image: string
  readonly command?: readonly string[]
  readonly restart?: string
  readonly profiles?: readonly string[]
  readonly ports?: readonly string[]
  readonly volumes?: readonly string[]
  readonly environment?: Readonly<Record<string, string | number>>
  readonly healthcheck?: { readonly test: readonly string[] }
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>
  readonly stop_grace_period?: string
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>
  readonly volumes: Readonly<Record<string, null>>
}

const text = readFileSync('deploy/compose.yaml', 'utf8')
const compose = parse(text, { merge: true }) as Compose
const services = Object.entries(compose.services)
const dockerfile = readFileSync('deploy/Dockerfile', 'utf8')
const airflowDockerfile = readFileSync('deploy/airflow/Dockerfile', 'utf8')
const example = environmentOf(readFileSync('deploy/example.env', 'utf8'))
const token = 'x'.repeat(32)

/** `NAME=value` lines. */
function environmentOf(file: string): Record<string, string> {
  return Object.fromEntries([...file.matchAll(/^([A-Z0-9_]+)=(.*)$/gm)].map(([, k, v]) => [k, v]))
}

/** As Compose fills in `${NAME:-default}` and `${NAME:?message}`, with the example's values. */
function filledIn(value: string): string {
  return value.replace(/\$\{(\w+):([-?])([^}]*)\}/g, (_all, name: string, kind, fallback) => {
    if (name === 'MILLRACE_API_TOKEN') return token
    return example[name] || (kind === '-' ? fallback : '')
  })
}

function settingsOf({ environment = {} }: Service): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).map(([name, value]) => [name, filledIn(String(value))]),
  )
}

function ours(): [name: string, service: Service][] {
  return services.filter(([, { image }]) => image === 'millrace')
}

function port(address: string): number {
  return Number(/:(\d+)(?:\/|$)/.exec(address)?.[1])
}

test('the parts that a scaled-out installation needs are there', () => {
  const commands = ours().map(([, { command }]) => command?.[0])
  assert.deepEqual(commands.sort(), ['collect', 'collect', 'consume', 'consume', 'init', 'serve'])
  const brokers = services.filter(([name]) => name.startsWith('kafka-'))
  assert.deepEqual(
    brokers.map(([, { profiles }]) => profiles?.[0]),
    ['cluster', 'cluster', 'cluster', 'trial'],
  )
  assert.ok(compose.services['cassandra'])
})

test('every service that runs on says how it is, and has time to stop', () => {
  for (const [name, service] of services) {
    if (service.restart === 'no') continue
    assert.ok((service.healthcheck?.test.length ?? 0) > 1, `${name} has no healthcheck`)
    assert.match(service.stop_grace_period ?? '', /^\d+s$/, name)
  }
})

test('images have fixed versions, and are not those of a registry of our own', () => {
  for (const [name, { image }] of services) {
    if (!image.startsWith('millrace')) assert.match(image, /^[a-z/]+:\d+\.\d+\.\d+$/, name)
  }
  for (const [, image = ''] of airflowDockerfile.matchAll(/^FROM (\S+)/gm)) {
    assert.match(image, /^[a-z/]+:\d+\.\d+\.\d+$/)
  }
})

test('Airflow has the DAG, the settings of its tasks, and the versions that are tested', async () => {
  const airflow = compose.services['airflow'] as Service
  const settings = settingsOf(airflow)
  const own = Object.entries(settings).filter(([name]) => name.startsWith('MILLRACE_'))
  const config = await loadConfig({ env: Object.fromEntries(own), folder: 'deploy' })
  assert.equal(config.store.backend, 'cassandra')
  const { hostname, port } = new URL(config.recommend.sparkMaster)
  assert.ok(compose.services[hostname]?.command?.includes(hostname))
  assert.ok(compose.services['spark-worker']?.command?.includes(`spark://${hostname}:${port}`))
  const allowed = settingsOf(compose.services['serve'] as Service)['MILLRACE_API_ALLOWED_HOSTS']
  const asked = new URL(settings['MILLRACE_API_URL'] ?? '').hostname
  assert.ok(allowed?.split(',').includes(asked))
  for (const published of airflow.ports ?? []) assert.match(published, /^127\.0\.0\.1:/)
  assert.ok(
    airflowDockerfile.includes(`millrace_daily.py ${settings['AIRFLOW__CORE__DAGS_FOLDER']}/`),
  )
  for (const [name, image] of [
    ['airflow', 'apache-airflow'],
    ['spark', 'pyspark'],
  ] as const) {
    const requirements = readFileSync(`script/services/${name}.requirements.txt`, 'utf8')
    const [, version = ''] = new RegExp(`^${image}==(.*)$`, 'm').exec(requirements) ?? []
    assert.ok(airflowDockerfile.includes(`apache/${name}:${version}`), name)
  }
  assert.ok(airflowDockerfile.includes(`apache/spark:`))
  assert.equal(compose.services['spark-master']?.image, compose.services['spark-worker']?.image)
  for (const [, path = ''] of airflowDockerfile.matchAll(/^COPY (deploy\S+)/gm)) {
    assert.ok(existsSync(path), path)
  }
})

test('the configuration takes every environment, and the stages meet in one log and one store', async () => {
  const configs = new Map<string, Awaited<ReturnType<typeof loadConfig>>>()
  for (const [name, service] of ours()) {
    configs.set(name, await loadConfig({ env: settingsOf(service), folder: 'deploy' }))
  }
  for (const [name, { log, kafka, store, cassandra, collect }] of configs) {
    assert.equal(log.backend, 'kafka', name)
    assert.equal(store.backend, 'cassandra', name)
    assert.deepEqual(kafka.brokers, ['kafka:9092'])
    assert.deepEqual(cassandra.contactPoints, ['cassandra:9042'])
    if (!name.startsWith('collect')) continue
    assert.equal(collect.host, '0.0.0.0', `${name} listens to its own container only`)
    const grace = Number.parseInt(compose.services[name]?.stop_grace_period ?? '', 10)
    assert.ok(grace * 1_000 > collect.shutdownDelayMs + collect.shutdownTimeoutMs, name)
  }
  assert.equal(configs.get('serve')?.api.host, '0.0.0.0')
})

test('a name that is no setting is noticed', async () => {
  const env = { ...settingsOf(compose.services['serve'] as Service), MILLRACE_KAFKA_BROKER: 'x' }
  await assert.rejects(loadConfig({ env, folder: 'deploy' }), { code: 'config_invalid' })
})

test('ports that are published or asked are those that the stages listen on', async () => {
  const { collect, api } = await loadConfig({ env: {}, folder: 'deploy' })
  for (const [name, { command, ports = [], healthcheck }] of ours()) {
    if (command?.[0] === 'init') continue
    const listens = command?.[0] === 'collect' ? collect.port : api.port
    for (const published of ports) {
      assert.equal(port(filledIn(published)), listens, name)
      assert.match(published, /^127\.0\.0\.1:/, `${name} can be reached without the proxy`)
    }
    assert.equal(port(healthcheck?.test.at(-1) ?? ''), listens, name)
  }
  const exposed = [...(/^EXPOSE (.*)$/m.exec(dockerfile)?.[1] ?? '').matchAll(/\d+/g)].map(Number)
  assert.deepEqual(exposed, [collect.port, api.port])
  const published = ours().flatMap(([, { ports = [] }]) => ports.map((one) => filledIn(one)))
  const fronts = published.map((one) => one.split(':')[1])
  assert.equal(new Set(fronts).size, fronts.length, 'two services have one port')
  const proxied = readFileSync('deploy/nginx.conf', 'utf8').matchAll(/127\.0\.0\.1:(\d+)/g)
  assert.deepEqual([...proxied].map(([, one]) => one).sort(), fronts.sort())
})

test('brokers know each other by the names and ports that they have', () => {
  const brokers = services.filter(([name]) => name.startsWith('kafka-'))
  for (const [name, service] of brokers) {
    const env = settingsOf(service)
    assert.equal(env['KAFKA_ADVERTISED_LISTENERS'], `CLIENT://${name}:9092`)
    const voters = (env['KAFKA_CONTROLLER_QUORUM_VOTERS'] ?? '').split(',')
    assert.ok(voters.includes(`${env['KAFKA_NODE_ID']}@${name}:9093`), name)
    const peers = brokers.filter(([, { profiles }]) => profiles?.[0] === service.profiles?.[0])
    assert.equal(voters.length, peers.length, name)
    const inSync = peers.length === 1 ? '1' : '2'
    assert.equal(env['KAFKA_MIN_INSYNC_REPLICAS'], inSync, name)
    assert.equal(env['KAFKA_DEFAULT_REPLICATION_FACTOR'], `${peers.length}`, name)
    assert.ok(service.volumes?.includes(`${name}:${env['KAFKA_LOG_DIRS']}`), name)
  }
})

test('everything that is waited for and mounted is declared', () => {
  for (const [name, { depends_on = {}, volumes = [] }] of services) {
    for (const [other, { condition }] of Object.entries(depends_on)) {
      const service = compose.services[other]
      assert.ok(service, `${name} waits for ${other}`)
      const ends = condition === 'service_completed_successfully'
      assert.equal(service.restart === 'no', ends, `${name} waits for ${other} to be ${condition}`)
    }
    for (const volume of volumes) assert.ok((volume.split(':')[0] ?? '') in compose.volumes, volume)
  }
  const asked = [...text.matchAll(/\$\{(\w+):[-?]/g)].map(([, name = '']) => name)
  assert.deepEqual(
    [...new Set(asked)].filter((name) => !(name in example)),
    [],
  )
})

test('what the Dockerfile copies is in the project and is let through to the builder', () => {
  const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.*)$/gm)].flatMap(([, list = '']) =>
    list.split(' ').slice(0, -1),
  )
  assert.ok(copied.length > 5)
  const ignored = readFileSync('deploy/Dockerfile.dockerignore', 'utf8').split('\n')
  const allowed = ignored.filter((line) => line.startsWith('!')).map((line) => line.slice(1))
  for (const path of copied) {
    assert.ok(existsSync(path), path)
    assert.ok(allowed.includes(path.replace(/\/$/, '')), `${path} is not let through`)
  }
  const { bin } = JSON.parse(readFileSync('package.json', 'utf8')) as {
    bin: Record<string, string>
  }
  assert.ok(dockerfile.includes(`ENTRYPOINT ["node", "${bin['millrace']}"]`))
  assert.match(dockerfile, /^USER (?!root)/m)
  for (const [, { healthcheck }] of ours()) {
    const script = healthcheck?.test[2]
    if (script !== undefined) assert.ok(copied.includes(script), script)
  }
})

test('the health check ends with 0 for a good answer only, and sends the token', async () => {
  const server = createServer(({ headers }, response) => {
    response.writeHead(headers.authorization === `Bearer ${token}` ? 200 : 401).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/health`
  const check = async (env: Record<string, string>): Promise<unknown> => {
    const args = ['deploy/healthcheck.js', url]
    const [code] = await once(spawn(process.execPath, args, { env }), 'exit')
    return code
  }
  try {
    assert.equal(await check({ MILLRACE_API_TOKEN: token }), 0)
    assert.equal(await check({}), 1)
  } finally {
    server.close()
  }
  await once(server, 'close')
  assert.equal(await check({ MILLRACE_API_TOKEN: token }), 1, 'nobody listens')
})

test('the proxy lets through what the collector allows, and hides what it shows to its machine only', async () => {
  const nginx = readFileSync('deploy/nginx.conf', 'utf8')
  const { collect, kafka, tag } = await loadConfig({ env: {}, folder: 'deploy' })
  const [, headers = 0] = /large_client_header_buffers \d+ (\d+)k/.exec(nginx) ?? []
  assert.ok(Number(headers) * 1_024 > collect.queryBytesMax)
  const [, body = 0] = /client_max_body_size (\d+)k/.exec(nginx) ?? []
  assert.equal(Number(body) * 1_024, collect.bodyBytesMax)
  const [, read = 0] = /proxy_read_timeout (\d+)s/.exec(nginx) ?? []
  assert.ok(Number(read) * 1_000 > kafka.timeoutMs)
  const open = [...nginx.matchAll(/location = (\S+)/g)].map(([, path]) => path)
  const paths = ['/events', '/ping', '/recommendations']
  assert.deepEqual(open, [`/${tag.name}`, `/${tag.eventSuffix}`, ...paths])
  // Without it an API on loopback would take whoever comes by the proxy for its owner.
  const [, api = ''] = nginx.split('server_name millrace.example.com')
  assert.match(api, /proxy_set_header X-Forwarded-For /)
})

test('every metric that docs/operate.md says to alarm on exists', () => {
  const registry = new Registry()
  const none = (): number => 0
  createMetrics({ waitingEvents: none, waitingBytes: none, connections: async () => 0 }, registry)
  // Registered only; nobody asks for a value.
  registerPipelineMetrics(registry, {} as Logs, {} as Store)
  registerSpoolMetrics(registry, { spooling: {} } as Logs)
  createConsumeMetrics(registry)
  const known = registry.getMetricsAsArray().map(({ name }) => name)
  const text = readFileSync('docs/operate.md', 'utf8')
  const named = new Set([...text.matchAll(/millrace_\w+/g)].map(([name]) => name))
  assert.ok(named.size > 10)
  assert.deepEqual(
    [...named].filter((name) => !known.includes(name)),
    [],
  )
})

test('every variable that docs/operate.md and deploy/ name is a setting', async () => {
  const files = [
    'docs/operate.md',
    'deploy/nginx.conf',
    'deploy/compose.yaml',
    'deploy/example.env',
  ]
  const texts = files.map((file) => readFileSync(file, 'utf8')).join('\n')
  const named = new Set([...texts.matchAll(/\bMILLRACE_[A-Z_]+/g)].map(([name]) => name))
  assert.ok(named.size > 15)
  for (const name of named) {
    // What the value should be is another question than whether the name is known.
    const message = await loadConfig({ env: { [name]: '1' }, folder: 'deploy' }).then(
      () => '',
      (thrown: Error) => thrown.message,
    )
    assert.doesNotMatch(message, /unknown environment variable/)
  }
})
