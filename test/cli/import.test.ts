import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { CountsAnswer, DeadLettersAnswer, HealthAnswer } from '../../src/api/answer.ts'
import {
  freePort,
  type Running,
  type RunOptions,
  runCommand,
  startMillrace,
  temporaryFolder,
} from '../fault/process.ts'

/** `millrace import` and `millrace simulate` as their users run them. */

const cli = new URL('../../src/cli/millrace.ts', import.meta.url).pathname
const folder = temporaryFolder()
after(() => folder.remove())

const map = ['--columns', 'session=s,item=i,time=t']

async function optionsFor(name: string): Promise<RunOptions> {
  return {
    folder: join(folder.path, name),
    collectPort: await freePort(),
    apiPort: await freePort(),
  }
}

function fileOf(name: string, content: string | Uint8Array): string {
  const path = join(folder.path, name)
  writeFileSync(path, content)
  return path
}

/** One row a second until an hour ago. */
function tableOf(rows: number): string {
  const start = Math.floor(Date.now() / 1_000) - 3_600 - rows
  const lines = Array.from(
    { length: rows },
    (_, row) => `s${row % 50}\ti${row % 9}\t${start + row}`,
  )
  return `s\ti\tt\n${lines.join('\n')}\n`
}

async function ask<T>({ apiUrl }: Running, path: string): Promise<T> {
  return (await (await fetch(`${apiUrl}${path}`)).json()) as T
}

async function total(running: Running): Promise<number> {
  const { rows } = await ask<CountsAnswer>(running, '/api/counts?last=90d')
  return rows.reduce((sum, { count }) => sum + count, 0)
}

test('a file goes through the running owner, twice changes nothing, and its bad rows are named', async () => {
  const options = await optionsFor('owner')
  const file = fileOf('history.tsv.gz', gzipSync(`${tableOf(2_000)}bad\trow\tnever\n`))
  const running = await startMillrace(options)
  try {
    const run = (...more: string[]) =>
      runCommand(['import', file, ...map, ...more], { MILLRACE_DATA: options.folder })
    const first = await run()
    assert.equal(first.code, 1, 'a refused row is a failure')
    assert.match(first.stdout, /^2,000 imported, 0 there already, 1 refused, of 2,001 rows/)
    assert.match(first.stderr, /line 2002: .*"never" is no time/)
    assert.match(first.stderr, /importing .* 2,001 of 2,001/, 'progress without a terminal')
    const second = await run('--again')
    assert.match(second.stdout, /^0 imported, 2,000 there already, 1 refused/)
    assert.match(second.stderr, /stays as it was first stored/)
    assert.doesNotMatch(first.stderr, /stays as it was first stored/)
    assert.equal(await total(running), 2_000)
    const { deadLetters } = await ask<DeadLettersAnswer>(running, '/api/dead-letters')
    assert.deepEqual(
      deadLetters.map(({ code, source, position, replayable }) => [
        code,
        source,
        position.topic,
        position.offset,
        replayable,
      ]),
      [['import_row', 'import', 'import', 2_000, false]],
    )
    const { lag, ok } = await ask<HealthAnswer>(running, '/api/health')
    assert.deepEqual([lag, ok], [0, true], 'the log of events knows nothing of it')
  } finally {
    await running.stop()
  }
})

test('history can be imported before the first start, and what is outside retention is refused', async () => {
  const options = await optionsFor('before')
  const environment = { MILLRACE_DATA: options.folder }
  const file = fileOf('before.tsv', `${tableOf(100)}old\ti\t930218797\n`)
  const refused = await runCommand(['import', file, ...map], environment)
  assert.equal(refused.code, 1)
  assert.match(
    refused.stderr,
    /1999-06-24[\s\S]*--outside-retention[\s\S]*import_outside_retention/,
  )
  const { code, stdout, stderr } = await runCommand(
    ['import', file, ...map, '--outside-retention'],
    environment,
  )
  assert.equal(code, 0, stderr)
  assert.match(stdout, /^101 imported/)
  const running = await startMillrace(options)
  try {
    assert.equal(await total(running), 100)
    const old = await ask<CountsAnswer>(running, '/api/counts?from=1999-06-24&to=1999-06-24')
    assert.equal(old.rows[0]?.count, 1)
    const forgotten = await runCommand(['import', file, ...map, '--forget'], environment)
    assert.equal(forgotten.code, 0, forgotten.stderr)
  } finally {
    await running.stop()
  }
})

