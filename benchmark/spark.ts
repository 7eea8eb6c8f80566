import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { startCassandra } from '../script/services/cassandra.ts'
import { prepareSpark } from '../script/services/spark.ts'
import { openStore, prepareStore } from '../src/cli/backends.ts'
import { loadConfig } from '../src/config.ts'
import { dayMs, dayOf } from '../src/lib/clock.ts'
import type { Row, Store } from '../src/store/store.ts'
import { makeTraffic } from '../test/recommend/spark-scene.ts'
import { machine } from './process.ts'

/**
 * Claim: a million events over 90 days in a real Cassandra are counted by Spark, equal to the
 * consumer's tallies on every closed day, and become a published model, in 15 minutes together on
 * two cores.
 * Method: the commands that a user types, one after the other, each timed whole; days are closed
 * before. Spark runs on this machine.
 *
 *     node benchmark/spark.ts [--events 1000000] [--days 90]
 */
const { values } = parseArgs({
  options: {
    events: { type: 'string', default: '1000000' },
    days: { type: 'string', default: '90' },
  },
})
const days = Number(values.days)
/** What `makeTraffic` makes of a session on average. */
const eventsPerSession = 5.5
const sessions = Math.ceil(Number(values.events) / eventsPerSession)
const batchRows = 10_000
const claimSeconds = 15 * 60
const run = promisify(execFile)

const start = Math.floor(Date.now() / dayMs - days) * dayMs
const lastDay = dayOf(start + (days - 1) * dayMs)
const folder = await mkdtemp(join(tmpdir(), 'millrace-bench-'))
const cassandra = await startCassandra({ folder: join(folder, 'cassandra'), heapMb: 1_024 })
try {
  const { submit, jars } = await prepareSpark()
  const env = {
    MILLRACE_DATA: join(folder, 'data'),
    MILLRACE_STORE: 'cassandra',
    MILLRACE_CASSANDRA_CONTACT_POINTS: cassandra.address,
    MILLRACE_CASSANDRA_DATACENTER: cassandra.datacenter,
    MILLRACE_RECOMMEND_SPARK_SUBMIT: submit,
    MILLRACE_RECOMMEND_SPARK_JARS: jars,
  }
  const config = await loadConfig({ folder: import.meta.dirname, env })
  await prepareStore(config)
  const store = await openStore(config)
  say(machine())
  await timed('fill', () => fill(store))
  await timed('close days', () => closeAll(store))
  await store.close()

  const asked = ['--last', `${days}d`, '--day', lastDay]
  const before = performance.now()
  const counted = await command(env, 'aggregates', ...asked)
  say(`${counted.match(/ yes$/gm)?.length ?? 0} of ${days} days equal`)
  const version = (await command(env, 'build', '--engine', 'spark', ...asked)).trim()
  say((await command(env, 'publish', version)).trim())
  const seconds = (performance.now() - before) / 1_000
  say(`together ${seconds.toFixed(0)} s (claim ≤ ${claimSeconds})`)
} finally {
  await cassandra.kill()
  await rm(folder, { recursive: true, force: true })
}

async function fill(store: Store): Promise<void> {
  const traffic = { start, days, sessions, parties: Math.ceil(sessions / 4), items: 5_000 }
  let rows: Row[] = []
  let written = 0
  for (const session of makeTraffic(traffic)) {
    rows.push(...session)
    if (rows.length < batchRows) continue
    await store.write({ rows, deadLetters: [], positions: [] })
    written += rows.length
    rows = []
  }
  await store.write({ rows, deadLetters: [], positions: [] })
  say(`${(written + rows.length).toLocaleString('en')} events over ${days} days`)
}

async function closeAll(store: Store): Promise<void> {
  for (const { day } of await store.days()) await store.closeDay(day)
}

/** Runs `millrace recommend NAME`; its output. */
async function command(
  env: Readonly<Record<string, string>>,
  name: string,
  ...args: readonly string[]
): Promise<string> {
  const script = new URL('../src/cli/millrace.ts', import.meta.url).pathname
  const options = { env: { ...process.env, ...env }, maxBuffer: 64 * 1024 * 1024 }
  return timed(`recommend ${name}`, async () => {
    return (await run(process.execPath, [script, 'recommend', name, ...args], options)).stdout
  })
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
