import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createServerProcess, type Server } from './server.ts'
import { prepareVenv } from './venv.ts'

const run = promisify(execFile)
const root = join(import.meta.dirname, '..', '..')

/** Apache Airflow from PyPI with the DAG of deploy/airflow, its state in a folder. */
export interface Airflow {
  /** What `-m airflow` is called with. */
  readonly python: string
  readonly env: Readonly<Record<string, string>>
}

/**
 * Installs Airflow unless it is there (275 MB, two minutes with a good network) and makes its database
 * in `folder`.
 * @param apiPort where its web page and its API answer, if they are started
 * @throws Error with pip's or Airflow's own output
 */
export async function prepareAirflow(folder: string, apiPort: number): Promise<Airflow> {
  const python = join(await prepareVenv('airflow'), 'bin', 'python')
  await mkdir(folder, { recursive: true })
  const env = {
    AIRFLOW_HOME: folder,
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN: `sqlite:///${join(folder, 'airflow.db')}`,
    AIRFLOW__CORE__DAGS_FOLDER: join(root, 'deploy', 'airflow'),
    AIRFLOW__CORE__LOAD_EXAMPLES: 'False',
    // By itself it starts 41 processes.
    AIRFLOW__CORE__PARALLELISM: '2',
    AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES: '1',
    AIRFLOW__API__WORKERS: '1',
    AIRFLOW__API__HOST: '127.0.0.1',
    AIRFLOW__API__PORT: String(apiPort),
    AIRFLOW__CORE__EXECUTION_API_SERVER_URL: `http://127.0.0.1:${apiPort}/execution/`,
    // Nobody but this machine gets here.
    AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS: 'True',
    AIRFLOW__USAGE_DATA_COLLECTION__ENABLED: 'False',
    PYTHONDONTWRITEBYTECODE: '1',
  }
  const migrate = { env: { ...process.env, ...env }, maxBuffer: 64 * 1024 * 1024 }
  if (!existsSync(join(folder, 'airflow.db'))) {
    await run(python, ['-m', 'airflow', 'db', 'migrate'], migrate)
  }
  return { python, env }
}

/**
 * Each in a process of its own: `airflow standalone` also starts a server of log files, which listens
 * on every interface.
 */
const processes = [
  ['airflow-api', ['api-server']],
  ['airflow-scheduler', ['scheduler', '--skip-serve-logs']],
  ['airflow-dags', ['dag-processor']],
] as const

/**
 * Starts web page, scheduler and DAG processor, on 127.0.0.1. Tasks run with the environment of the
 * caller; DAGs are paused until somebody wants them.
 */
export async function startAirflow(options: {
  readonly folder: string
  readonly port: number
  readonly detached?: boolean
}): Promise<{ readonly address: string; readonly servers: readonly Server[] }> {
  const { folder, port, detached = false } = options
  const { python, env } = await prepareAirflow(folder, port)
  const address = `127.0.0.1:${port}`
  const isHealthy = async (): Promise<boolean> => {
    const response = await fetch(`http://${address}/api/v2/monitor/health`)
    const health = (await response.json()) as Record<string, { status: string }>
    return health['metadatabase']?.status === 'healthy'
  }
  const servers: Server[] = []
  for (const [name, args] of processes) {
    const server = createServerProcess({
      ...{ name, folder, detached, env },
      program: python,
      args: ['-m', 'airflow', ...args],
      isReady: isHealthy,
    })
    servers.push(server)
    try {
      await server.start()
    } catch (thrown) {
      for (const one of servers) await one.stop()
      throw thrown
    }
  }
  return { address, servers }
}
