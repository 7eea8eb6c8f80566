import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  globSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { ErasureAnswer } from '../../src/api/answer.ts'
import type { Finding } from '../../src/cli/doctor-finding.ts'
import { dayOf } from '../../src/lib/clock.ts'
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

/** What a user takes along, erases, backs up and has examined, by the command line. */

const folder = temporaryFolder()
after(() => folder.remove())

const optionsFor = (name: string): Promise<RunOptions> => optionsBelow(folder.path, name)

const ann = `ann's "id"/é`
const bob = '0:iq8k:bobbobbobbobbobbob~_123'

async function sendEvents(running: Running): Promise<void> {
  const events = Array.from({ length: 40 }, (_, n) => ({
    eventId: `e${n}`,
    partyId: n % 2 === 0 ? ann : bob,
    eventType: 'pageView',
    parameters: { n },
  }))
  // The last one is refused: a dead letter that names a party.
  const refused = { eventId: 'x', partyId: bob, eventType: 'y'.repeat(2_000) }
  const response = await fetch(`${running.collectorUrl}/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ events: [...events, refused] }),
  })
  assert.ok(response.status < 500)
  await untilStored(running)
  await untilDeadLetter(running)
}

async function ask<T>(running: Running, path: string): Promise<T> {
  return (await (await fetch(`${running.apiUrl}${path}`)).json()) as T
}

const questions = [
  '/api/events?last=30d&bots=include&limit=1000',
  '/api/counts?last=90d&bots=include',
  '/api/uniques?last=30d&bots=include',
  '/api/dead-letters',
]

function answersOf(running: Running): Promise<unknown[]> {
  return Promise.all(questions.map((path) => ask(running, path)))
}

/** The files below a folder in which a text stands, as it is or as JSON or a query string has it. */
function filesWith(path: string, text: string): string[] {
  const forms = [text, JSON.stringify(text).slice(1, -1), encodeURIComponent(text)]
  return globSync('**', { cwd: path }).filter((name) => {
    if (!statSync(join(path, name)).isFile()) return false
    const bytes = readFileSync(join(path, name))
    return forms.some((form) => bytes.includes(form))
  })
}

test('events are exported in each form, whole or not at all', async () => {
  const options = await optionsFor('export')
  const running = await startMillrace(options)
  const out = join(folder.path, 'exported')
  const run = (...args: string[]) => runCommand(['export', ...args], environmentOf(options))
  try {
    await sendEvents(running)
    const today = dayOf(Date.now())
    const parquet = await run('--format', 'parquet', '--last', '2d', '--out', out)
    assert.equal(parquet.code, 0, parquet.stderr)
    const files = globSync('**/*.parquet', { cwd: out })
    assert.deepEqual(files, [`day=${today}/part-0.parquet`])
    assert.equal(
      readFileSync(join(out, files[0] ?? ''))
        .subarray(0, 4)
        .toString(),
      'PAR1',
    )
    const csv = await run('--format', 'csv', '--day', today, '--out', join(out, 'a', 'events.csv'))
    assert.equal(csv.code, 0, csv.stderr)
    const lines = readFileSync(join(out, 'a', 'events.csv'), 'utf8')
      .trimEnd()
      .split('\r\n')
    assert.equal(lines.length, 41)
    const json = await run('--format', 'ndjson', '--last', '1d')
    assert.equal(json.stdout.trimEnd().split('\n').length, 40)
    assert.equal(JSON.parse(json.stdout.split('\n')[0] ?? '').partyId.length > 0, true)
    const empty = await run('--format', 'csv', '--day', '2020-01-01')
    assert.match(empty.stdout, /^day,eventId,[^\n]+\r\n$/)
    for (const args of [
      ['--format', 'parquet', '--last', '1d', '--out', join(out, 'a', 'events.csv')],
      ['--format', 'csv', '--last', '99999d', '--out', join(out, 'never.csv')],
    ]) {
      const { code, stderr } = await run(...args)
      assert.equal(code, 1, args.join(' '))
      assert.match(stderr, /\[question_/)
    }
    assert.deepEqual(readdirSync(out).sort(), ['a', `day=${today}`])
    assert.deepEqual(globSync('**/*.part', { cwd: out }), [])
    assert.deepEqual(readdirSync(join(options.folder, 'temp')), [])
  } finally {
    await running.stop()
  }
})

test('all about a party is shown and taken along; erased, it is on disk only where the receipt says', async () => {
  const options = await optionsFor('erase')
  const running = await startMillrace(options)
  const environment = environmentOf(options)
  const run = (...args: string[]) => runCommand(args, environment)
  try {
    await sendEvents(running)
    const way = await run('party', ann)
    assert.match(way.stdout, /20 events, 0 repeats, 20 kept times, 0 dead letters/)
    const file = join(folder.path, 'bob.ndjson')
    const exported = await run('party', bob, '--export', file)
    assert.equal(exported.code, 0, exported.stderr)
    const lines = readFileSync(file, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    assert.equal(lines.filter(({ event }) => event?.partyId === bob).length, 20)
    assert.equal(lines.filter(({ deadLetter }) => deadLetter !== undefined).length, 1)
    assert.deepEqual(lines.at(-1).stored, { events: 20, repeats: 0, claims: 20, deadLetters: 1 })
    assert.notDeepEqual(filesWith(join(options.folder, 'store'), bob), [])

    const unasked = await run('erase', bob)
    assert.equal(unasked.code, 1)
    assert.match(unasked.stderr, /nothing was erased/)
    const erased = await run('erase', bob, '--yes', '--json')
    assert.equal(erased.code, 0, erased.stderr)
    const receipt = JSON.parse(erased.stdout) as ErasureAnswer
    assert.equal(receipt.state, 'final')
    const rows = Object.fromEntries(receipt.places.map(({ place, rows: count }) => [place, count]))
    assert.deepEqual(rows, {
      events: 20,
      repeats: 0,
      claims: 20,
      deadLetters: 1,
      log: null,
      backups: null,
    })
    const log = receipt.places.find(({ place }) => place === 'log')
    const days = (Date.parse(log?.expiresAt ?? '') - Date.now()) / 86_400_000
    assert.ok(days > 7 && days < 8.1, `${days} days`)
    // The log is the one place with a date.
    assert.ok(filesWith(options.folder, bob).every((name) => name.startsWith('log/')))
    assert.notDeepEqual(filesWith(options.folder, bob), [])

    const erasedAnn = await run('erase', ann, '--yes')
    assert.match(erasedAnn.stdout, /events, open and closed days +20 deleted/)
    assert.match(erasedAnn.stdout, /event log +expires by 2/)
    assert.ok(filesWith(options.folder, ann).every((name) => name.startsWith('log/')))
    const replayed = await run('replay', '--from', 'earliest')
    assert.equal(replayed.code, 0, replayed.stderr)
    const [events, counts, , letters] = (await answersOf(running)) as [
      { events: [] },
      { rows: [] },
      unknown,
      { deadLetters: [] },
    ]
    assert.deepEqual([events.events, counts.rows, letters.deadLetters], [[], [], []])
    assert.ok(filesWith(options.folder, bob).every((name) => name.startsWith('log/')))

    const again = await run('erase', bob, '--receipt', '--json')
    assert.equal((JSON.parse(again.stdout) as ErasureAnswer).dropped, 21)
    const nobody = await run('erase', `nobody'; --`, '--yes')
    assert.equal(nobody.code, 0)
    assert.match(nobody.stdout, /nothing was found in the store/)
    assert.match((await run('erase', 'somebody', '--receipt')).stderr, /was not erased/)
    const stranger = await fetch(`${running.apiUrl}/api/parties/x/erase`, { method: 'POST' })
    assert.equal(stranger.status, 401)
    const link = { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' }
    const foreign = await fetch(`${running.apiUrl}/api/parties/x/erase`, {
      method: 'POST',
      headers: link,
    })
    assert.equal(foreign.status, 403)
  } finally {
    await running.stop()
  }
})

