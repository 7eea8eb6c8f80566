import { mkdir } from 'node:fs/promises'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { startCassandra } from './cassandra.ts'
import type { ServiceName } from './jars.ts'
import { startKafka } from './kafka.ts'
import { endServers, runningServers } from './server.ts'

/**
 * Real servers for development, on 127.0.0.1 and the ports that the defaults of Millrace expect:
 *
 *     node script/services/services.ts start|stop|status [kafka|cassandra] [--brokers 1|3] [--folder data/services]
 *
 * They run on after the command, until `stop`; their data stays in the folder.
 */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    brokers: { type: 'string', default: '1' },
    folder: { type: 'string', default: 'data/services' },
  },
})
const usage = 'start|stop|status [kafka|cassandra] [--brokers 1|3] [--folder data/services]'
const [command, service] = positionals
const services: readonly ServiceName[] = ['kafka', 'cassandra']
const chosen = services.filter((name) => service === undefined || name === service)
const isUsageWrong = chosen.length === 0 || !['1', '3'].includes(values.brokers)

if (isUsageWrong) fail(`usage: services ${usage}`)
else if (command === 'start') for (const name of chosen) await start(name)
else if (command === 'stop') for (const name of chosen) await stop(name)
else if (command === 'status') for (const name of chosen) await status(name)
else fail(`usage: services ${usage}`)

async function start(name: ServiceName): Promise<void> {
  const folder = folderOf(name)
  if ((await runningServers(folder)).size > 0) return status(name)
  await mkdir(folder, { recursive: true })
  const { address } =
    name === 'kafka'
      ? await startKafka({
          folder,
          brokers: values.brokers === '3' ? 3 : 1,
          ports: [9092, 9093, 9094],
          detached: true,
        })
      : await startCassandra({ folder, port: 9042, detached: true })
  say(`${name} answers at ${address}`)
}

async function stop(name: ServiceName): Promise<void> {
  const stopped = await endServers(folderOf(name))
  say(stopped.length === 0 ? `${name} was not running` : `stopped ${stopped.join(', ')}`)
}

async function status(name: ServiceName): Promise<void> {
  const running = [...(await runningServers(folderOf(name)))]
  const lines = running.map(([server, pid]) => `${server} runs as process ${pid}`)
  say(lines.length === 0 ? `${name} is not running` : lines.join('\n'))
}

function folderOf(name: ServiceName): string {
  return resolve(values.folder, name)
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

function fail(text: string): void {
  process.stderr.write(`${text}\n`)
  process.exitCode = 2
}
