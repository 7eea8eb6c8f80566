import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createDecoder, eventRecordSchema } from '../../src/event/record.ts'
import { openEmbeddedLog } from '../../src/log/embedded/embedded.ts'
import {
  freePort,
  type Running,
  runCommand,
  startMillrace,
  temporaryFolder,
} from '../fault/process.ts'
import { embeddedOptions } from '../log/embedded-scene.ts'
import { readAll } from '../log/log.suite.ts'
import { until } from '../log/spool-scene.ts'
import { startLoad } from './load.ts'

/** Several processes behind one port, over the embedded log. */

interface Scene {
  readonly folder: string
  readonly port: number
  readonly running: Running
}

async function startScene(t: TestContext, workers: number): Promise<Scene> {
  const { path: folder, remove } = temporaryFolder()
  t.after(remove)
  const port = await freePort()
  const running = await startMillrace({
    folder,
    collectPort: port,
    apiPort: 0,
    command: ['collect', '--workers', String(workers)],
    env: { MILLRACE_COLLECT_REQUESTS_PER_SECOND_MAX: '0' },
  })
  t.after(() => running.stop())
  // The first worker answers before the others are there, and keeps the connections that it gets.
  await until(() => running.output().includes(`${workers} workers`))
  return { folder, port, running }
}

/** The newest process of each place that is alive. */
function workerPids({ running }: Scene): number[] {
  const places = new Map<string, number>()
  for (const [, place = '', pid] of running.output().matchAll(/worker (\d+) is process (\d+)/g)) {
    places.set(place, Number(pid))
  }
  return [...places.values()].filter(isAlive)
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

async function eventsOf(folder: string): Promise<string[]> {
  const options = embeddedOptions(join(folder, 'log'), { readOnly: true })
  const log = await openEmbeddedLog(options)
  const decoder = createDecoder(eventRecordSchema.text)
  const records = await readAll(log, { recordsMax: 1_000 })
  await log.close()
  return records.map(({ value }) => decoder.event(value).eventId)
}

async function metric(port: number, name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  const values = text
    .split('\n')
    .filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
  return values.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
}

test('two workers on one port: one set of metrics, replaced without a refusal, killed without a loss', async (t) => {
  const scene = await startScene(t, 2)
  const { folder, port, running } = scene
  const load = startLoad(port)

  await t.test('any worker answers /metrics for all of them', async () => {
    await load.more(300)
    await load.pause()
    const { size } = load.acknowledged
    assert.equal(await metric(port, 'millrace_collect_events_accepted_total'), size)
    assert.equal(await metric(port, 'millrace_workers'), 2)
    assert.equal(await metric(port, 'millrace_worker_restarts_total'), 0)
    // Each worker sees the lag of the whole log: the sum would be twice that.
    assert.equal(await metric(port, 'millrace_log_lag'), size)
    load.resume()
  })

  await t.test('SIGHUP replaces them one by one, and no request meets an error', async () => {
    const before = workerPids(scene)
    running.child.kill('SIGHUP')
    await until(() => /the workers are replaced$/m.test(running.output()))
    await load.more(200)
    const after = workerPids(scene)
    assert.equal(after.length, 2)
    assert.deepEqual(
      after.filter((pid) => before.includes(pid)),
      [],
    )
    assert.deepEqual(before.filter(isAlive), [])
    assert.deepEqual(load.failures, [])
    assert.equal(await metric(port, 'millrace_worker_restarts_total'), 2)
  })

  await t.test('one that is killed is replaced; what it acknowledged is there', async () => {
    const [victim = 0] = workerPids(scene)
    process.kill(victim, 'SIGKILL')
    await load.more(200)
    await until(() => workerPids(scene).length === 2)
    await until(async () => (await metric(port, 'millrace_workers')) === 2)
    await load.more(200)
    assert.ok(!workerPids(scene).includes(victim))
    assert.match(running.output(), /worker \d \(process \d+\) was ended by SIGKILL/)
    // What the killed one had not answered yet.
    assert.ok(load.failures.length <= 8, load.failures.join())
  })

  await load.stop()
  assert.equal(await running.stop(), 0)
  assert.deepEqual(workerPids(scene), [])
  const stored = new Set(await eventsOf(folder))
  assert.deepEqual(
    [...load.acknowledged].filter((id) => !stored.has(id)),
    [],
  )
})

test('workers that cannot listen end the command with the reason', async (t) => {
  const server = createServer()
  const port = await new Promise<number>((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port))
  })
  t.after(() => server.close())
  const { path: folder, remove } = temporaryFolder()
  t.after(remove)
  const { code, stdout, stderr } = await runCommand(['collect', '--workers', '2'], {
    MILLRACE_DATA: folder,
    MILLRACE_COLLECT_PORT: String(port),
  })
  assert.equal(code, 1)
  assert.equal(stdout, '')
  assert.match(stderr, /address_in_use/)
  assert.match(stderr, /worker_ended/)
})

test('a number of workers that makes no sense is refused', async () => {
  const { code, stderr } = await runCommand(['collect', '--workers', '0'], {})
  assert.equal(code, 2)
  assert.match(stderr, /from 1 to 256/)
})
