import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { prepareAirflow } from '../../script/services/airflow.ts'
import { dayMs, dayOf } from '../../src/lib/clock.ts'
import {
  environmentOf,
  optionsBelow,
  type Running,
  runCommand,
  startMillrace,
  temporaryFolder,
  untilStored,
} from '../fault/process.ts'

/** The DAG of deploy/airflow as Airflow itself runs it, over a real `millrace start` with two weeks of a shop. */

const folder = temporaryFolder()
const days = 14
const yesterday = dayOf(Date.now() - dayMs)
let running: Running
let millrace: Record<string, string>
let python: string
let airflow: Record<string, string>

before(async () => {
  const options = await optionsBelow(folder.path, 'data')
  // Housekeeping closes days too: here only the DAG shall.
  const env = { MILLRACE_CONSUME_HOUSEKEEPING_MS: '86400000' }
  running = await startMillrace({ ...options, env })
  millrace = environmentOf(options)
  const filled = await command('simulate', '--days', `${days}`, '--events-per-day', '700')
  assert.equal(filled.code, 0, filled.stderr)
  const prepared = await prepareAirflow(join(folder.path, 'airflow'), 0)
  python = prepared.python
  airflow = {
    ...prepared.env,
    ...millrace,
    AIRFLOW_VAR_MILLRACE_COMMAND: `${process.execPath} ${join(process.cwd(), 'src/cli/millrace.ts')}`,
    // Each retry waits a minute and more.
    DAILY_RETRIES: '0',
  }
})

after(async () => {
  await running?.stop()
  folder.remove()
})

function command(...args: string[]) {
  return runCommand(args, millrace)
}

interface DagRun {
  /** By task. */
  readonly states: Readonly<Record<string, string>>
  readonly output: string
}

/** `airflow dags test millrace_daily DAY`. */
async function dagsTest(day: string, variables: Record<string, string> = {}): Promise<DagRun> {
  const output = await runAirflow(variables, 'dags', 'test', 'millrace_daily', day)
  const at = ['tasks', 'states-for-dag-run', '--output', 'json', 'millrace_daily', runOf(output)]
  const told = await runAirflow({}, ...at)
  const rows = JSON.parse(/^\[\{.*\}\]$/m.exec(told)?.[0] ?? '[]') as {
    task_id: string
    state: string
  }[]
  return { states: Object.fromEntries(rows.map((row) => [row.task_id, row.state])), output }
}

function runOf(output: string): string {
  const [, run] = /DagRun Finished: dag_id=millrace_daily,.* run_id=([^,]+),/.exec(output) ?? []
  assert.ok(run, output.slice(-4_000))
  return run
}

async function runAirflow(env: Record<string, string>, ...args: string[]): Promise<string> {
  const child = spawn(python, ['-m', 'airflow', ...args], {
    env: { ...process.env, ...airflow, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output += String(chunk)
    })
  }
  await once(child, 'close')
  return output
}

async function models(): Promise<string> {
  return (await command('recommend', 'models', '--json')).stdout
}

async function openDays(): Promise<string[]> {
  const answer = await fetch(`${running.apiUrl}/api/days`)
  const { rows } = (await answer.json()) as { rows: { day: string; openRows: number }[] }
  return rows.filter(({ openRows }) => openRows > 0).map(({ day }) => day)
}

const all = { close: 'success', check: 'success', build: 'success', publish: 'success' }

test('a run closes what is over, checks every day, builds a model and publishes it', async () => {
  assert.equal((await openDays()).length, days)
  const { states, output } = await dagsTest(yesterday)
  assert.deepEqual(states, { ...all, retain: 'success', alert: 'skipped' }, output.slice(-8_000))
  // The day before yesterday's week is over; the seven after it are not.
  const lateDays = Array.from({ length: 7 }, (_, at) => dayOf(Date.now() - (7 - at) * dayMs))
  assert.deepEqual(await openDays(), lateDays)
  assert.match(output, /whole; stored until/)
  assert.equal((await models()).match(/"isServed":true/g)?.length, 1)
})

test('the same day again changes nothing', async () => {
  const [before, open] = [await models(), await openDays()]
  const { states } = await dagsTest(yesterday)
  assert.deepEqual(states, { ...all, retain: 'success', alert: 'skipped' })
  assert.equal(await models(), before)
  assert.deepEqual(await openDays(), open)
})

test('a model that is worse is kept out, with an alert, and retention goes on', async () => {
  const served = (text: string): string | undefined =>
    /"version":"([^"]+)"[^\n]*"isServed":true/.exec(text)?.[1]
  const before = served(await models())
  const { states } = await dagsTest(yesterday, { AIRFLOW_VAR_MILLRACE_DAYS: '1' })
  const kept = { ...all, publish: 'skipped', retain: 'success', alert: 'failed' }
  assert.deepEqual(states, kept)
  assert.ok(before)
  assert.equal(served(await models()), before)
  assert.equal((await models()).trim().split('\n').length, 2)
})

/** An event of yesterday that says it is the 8,000th of its page view; none of the others came. */
async function sendAfterGap(): Promise<void> {
  const pageViewId = `0:${'a'.repeat(32)}`
  const event = {
    eventId: `${pageViewId}1f40`,
    partyId: `0:mwszoc8n:${'b'.repeat(32)}`,
    sessionId: `0:mwszoc8n:${'b'.repeat(32)}`,
    pageViewId,
    eventType: 'pageView',
    clientTime: Date.now() - dayMs,
  }
  const answer = await fetch(`${running.collectorUrl}/events`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ events: [event] }),
  })
  assert.deepEqual(await answer.json(), {
    results: [{ eventId: event.eventId, status: 'accepted' }],
  })
  await untilStored(running)
}

test('a check that fails stops the build', async () => {
  const before = await models()
  await sendAfterGap()
  const { states, output } = await dagsTest(yesterday)
  assert.equal(states['close'], 'success')
  assert.equal(states['check'], 'failed')
  for (const task of ['build', 'publish', 'retain']) {
    assert.equal(states[task], 'upstream_failed', task)
  }
  // That is for a model which was kept out; this run is a failure by itself.
  assert.equal(states['alert'], 'skipped')
  assert.match(output, /events are missing, .* the limit is 2.00 %/)
  assert.equal(await models(), before)
})
