import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** A server that is put together from Maven Central. */
export type ServiceName = 'kafka' | 'cassandra'

/** What has a pom beside this file: a server, or Spark's connector to one. */
export type JarsName = ServiceName | 'spark'

/**
 * The folder that holds a server's jars. Maven fetches them once; afterwards no network is needed.
 * A changed pom has another folder, so that two checkouts do not disturb each other.
 * @throws Error with Maven's own output when it cannot fetch them
 */
export async function fetchJars(service: JarsName): Promise<string> {
  const pom = join(import.meta.dirname, `${service}.pom.xml`)
  const folder = await jarsFolder(service)
  if (existsSync(folder)) return folder
  await mkdir(cacheFolder(), { recursive: true })
  const fetched = await mkdtemp(join(cacheFolder(), `${service}-fetching-`))
  try {
    await run('mvn', [
      ...['--quiet', '--batch-mode', '--no-transfer-progress', '--file', pom],
      ...['dependency:copy-dependencies', '-DincludeScope=runtime', `-DoutputDirectory=${fetched}`],
    ])
    await rename(fetched, folder)
  } catch (thrown) {
    await rm(fetched, { recursive: true, force: true })
    // Somebody else was faster.
    if (existsSync(folder)) return folder
    const { stdout = '' } = thrown as { stdout?: string }
    throw new Error(`Maven could not fetch the jars of ${service}:\n${stdout}`, { cause: thrown })
  }
  return folder
}

/** True when the jars of a server are here, so that it starts without Maven and network. */
export async function hasJars(service: JarsName): Promise<boolean> {
  return existsSync(await jarsFolder(service))
}

async function jarsFolder(service: JarsName): Promise<string> {
  const pom = await readFile(join(import.meta.dirname, `${service}.pom.xml`))
  const hash = createHash('sha256').update(pom).digest('hex').slice(0, 12)
  return join(cacheFolder(), `${service}-${hash}`)
}

/** Outside of the checkout: `npm ci` and a fresh clone must not fetch 120 MB again. */
function cacheFolder(): string {
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'millrace', 'jars')
}