test('a backup of a running system gives the same answers in another folder, and goes on there', async () => {
  const options = await optionsFor('backup')
  const running = await startMillrace(options)
  const file = join(folder.path, 'backups', 'one.tar')
  let before: unknown[]
  try {
    await sendEvents(running)
    const { code, stderr } = await runCommand(['backup', file], environmentOf(options))
    assert.equal(code, 0, stderr)
    before = await answersOf(running)
    assert.deepEqual(readdirSync(join(options.folder, 'temp')), [])
    mkdirSync(join(folder.path, 'many'))
    const second = await runCommand(['backup', join(folder.path, 'many')], environmentOf(options))
    assert.equal(second.code, 0, second.stderr)
    assert.match(
      readdirSync(join(folder.path, 'many')).join(),
      /^millrace-\d{4}-\d\d-\d\dT\d{6}Z\.tar$/,
    )
    const used = await runCommand(['restore', file], environmentOf(options))
    assert.equal(used.code, 1)
    assert.match(used.stderr, /is not empty[\s\S]*restore_refused/)
  } finally {
    await running.stop()
  }
  const restored = await optionsFor('restored')
  // What a restore that was killed leaves does not stand in the way.
  mkdirSync(join(restored.folder, 'restoring', 'store'), { recursive: true })
  const { code, stdout, stderr } = await runCommand(['restore', file], environmentOf(restored))
  assert.equal(code, 0, stderr)
  assert.match(stdout, /holds 40 events and 1 dead letter /)
  assert.deepEqual(readdirSync(restored.folder).sort(), ['log', 'store'])
  const again = await startMillrace(restored)
  try {
    assert.deepEqual(await answersOf(again), before)
    await sendEvents(again)
    const { events } = await ask<{ events: unknown[] }>(again, questions[0] ?? '')
    // Without a client time, the same ids are known by their claim.
    assert.equal(events.length, 40)
  } finally {
    await again.stop()
  }
})

