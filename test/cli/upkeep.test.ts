import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { dayMs, dayOf } from '../../src/lib/clock.ts'
import type { CheckResult } from '../../src/query/check.ts'
import {
  environmentOf,
  optionsBelow,
  type Running,
  runCommand,
  startMillrace,
  temporaryFolder,
} from '../fault/process.ts'

/** What is done once a day, by its commands: each may run again, and says by its exit code how it went. */

const folder = temporaryFolder()
const daysAgo = (days: number): string => dayOf(Date.now() - days * dayMs)
let running: Running
let environment: Record<string, string>

before(async () => {
  const options = await optionsBelow(folder.path, 'data')
  environment = environmentOf(options)
  running = await startMillrace({
    ...options,
    env: { MILLRACE_CONSUME_HOUSEKEEPING_MS: '86400000' },
  })
  const filled = await run('simulate', '--days', '10', '--events-per-day', '100')
  assert.equal(filled.code, 0, filled.stderr)
})

after(async () => {
  await running?.stop()
  folder.remove()
})

function run(...args: string[]) {
  return runCommand(args, environment)
}

test('close --until closes what is over, once, and says which days cannot be closed yet', async () => {
  const first = await run('close', '--until', daysAgo(9))
  assert.equal(first.code, 0, first.stderr)
  assert.match(first.stdout, /^2 days closed: /)
  const again = await run('close', '--until', daysAgo(9))
  assert.deepEqual([again.code, again.stdout], [0, 'Nothing to close\n'])
  // The last of them may get late events for days: it is of no use to wait.
  const open = await run('close', '--until', daysAgo(7), '--wait', '600')
  assert.equal(open.code, 4)
  assert.match(open.stdout, /^1 day closed: /)
  assert.match(
    open.stderr,
    new RegExp(`^${daysAgo(7)} is open with .* late ones may come until`, 'm'),
  )
  assert.equal((await run('close', '--until', daysAgo(9), '--day', daysAgo(9))).code, 2)
})

test('check says by its exit code whether days are whole, and why not', async () => {
  const whole = await run('check', '--until', daysAgo(1), '--json')
  assert.equal(whole.code, 0, whole.stderr)
  const { ok, days } = JSON.parse(whole.stdout) as CheckResult
  assert.deepEqual([ok, days.length], [true, 10])
  assert.deepEqual(
    days.map(({ isEqual }) => isEqual),
    [true, true, true, ...Array.from({ length: 7 }, () => null)],
  )
  const today = await run('check', '--until', daysAgo(0))
  assert.equal(today.code, 4)
  assert.match(today.stdout, /^NOT whole; stored until/m)
  assert.match(today.stderr, /is not all stored/)
  assert.equal((await run('check')).code, 2)
  assert.equal((await run('check', '--until', daysAgo(1), '--loss-max', '2')).code, 2)
})

test('retain deletes nothing that is kept', async () => {
  const { code, stdout } = await run('retain')
  assert.equal(code, 0)
  assert.match(stdout, /^0 events deleted, .* kept from \d{4}-\d\d-\d\d$/m)
})

test('a day that is done again makes no other model, and does not replace one of newer days', async () => {
  const build = async (day: string): Promise<string> => {
    const built = await run('recommend', 'build', '--once', '--last', '5d', '--day', day)
    assert.equal(built.code, 0, built.stderr)
    return built.stdout.trim()
  }
  const newer = await build(daysAgo(1))
  assert.equal(await build(daysAgo(1)), newer)
  assert.equal((await run('recommend', 'publish', newer)).code, 0)
  const older = await build(daysAgo(4))
  assert.notEqual(older, newer)
  const kept = await run('recommend', 'publish', older)
  assert.equal(kept.code, 0, kept.stderr)
  assert.equal(kept.stdout, `${older} is not served, ${newer} stays: it is of newer days\n`)
  const forced = await run('recommend', 'publish', older, '--force')
  assert.match(forced.stdout, /is served/)
})
