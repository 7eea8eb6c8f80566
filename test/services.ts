import { after } from 'node:test'
import type { ServiceName } from '../script/services/jars.ts'
import { startScratchServices } from '../script/services/scratch.ts'

/**
 * Real servers for tests. A test run starts each of them once and tells its files where it answers
 * (see script/test.ts), so take names of your own for topics and keyspaces. A file that is run
 * without it (`node --test FILE`) gets servers of its own. Tests that stop or kill servers start
 * their own with `startKafka` and `startCassandra` of script/services.
 */

/** `HOST:PORT` of a Kafka broker. Call it at the top of a file or in a hook. */
export function sharedKafka(): Promise<string> {
  return shared('kafka')
}

/** `HOST:PORT` of a Cassandra node. */
export function sharedCassandra(): Promise<string> {
  return shared('cassandra')
}

async function shared(name: ServiceName): Promise<string> {
  const given = process.env[sharedVariable(name)]
  if (given !== undefined) return given
  const services = await startScratchServices([name])
  after(() => services.stop())
  return services.addresses[name] as string
}

/** Not `MILLRACE_…`: the configuration refuses names that it does not know. */
export function sharedVariable(name: ServiceName): string {
  return `TEST_${name.toUpperCase()}`
}
