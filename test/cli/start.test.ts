import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { CountsAnswer, EventsAnswer, HealthAnswer } from '../../src/api/answer.ts'
import {
  environmentOf,
  optionsBelow,
  type Running,
  type RunOptions,
  runCommand,
  startMillrace,
  temporaryFolder,
  untilDeadLetter,
  untilStored,
} from '../fault/process.ts'

/** The product as its users run it: the command line, two ports, a folder. */

const folder = temporaryFolder()
after(() => folder.remove())

const optionsFor = (name: string): Promise<RunOptions> => optionsBelow(folder.path, name)

async function post(running: Running, ...events: object[]): Promise<unknown> {
  const response = await fetch(`${running.collectorUrl}/events`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ events }),
  })
  return response.json()
}

async function ask<T>(running: Running, path: string): Promise<T> {
  return (await (await fetch(`${running.apiUrl}${path}`)).json()) as T
}

const order = {
  eventId: 'order-1',
  partyId: 'party-1',
  eventType: 'purchase',
  parameters: { item_id: 101321 },
}

test('the same event three times is one event with two repeats, and a replay changes nothing', async () => {
  const options = await optionsFor('repeats')
  const running = await startMillrace(options)
  try {
    const clientTime = new Date().toISOString()
    for (let time = 0; time < 3; time++) {
      const answer = await post(running, { ...order, clientTime })
      assert.deepEqual(answer, { results: [{ eventId: 'order-1', status: 'accepted' }] })
      // Another receipt has another time of receipt; the same millisecond would be a redelivery.
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    await untilStored(running)
    const answers = async (): Promise<unknown[]> => {
      const { events, next } = await ask<EventsAnswer>(running, '/api/events?last=30d')
      const { rows } = await ask<CountsAnswer>(running, '/api/counts?last=90d')
      const { duplicates, deadLetters } = await ask<HealthAnswer>(running, '/api/health')
      return [events, next, rows, duplicates, deadLetters]
    }
    const before = await answers()
    const [events, , rows, duplicates] = before as [
      EventsAnswer['events'],
      null,
      CountsAnswer['rows'],
      number,
    ]
    assert.equal(events.length, 1)
    assert.equal(events[0]?.itemId, '101321')
    assert.deepEqual(events[0]?.parameters, { item_id: 101321 })
    assert.equal(rows[0]?.count, 1)
    assert.equal(duplicates, 2)
    for (const batch of ['1', '2', '1000']) {
      const { code, stdout, stderr } = await runCommand(
        ['replay', '--from', 'earliest', '--batch', batch],
        environmentOf(options),
      )
      assert.equal(code, 0, stderr)
      assert.match(stdout, /^3 of 3 records read again$/m)
      assert.deepEqual(await answers(), before)
    }
    assert.equal(await running.stop(), 0)
    const again = await startMillrace(options)
    try {
      assert.deepEqual(await ask(again, '/api/events?last=30d'), { events, next: null })
    } finally {
      await again.stop()
    }
  } finally {
    await running.stop()
  }
})

test('what the collector refuses is listed with its reason, and a replay stores it once it can be', async () => {
  const options = await optionsFor('dead-letters')
  const running = await startMillrace(options)
  const environment = environmentOf(options)
  try {
    const parameters = { deep: [[[['here']]]] }
    const strict = { ...options, env: { MILLRACE_COLLECT_PARAMETERS_DEPTH_MAX: '2' } }
    await running.stop()
    const refusing = await startMillrace(strict)
    const answer = await post(refusing, { ...order, parameters }, { ...order, eventId: 'order-2' })
    const { results } = answer as { results: { status: string }[] }
    assert.deepEqual(
      results.map(({ status }) => status),
      ['rejected', 'accepted'],
    )
    await untilStored(refusing)
    await untilDeadLetter(refusing)
    const list = await runCommand(['dead-letters', 'list'], environment)
    assert.match(list.stdout, /rejected\/0\/0 {2}open {2}parameters_too_large/)
    await refusing.stop()
    const lenient = await startMillrace(options)
    try {
      const replayed = await runCommand(['dead-letters', 'replay', 'rejected/0/0'], environment)
      assert.equal(replayed.code, 0, replayed.stderr)
      const twice = await runCommand(['dead-letters', 'replay', 'rejected/0/0'], environment)
      assert.equal(twice.code, 0, twice.stderr)
      await untilStored(lenient)
      const { events } = await ask<EventsAnswer>(lenient, '/api/events?last=30d')
      assert.deepEqual(events.map(({ eventId }) => eventId).sort(), ['order-1', 'order-2'])
      const after = await runCommand(['dead-letters', 'list'], environment)
      assert.match(after.stdout, /rejected\/0\/0 {2}replayed/)
    } finally {
      await lenient.stop()
    }
  } finally {
    await running.stop()
  }
})

test('a collector of its own and a consumer of its own share one folder', async () => {
  const options = await optionsFor('apart')
  const collector = await startMillrace({ ...options, command: ['collect'] })
  try {
    await post(collector, order)
    const consumer = await startMillrace({ ...options, command: ['consume'] })
    try {
      await post(collector, { ...order, eventId: 'order-2' })
      const deadline = performance.now() + 60_000
      let events: EventsAnswer['events'] = []
      while (events.length < 2 && performance.now() < deadline) {
        await new Promise((resolve) => setTimeout(resolve, 50))
        events = (await ask<EventsAnswer>(consumer, '/api/events?last=1d')).events
      }
      assert.equal(events.length, 2)
    } finally {
      assert.equal(await consumer.stop(), 0)
    }
  } finally {
    assert.equal(await collector.stop(), 0)
  }
})

test('a second owner exits and names the first; commands go through the first', async () => {
  const options = await optionsFor('owner')
  const running = await startMillrace(options)
  try {
    const ports = { MILLRACE_COLLECT_PORT: '0', MILLRACE_API_PORT: '0' }
    for (const command of ['start', 'consume', 'serve']) {
      const { code, stderr } = await runCommand([command], { ...environmentOf(options), ...ports })
      assert.equal(code, 1)
      assert.match(
        stderr,
        new RegExp(`process ${running.child.pid}, which answers at ${running.apiUrl}`),
      )
    }
    const mode = statSync(join(options.folder, 'owner.json')).mode & 0o777
    assert.equal(mode, 0o600)
    const { stdout } = await runCommand(['count', '--last', '90d'], environmentOf(options))
    assert.match(stdout, /^total +0$/m)
  } finally {
    await running.stop()
  }
  const { code, stderr } = await runCommand(['count'], environmentOf(options))
  assert.equal(code, 1)
  assert.match(stderr, /No running Millrace owns this data folder[\s\S]*owner_absent/)
})

test('events --follow prints each event as it arrives', async () => {
  const options = await optionsFor('follow')
  const running = await startMillrace(options)
  try {
    const following = runCommand(['events', '--follow', '--limit', '2'], environmentOf(options))
    // The tail begins when the command is connected, which it does not say.
    const sent: Promise<unknown>[] = []
    const sender = setInterval(() => sent.push(post(running, { eventType: 'tick' })), 100)
    const { code, stdout } = await following.finally(() => clearInterval(sender))
    await Promise.allSettled(sent)
    assert.equal(code, 0)
    assert.equal(stdout.trim().split('\n').length, 2)
    assert.match(stdout, /tick/)
  } finally {
    await running.stop()
  }
})

test('a taken port, a typo and an open API are refused with what to do', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  after(() => server.close())
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as { port: number }
  const data = { MILLRACE_DATA: join(folder.path, 'refused') }
  const cases: [args: string[], env: Record<string, string>, message: RegExp][] = [
    [['start', '--api-port', '0', '--collect-port', String(port)], {}, /address_in_use/],
    [['start', '--collect-port', '0', '--api-port', String(port)], {}, /address_in_use/],
    [['start'], { MILLRACE_COLECT_PORT: '1' }, /did you mean MILLRACE_COLLECT_PORT\?/],
    [['start', '--set', 'collect.prot=1'], {}, /did you mean port\?/],
    [['start', '--api-host', '0.0.0.0'], {}, /at least 32 characters/],
    [['start', '--config', 'absent.config.ts'], {}, /does not exist/],
  ]
  for (const [args, env, message] of cases) {
    const { code, stderr } = await runCommand(args, { ...data, ...env })
    assert.equal(code, 1, args.join(' '))
    assert.match(stderr, message)
  }
})

