import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Config } from '../config.ts'
import { MillraceError } from '../event/error.ts'
import { toError } from '../lib/assert.ts'
import { createProgressBar, printable } from './terminal.ts'

/**
 * Runs SQL of deploy/spark by spark-submit, as `spark-sql -i SOURCE -f JOB` does. Whatever it writes
 * on this machine by the way is in one temporary folder and goes with it.
 */
export interface SparkJob {
  /** Which tables and views the job finds. */
  readonly source: 'cassandra' | 'folder'
  /** Files of deploy/spark, run one after the other. */
  readonly files: readonly string[]
  /** What `${name}` stands for in them. */
  readonly variables: Readonly<Record<string, string>>
}

const sqlFolder = fileURLToPath(new URL('../../deploy/spark/', import.meta.url))
const connector = 'com.datastax.spark:spark-cassandra-connector_2.12:3.5.1'
const sqlMain = 'org.apache.spark.sql.hive.thriftserver.SparkSQLCLIDriver'

/** Runs `work` with a folder that is removed after it. */
export async function withTemporaryFolder<Result>(
  work: (folder: string) => Promise<Result>,
): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-spark-'))
  try {
    return await work(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/**
 * Resolves when the job has done everything.
 * @param folder a temporary one
 * @throws MillraceError `spark_absent`, `spark_failed` with Spark's reason, `config_invalid`
 */
export async function runSparkSql(config: Config, job: SparkJob, folder: string): Promise<void> {
  for (const [name, value] of Object.entries(job.variables)) checkVariable(name, value)
  const texts = job.files.map((file) => readFile(join(sqlFolder, file), 'utf8'))
  const script = join(folder, 'job.sql')
  await writeFile(script, (await Promise.all(texts)).join('\n'))
  // A password on the command line could be read by everybody of this machine.
  const settings = join(folder, 'spark.conf')
  await writeFile(settings, confText(confOf(config, job, folder)), { mode: 0o600 })
  const { sparkMaster, sparkMemory, sparkSubmit } = config.recommend
  const variables = Object.entries(job.variables)
  await submit(
    sparkSubmit,
    [
      ...['--master', sparkMaster, '--driver-memory', sparkMemory, '--properties-file', settings],
      ...(job.source === 'cassandra' ? connectorArguments(config) : []),
      ...['--class', sqlMain, 'spark-internal'],
      ...variables.flatMap(([name, value]) => ['-d', `${name}=${value}`]),
      ...['-i', join(sqlFolder, `${job.source}.sql`), '-f', script],
    ],
    folder,
  )
}

/** Values stand in the text of statements. */
function checkVariable(name: string, value: string): void {
  if (/^[\w ./:,=-]*$/.test(value)) return
  const allowed = 'only letters, digits, spaces and ./:,=-_ can be told to Spark'
  throw new MillraceError('config_invalid', `${name}: ${allowed}, not ${JSON.stringify(value)}`)
}

function connectorArguments({ recommend }: Config): string[] {
  if (recommend.sparkJars === '') return ['--packages', connector]
  const jars = readdirSync(recommend.sparkJars).filter((name) => name.endsWith('.jar'))
  return ['--jars', jars.map((name) => join(resolve(recommend.sparkJars), name)).join()]
}

function confOf(config: Config, { source }: SparkJob, folder: string): Record<string, string> {
  const { sparkMaster, sparkConf } = config.recommend
  const isHere = sparkMaster.startsWith('local')
  return {
    'spark.app.name': 'millrace',
    'spark.sql.catalogImplementation': 'in-memory',
    'spark.sql.session.timeZone': 'UTC',
    'spark.sql.warehouse.dir': join(folder, 'warehouse'),
    'spark.ui.showConsoleProgress': 'true',
    'spark.ui.enabled': 'false',
    // Nobody else has anything to ask of a job of this machine.
    ...(isHere && {
      'spark.driver.host': '127.0.0.1',
      'spark.driver.bindAddress': '127.0.0.1',
      'spark.local.dir': folder,
      // For 200, which is Spark's default, there are neither the cores nor the events.
      'spark.sql.shuffle.partitions': '16',
    }),
    ...(source === 'cassandra' && cassandraConf(config)),
    ...Object.fromEntries(sparkConf.map((text) => text.split(/=(.*)/s) as [string, string])),
  }
}

function cassandraConf({ cassandra }: Config): Record<string, string> {
  const { contactPoints, datacenter, username, password, tls } = cassandra
  return {
    'spark.sql.extensions': 'com.datastax.spark.connector.CassandraSparkExtensions',
    'spark.sql.catalog.cassandra': 'com.datastax.spark.connector.datasource.CassandraCatalog',
    'spark.cassandra.connection.host': contactPoints.join(),
    'spark.cassandra.connection.localDC': datacenter,
    // The connector reads one replica unless told.
    'spark.cassandra.input.consistency.level': 'LOCAL_QUORUM',
    'spark.cassandra.output.consistency.level': 'LOCAL_QUORUM',
    ...(username !== undefined && {
      'spark.cassandra.auth.username': username,
      'spark.cassandra.auth.password': password ?? '',
    }),
    ...(tls && { 'spark.cassandra.connection.ssl.enabled': 'true' }),
  }
}

/** As `java.util.Properties` reads it. */
function confText(conf: Readonly<Record<string, string>>): string {
  const escaped = (value: string): string =>
    value.replace(/\\/g, '\\\\').replace(/\n/g, '\\n').replace(/^ /, '\\ ')
  return Object.entries(conf)
    .map(([name, value]) => `${name}=${escaped(value)}\n`)
    .join('')
}

const signals = ['SIGINT', 'SIGTERM'] as const

/** Runs spark-submit, shows its progress, and ends it with this process. */
async function submit(command: string, args: readonly string[], folder: string): Promise<void> {
  const child = spawn(command, args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] })
  const { promise: ended, resolve: end, reject } = Promise.withResolvers<string | undefined>()
  child.once('error', (error) => {
    const detail = `${command}: ${error.message}`
    reject(new MillraceError('spark_absent', detail, { cause: error }))
  })
  child.once('close', (code, signal) => {
    end(code === 0 ? undefined : `it ended with ${signal ?? `exit code ${code}`}`)
  })
  const stop = (): void => void child.kill('SIGTERM')
  for (const signal of signals) process.on(signal, stop)
  const said = follow(child.stderr)
  try {
    const failure = await ended
    const { reason } = await said
    if (failure === undefined) return
    throw new MillraceError('spark_failed', reason === '' ? failure : `${failure}: ${reason}`)
  } finally {
    for (const signal of signals) process.off(signal, stop)
  }
}

