import { mkdir } from 'node:fs/promises'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { startAirflow } from './airflow.ts'
import { startCassandra } from './cassandra.ts'
import type { ServiceName } from './jars.ts'
import { startKafka } from './kafka.ts'
import { endServers, runningServers } from './server.ts'

/**
 * Real servers for development, on 127.0.0.1 and the ports that the defaults of Millrace expect:
 *
 *     node script/services/services.ts start|stop|status [kafka|cassandra|airflow] [--brokers 1|3] [--folder data/services]
 *
 * They run on after the command, until `stop`; their data stays in the folder. Airflow only when it is
 * named: its tasks take the environment of this command.
 */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    brokers: { type: 'string', default: '1' },
    folder: { type: 'string', default: 'data/services' },
  },
})
const usage = 'start|stop|status [kafka|cassandra|airflow] [--brokers 1|3] [--folder data/services]'
const [command, service] = positionals
const services = ['kafka', 'cassandra', 'airflow'] as const satisfies (ServiceName | 'airflow')[]
type Name = (typeof services)[number]
const isNamed = (name: Name): boolean =>
  service === undefined ? name !== 'airflow' || command !== 'start' : name === service
const chosen = services.filter(isNamed)
const isUsageWrong = chosen.length === 0 || !['1', '3'].includes(values.brokers)

if (isUsageWrong) fail(`usage: services ${usage}`)
else if (command === 'start') for (const name of chosen) await start(name)
else if (command === 'stop') for (const name of chosen) await stop(name)
else if (command === 'status') for (const name of chosen) await status(name)
else fail(`usage: services ${usage}`)

async function start(name: Name): Promise<void> {
  const folder = folderOf(name)
  if ((await runningServers(folder)).size > 0) return status(name)
  await mkdir(folder, { recursive: true })
  const { address } = await startIn(folder, name)
  say(`${name} answers at ${address}`)
}

async function startIn(folder: string, name: Name): Promise<{ readonly address: string }> {
  switch (name) {
    case 'kafka': {
      const brokers = values.brokers === '3' ? 3 : 1
      return startKafka({ folder, brokers, ports: [9092, 9093, 9094], detached: true })
    }
    case 'cassandra':
      return startCassandra({ folder, port: 9042, detached: true })
    case 'airflow':
      return startAirflow({ folder, port: 8080, detached: true })
  }
}

async function stop(name: Name): Promise<void> {
  const stopped = await endServers(folderOf(name))
  say(stopped.length === 0 ? `${name} was not running` : `stopped ${stopped.join(', ')}`)
}

async function status(name: Name): Promise<void> {
  const running = [...(await runningServers(folderOf(name)))]
  const lines = running.map(([server, pid]) => `${server} runs as process ${pid}`)
  say(lines.length === 0 ? `${name} is not running` : lines.join('\n'))
}

function folderOf(name: Name): string {
  return resolve(values.folder, name)
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

function fail(text: string): void {
  process.stderr.write(`${text}\n`)
  process.exitCode = 2
}