test('a backup that is cut, changed, of another version or absent is refused, and leaves nothing', async () => {
  const options = await optionsFor('broken')
  const file = join(folder.path, 'broken.tar')
  writeFileSync(file, readFileSync(join(folder.path, 'backups', 'one.tar')))
  const refused = async (code: RegExp): Promise<void> => {
    const { code: exit, stderr } = await runCommand(['restore', file], environmentOf(options))
    assert.equal(exit, 1)
    assert.match(stderr, code)
    assert.deepEqual(existsSync(options.folder) ? readdirSync(options.folder) : [], [])
  }
  const { size } = statSync(file)
  truncateSync(file, Math.floor(size / 2))
  await refused(/backup_invalid/)
  const bytes = readFileSync(join(folder.path, 'backups', 'one.tar'))
  const version = Buffer.from(bytes)
  version.write('"format": 9', bytes.indexOf('"format": 1'))
  writeFileSync(file, version)
  await refused(/backup_version/)
  writeFileSync(file, 'PK')
  await refused(/backup_invalid/)
  const { stderr } = await runCommand(
    ['restore', join(folder.path, 'absent')],
    environmentOf(options),
  )
  assert.match(stderr, /there is no file/)
  assert.equal(createHash('sha256').update(bytes).digest('hex').length, 64)
})

test('doctor says in words what is wrong, and exits with 1 when something must be mended', async () => {
  const options = await optionsFor('doctor')
  const run = async (env: Record<string, string> = {}) => {
    const { code, stdout } = await runCommand(['doctor', '--json'], {
      ...environmentOf(options),
      ...env,
    })
    const findings = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Finding)
    const levels = Object.fromEntries(findings.map(({ check, level }) => [check, level]))
    for (const { level, advice } of findings) assert.equal(advice === null, level === 'ok')
    return { code, levels, findings }
  }
  const fresh = await run()
  assert.equal(fresh.code, 0)
  assert.equal(fresh.levels['data folder'], 'warn')
  assert.equal(fresh.levels['owner'], 'warn')
  const server = createServer().listen(options.collectPort, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const taken = await run()
  assert.equal(taken.code, 1)
  assert.equal(taken.levels['collector port'], 'fail')
  assert.match(JSON.stringify(taken.findings), new RegExp(`held by process ${process.pid}`))
  await new Promise((resolve) => server.close(resolve))
  const invalid = await run({ MILLRACE_COLLECT_PRT: '1' })
  assert.deepEqual(invalid.levels, { configuration: 'fail' })
  assert.equal(
    (await run({ MILLRACE_LOG_DISK_RESERVE_BYTES: String(2 ** 52) })).levels['disk'],
    'fail',
  )

  const running = await startMillrace(options)
  try {
    await sendEvents(running)
    const well = await run()
    assert.equal(well.code, 0, JSON.stringify(well.findings))
    assert.equal(well.levels['dead letters'], 'warn')
    for (const check of [
      'owner',
      'health',
      'consumer',
      'collector',
      'newest event',
      'erasures',
      'owner.json',
      'log size',
    ]) {
      assert.equal(well.levels[check], 'ok', check)
    }
    chmodSync(join(options.folder, 'owner.json'), 0o644)
    const open = await run()
    assert.equal(open.code, 1)
    assert.equal(open.levels['owner.json'], 'fail')
    const { stdout } = await runCommand(['doctor'], environmentOf(options))
    assert.match(
      stdout,
      /fail {2}owner\.json +others can read the token in it \(644\)\n +→ chmod 600/,
    )
    assert.match(stdout, /1 to mend, \d+ to look at, \d+ fine\n$/)
  } finally {
    await running.stop()
  }
  const file = join(folder.path, 'no-folder')
  writeFileSync(file, '')
  assert.equal((await run({ MILLRACE_DATA: file })).levels['data folder'], 'fail')
})