test('a data folder that is a file, or a foreign store, is refused and stays as it is', async () => {
  const path = join(folder.path, 'a-file')
  writeFileSync(path, 'not a folder')
  const { code, stderr } = await runCommand(['start'], { MILLRACE_DATA: path })
  assert.equal(code, 1)
  assert.match(stderr, /\[log_unwritable\]|\[log_corrupt\]/)
})

test('every command has help, and an unknown one is refused', async () => {
  const commands = [
    'start',
    'collect',
    'consume',
    'serve',
    'init',
    'events',
    'count',
    'health',
    'replay',
  ]
  for (const args of [
    [],
    ...commands.map((name) => [name]),
    ['dead-letters'],
    ['dead-letters', 'list'],
  ]) {
    const { code, stdout } = await runCommand([...args, '--help'], {})
    assert.equal(code, 0)
    assert.match(stdout, /Usage: millrace/)
  }
  const { code, stderr } = await runCommand(['strat'], {})
  assert.equal(code, 2)
  assert.match(stderr, /Did you mean start/)
})

test('init prepares a folder and can be run again', async () => {
  const env = { MILLRACE_DATA: join(folder.path, 'init') }
  const first = await runCommand(['init'], env)
  const second = await runCommand(['init'], env)
  assert.equal(first.code, 0, first.stderr)
  assert.equal(second.stdout, first.stdout)
})

test('a SIGTERM to npm stops Millrace too, although its shell does not pass it on', async () => {
  const options = await optionsFor('npm')
  const env = { ...process.env, ...environmentOf(options) }
  const npm = spawn('npm', ['start'], { env, stdio: 'ignore' })
  const url = `http://127.0.0.1:${options.collectPort}/ping`
  const answers = (): Promise<boolean> =>
    fetch(url).then(
      () => true,
      () => false,
    )
  const until = async (isSo: () => Promise<boolean>, what: string): Promise<void> => {
    const deadline = performance.now() + 180_000
    while (!(await isSo())) {
      assert.ok(performance.now() < deadline, `still ${what}`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
  await until(answers, 'no answer')
  const { pid } = JSON.parse(readFileSync(join(options.folder, 'owner.json'), 'utf8'))
  npm.kill('SIGTERM')
  await until(async () => !(await answers()), 'an answer')
  // It still writes after it has let its ports go.
  await until(async () => !isAlive(pid), 'alive')
})

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
