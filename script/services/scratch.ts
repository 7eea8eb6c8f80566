import { existsSync, readdirSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { startCassandra } from './cassandra.ts'
import { hasJars, type JarsName, type ServiceName } from './jars.ts'
import { startKafka } from './kafka.ts'
import { endServers } from './server.ts'
import { hasPython } from './venv.ts'

/** Servers for one run of tests, in a temporary folder that goes with them. */
export interface ScratchServices {
  /** Where each of them answers. */
  readonly addresses: Readonly<Partial<Record<ServiceName, string>>>
  stop(): Promise<void>
}

const prefix = 'millrace-services-'

export async function startScratchServices(
  names: readonly ServiceName[],
): Promise<ScratchServices> {
  await removeLeftovers()
  const folder = await mkdtemp(join(tmpdir(), prefix))
  await writeFile(join(folder, 'owner'), `${process.pid}`)
  const started = names.map(async (name) => {
    const options = { folder: join(folder, name) }
    const server = await (name === 'kafka' ? startKafka(options) : startCassandra(options))
    return [name, server] as const
  })
  const stop = async (): Promise<void> => {
    const settled = await Promise.allSettled(started)
    const servers = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value[1]] : []))
    // Nothing of them is read again.
    await Promise.all(servers.map((server) => server.kill()))
    await rm(folder, { recursive: true, force: true })
  }
  try {
    const servers = await Promise.all(started)
    return {
      addresses: Object.fromEntries(servers.map(([name, { address }]) => [name, address])),
      stop,
    }
  } catch (thrown) {
    await stop()
    throw thrown
  }
}

/**
 * True when a server can be started here: with Java, and with its jars or Maven to fetch them; Spark
 * with Python, too.
 */
export async function canStart(name: JarsName): Promise<boolean> {
  if (name === 'spark' && !hasPython()) return false
  return isInPath('java') && ((await hasJars(name)) || isInPath('mvn'))
}

/** What runs left behind that were killed. */
async function removeLeftovers(): Promise<void> {
  for (const name of readdirSync(tmpdir())) {
    if (!name.startsWith(prefix)) continue
    const folder = join(tmpdir(), name)
    const owner = Number(await readFile(join(folder, 'owner'), 'utf8').catch(() => ''))
    if (!(owner > 0) || isAlive(owner)) continue
    for (const service of ['kafka', 'cassandra']) await endServers(join(folder, service))
    await rm(folder, { recursive: true, force: true })
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function isInPath(command: string): boolean {
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  return folders.some((folder) => existsSync(join(folder, command)))
}
