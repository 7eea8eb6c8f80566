import { globSync } from 'node:fs'
import { join } from 'node:path'
import { fetchJars } from './jars.ts'
import { prepareVenv } from './venv.ts'

/** Apache Spark from PyPI, in an environment that `npm ci` throws away. */
export interface Spark {
  /** Of `bin/spark-submit`. */
  readonly submit: string
  /** What jobs in Python run with. */
  readonly python: string
  /** The folder with the jars of the Cassandra connector. */
  readonly jars: string
}

/**
 * Installs Spark and the connector unless they are there: 540 MB, a minute with a good network.
 * @throws Error with pip's or Maven's own output
 */
export async function prepareSpark(): Promise<Spark> {
  const jars = await fetchJars('spark')
  const folder = await prepareVenv('spark')
  const [home] = globSync(join(folder, 'lib', 'python3*', 'site-packages', 'pyspark'))
  if (home === undefined) throw new Error(`there is no pyspark in ${folder}`)
  const python = join(folder, 'bin', 'python')
  return { submit: join(home, 'bin', 'spark-submit'), python, jars }
}
