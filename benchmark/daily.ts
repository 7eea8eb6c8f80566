import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { prepareAirflow } from '../script/services/airflow.ts'
import { startCassandra } from '../script/services/cassandra.ts'
import { prepareSpark } from '../script/services/spark.ts'
import { dayMs, dayOf } from '../src/lib/clock.ts'
import { optionsBelow, runCommand, startMillrace } from '../test/fault/process.ts'
import { machine } from './process.ts'

/**
 * Claim: `airflow dags test` on the DAG of deploy/airflow makes, of a million events over 90 days in a
 * real Cassandra, a model by a real Spark and has it served, in 15 minutes on two cores; a Spark that
 * is killed in the middle of the next run leaves that model in service.
 * Method: history comes by `millrace simulate` through `millrace start`; then the DAG's run of
 * yesterday is timed whole, with everything that it does: closing, checking, counting every row.
 *
 *     node benchmark/daily.ts [--events 1000000] [--days 90]
 */
const { values } = parseArgs({
  options: {
    events: { type: 'string', default: '1000000' },
    days: { type: 'string', default: '90' },
  },
})
const days = Number(values.days)
const eventsPerDay = Math.ceil(Number(values.events) / days)
const claimSeconds = 15 * 60
const yesterday = dayOf(Date.now() - dayMs)

const folder = await mkdtemp(join(tmpdir(), 'millrace-bench-'))
const cassandra = await startCassandra({ folder: join(folder, 'cassandra'), heapMb: 1_024 })
try {
  const { submit, jars } = await prepareSpark()
  const options = await optionsBelow(folder, 'data')
  const env: Record<string, string> = {
    MILLRACE_DATA: options.folder,
    MILLRACE_API_PORT: String(options.apiPort),
    MILLRACE_COLLECT_PORT: String(options.collectPort),
    MILLRACE_STORE: 'cassandra',
    MILLRACE_CASSANDRA_CONTACT_POINTS: cassandra.address,
    MILLRACE_CASSANDRA_DATACENTER: cassandra.datacenter,
    MILLRACE_RECOMMEND_SPARK_SUBMIT: submit,
    MILLRACE_RECOMMEND_SPARK_JARS: jars,
  }
  say(machine())
  await command(env, 'init')
  const running = await startMillrace({ ...options, env })
  try {
    const history = ['--days', `${days}`, '--events-per-day', `${eventsPerDay}`]
    say(await timed('fill', () => command(env, 'simulate', ...history)))
    const { python, env: airflow } = await prepareAirflow(join(folder, 'airflow'), 0)
    const script = new URL('../src/cli/millrace.ts', import.meta.url).pathname
    const dag = (more: Record<string, string> = {}): ChildProcess =>
      spawn(python, ['-m', 'airflow', 'dags', 'test', 'millrace_daily', yesterday], {
        env: {
          ...{ ...process.env, ...airflow, ...env },
          AIRFLOW_VAR_MILLRACE_COMMAND: `${process.execPath} ${script}`,
          AIRFLOW_VAR_MILLRACE_ENGINE: 'spark',
          AIRFLOW_VAR_MILLRACE_DAYS: `${days}`,
          DAILY_RETRIES: '0',
          ...more,
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      })

    const before = performance.now()
    const state = await timed('airflow dags test', () => endOf(dag()))
    const seconds = (performance.now() - before) / 1_000
    say(`run ${state}, ${seconds.toFixed(0)} s (claim ≤ ${claimSeconds})`)
    say(await command(env, 'recommend', 'models'))
    const item = /"itemId":"([^"]+)"/.exec(await command(env, 'top', 'items', '--json'))?.[1] ?? ''
    say(await timed('until it answers', () => untilServed(env, item)))
    const asked = await fetch(`${running.collectorUrl}/recommendations?item=${item}`)
    say(`served for item ${item}: ${(await asked.text()).slice(0, 200)}`)

    const served = await servedModel(env)
    // Other days than before, so that there is something to make.
    const next = dag({ AIRFLOW_VAR_MILLRACE_DAYS: `${days - 1}` })
    const ended = endOf(next)
    const killed = await killSpark(next)
    const after = `run ${await ended}, ${(await servedModel(env)) === served ? 'the same model' : 'ANOTHER MODEL'} is served`
    say(`Spark ${killed ? 'killed' : 'NOT FOUND'} in the middle: ${after}`)
  } finally {
    await running.stop()
  }
} finally {
  await cassandra.kill()
  await rm(folder, { recursive: true, force: true })
}

/** Asks until the published model answers: the process that serves looks for a new one every 30 s. */
async function untilServed(env: Readonly<Record<string, string>>, item: string): Promise<string> {
  const deadline = performance.now() + 120_000
  for (;;) {
    const shown = await command(env, 'recommend', 'show', item, '--limit', '3')
    if (shown.includes('co-occurrence') || performance.now() > deadline) return shown
    await sleep(1_000)
  }
}

/** The state of a run when it is over. */
async function endOf(child: ChildProcess): Promise<string> {
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk) => {
      output += String(chunk)
    })
  }
  await once(child, 'close')
  const [, state] = /DagRun Finished: .* state=(\w+)/.exec(output) ?? []
  if (state !== 'success') say(output.slice(-6_000))
  return state ?? 'unfinished'
}

/** Some seconds into its work; false when there was none. */
async function killSpark(child: ChildProcess): Promise<boolean> {
  while (child.exitCode === null) {
    const java = descendants(child.pid as number).find((pid) =>
      read(`/proc/${pid}/cmdline`).includes('org.apache.spark.deploy.SparkSubmit'),
    )
    if (java !== undefined) {
      await sleep(15_000)
      process.kill(java, 'SIGKILL')
      return true
    }
    await sleep(100)
  }
  return false
}

function descendants(pid: number): number[] {
  const children = read(`/proc/${pid}/task/${pid}/children`).split(' ').filter(Boolean).map(Number)
  return [...children, ...children.flatMap(descendants)]
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

async function servedModel(env: Readonly<Record<string, string>>): Promise<string | undefined> {
  const listed = await command(env, 'recommend', 'models')
  return /^(\S+) .* served$/m.exec(listed)?.[1]
}

async function command(
  env: Readonly<Record<string, string>>,
  ...args: readonly string[]
): Promise<string> {
  const { code, stdout, stderr } = await runCommand(args, env)
  if (code !== 0) throw new Error(`millrace ${args.join(' ')} ended with ${code}: ${stderr}`)
  return stdout.trim()
}

async function timed<Result>(what: string, work: () => Promise<Result>): Promise<Result> {
  const startedAt = performance.now()
  const result = await work()
  say(`${what}: ${((performance.now() - startedAt) / 1_000).toFixed(1)} s`)
  return result
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