/** `[Stage 3:=====>   (5 + 2) / 16]`: done, under way, all. */
const stagePattern = /\[Stage (\d+):[^\]]*?\((\d+) \+ \d+\) \/ (\d+)\]/
const detailCharactersMax = 400

/** Shows the stages as they go on; keeps the first line that tells of an error. */
async function follow(stderr: NodeJS.ReadableStream): Promise<{ readonly reason: string }> {
  let bar = createProgressBar('Spark')
  let current = ''
  let reason = ''
  let last = ''
  try {
    for await (const line of createInterface({ input: stderr })) {
      const [, stage, done, total] = stagePattern.exec(line) ?? []
      if (stage !== undefined) {
        if (stage !== current) {
          bar.end()
          bar = createProgressBar(`Spark, stage ${stage}`)
          current = stage
        }
        bar.update(Number(done), Number(total))
        continue
      }
      if (line.trim() !== '') last = line
      if (reason === '' && /Exception|Error|^\[[A-Z_.]+\]/.test(line)) reason = line
    }
  } catch (thrown) {
    last = toError(thrown).message
  }
  bar.end()
  return { reason: printable((reason || last).trim()).slice(0, detailCharactersMax) }
}

/** The rows of a folder that a job wrote as lines of JSON. */
export async function readJsonRows<Row>(folder: string): Promise<Row[]> {
  const files = readdirSync(folder).filter((name) => name.endsWith('.json'))
  const texts = await Promise.all(files.sort().map((name) => readFile(join(folder, name), 'utf8')))
  return texts
    .flatMap((text) => text.split('\n'))
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Row)
}