test('an import that is interrupted keeps what it wrote, says so, and goes on there', async () => {
  const options = await optionsFor('interrupted')
  const file = fileOf('long.tsv', tableOf(40_000))
  const running = await startMillrace(options)
  try {
    const child = spawn(process.execPath, [cli, 'import', file, ...map], {
      env: { ...process.env, MILLRACE_DATA: options.folder },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let printed = ''
    child.stdout.on('data', (chunk) => {
      printed += String(chunk)
    })
    child.stderr.on('data', (chunk) => {
      const isBefore = !printed.includes('importing')
      printed += String(chunk)
      if (isBefore && printed.includes('importing')) child.kill('SIGINT')
    })
    const [code] = (await once(child, 'close')) as [number | null]
    assert.equal(code, 130, printed)
    assert.match(printed, /goes on here/)
    const before = await total(running)
    assert.ok(before > 0 && before < 40_000, `${before} rows`)
    const { stdout, stderr } = await runCommand(['import', file, ...map], {
      MILLRACE_DATA: options.folder,
    })
    const left = (40_000 - before).toLocaleString('en')
    assert.ok(stdout.startsWith(`${left} imported`), `${stdout}${stderr}`)
    assert.equal(await total(running), 40_000)
  } finally {
    await running.stop()
  }
})

test('what is wrong with a file or its columns is said in one line', async () => {
  const environment = { MILLRACE_DATA: join(folder.path, 'wrong') }
  const file = fileOf('wrong.tsv', 's\ti\tt\na\tb\tc\n')
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [[join(folder.path, 'none.tsv'), ...map], /no such file[\s\S]*import_unreadable/],
    [
      [file, '--columns', 'session=x,time=t'],
      /"x"; the file has "s", "i", "t"[\s\S]*import_columns/,
    ],
    [[file, '--columns', 'sesion=s,time=t'], /did you mean session/],
    [[file, ...map], /1 of 1; the first: line 2: .*"c" is no time[\s\S]*import_refused/],
    [[fileOf('data.bin', 'x'), ...map], /--format tsv, csv, ndjson or avro[\s\S]*import_format/],
  ]
  for (const [args, expected] of cases) {
    const { code, stderr } = await runCommand(['import', ...args], environment)
    assert.equal(code, 1, stderr)
    assert.match(stderr, expected)
    assert.doesNotMatch(stderr, / at .*\.ts:/, 'no stack')
  }
  const { code, stderr } = await runCommand(['import', file, '--format', 'xls'], environment)
  assert.equal(code, 2)
  assert.match(stderr, /tsv, csv, ndjson, avro/)
})

test('a simulated past is there once, and live traffic is accepted', async () => {
  const options = await optionsFor('simulated')
  const environment = { MILLRACE_DATA: options.folder }
  const running = await startMillrace(options)
  try {
    const args = ['simulate', '--days', '7', '--events-per-day', '100']
    const first = await runCommand(args, environment)
    assert.equal(first.code, 0, first.stderr)
    const before = await ask<CountsAnswer>(running, '/api/counts?last=30d&bots=include')
    assert.equal(new Set(before.rows.map(({ day }) => day)).size >= 7, true)
    const second = await runCommand([...args, '--again'], environment)
    assert.match(second.stdout, /^0 imported/)
    assert.deepEqual(await ask(running, '/api/counts?last=30d&bots=include'), before)
    const live = await runCommand(['simulate', '--rate', '20', '--seconds', '1'], environment)
    assert.equal(live.code, 0, live.stderr)
    assert.match(live.stdout, /^20 sent, 20 accepted, 0 refused/)
  } finally {
    await running.stop()
  }
})

test('simulate without anything to do, and past the rate limit, says what to do', async () => {
  const options = await optionsFor('limited')
  const environment = { MILLRACE_DATA: options.folder }
  const idle = await runCommand(['simulate'], environment)
  assert.equal(idle.code, 2)
  assert.match(idle.stderr, /--days .*--rate/)
  const absent = await runCommand(['simulate', '--rate', '1'], environment)
  assert.match(absent.stderr, /collector_absent/)
  const running = await startMillrace({
    ...options,
    env: {
      MILLRACE_COLLECT_REQUESTS_PER_SECOND_MAX: '5',
      MILLRACE_COLLECT_REQUESTS_BURST_MAX: '5',
    },
  })
  try {
    const { code, stdout, stderr } = await runCommand(
      ['simulate', '--rate', '50', '--seconds', '1'],
      environment,
    )
    assert.equal(code, 1)
    assert.match(stdout, /[1-9]\d* over the rate limit/)
    assert.match(stderr, /429.*collect\.requestsPerSecondMax/)
  } finally {
    await running.stop()
  }
})
