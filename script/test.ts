import { existsSync, globSync } from 'node:fs'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { sharedVariable } from '../test/services.ts'
import { canStart, startScratchServices } from './services/scratch.ts'
import { hasPython } from './services/venv.ts'

/**
 * Runs the tests: `node script/test.ts [--all] [name part ...]`. Suites whose tools are missing are
 * left out loudly; with CI=true nothing may be left out and a skipped test is a failure.
 * The last line is `N passed, N failed, N skipped`.
 */

/** A suite that needs more than Node, known by a word in its file name. */
interface Need {
  readonly word: string
  readonly isMet: () => boolean | Promise<boolean>
  readonly how: string
}

/** Servers, started once for all the suites that have their name in the path. */
const services = ['kafka', 'cassandra'] as const
const isCi = process.env['CI'] === 'true'
const isAll = isCi || process.argv.includes('--all')
const python = process.env['MILLRACE_PYTHON'] ?? '.venv/bin/python'
const chromium = process.env['MILLRACE_CHROMIUM'] ?? '/usr/bin/chromium'
const needs: readonly Need[] = [
  {
    word: 'browser',
    isMet: () => existsSync(chromium),
    how: 'install Chromium (Debian: apt-get install chromium) or set MILLRACE_CHROMIUM to its path',
  },
  {
    word: 'recipe-next',
    isMet: () => isAll,
    how: 'npm run test:all (npm installs 370 MB)',
  },
  {
    word: 'airflow',
    isMet: () => isAll && hasPython(),
    how: 'install Python 3.11 or 3.12 (Debian: apt-get install python3-venv), then npm run test:all',
  },
  {
    word: 'python',
    isMet: () => isAll && existsSync(python),
    how: 'python3 -m venv .venv && .venv/bin/pip install avro==1.12.0, then npm run test:all',
  },
  {
    word: 'spark',
    isMet: async () => isAll && (await canStart('spark')),
    how: 'install Java 17, Maven and Python (Debian: apt-get install python3-venv), then npm run test:all',
  },
  {
    word: 'trace',
    isMet: () => process.platform === 'linux' && existsSync('/usr/bin/strace'),
    how: 'install strace (Debian: apt-get install strace)',
  },
  ...services.map((word) => ({
    word,
    isMet: () => canStart(word),
    how: 'install Java 17 and Maven (Debian: apt-get install openjdk-17-jre-headless maven)',
  })),
]

const parts = process.argv.slice(2).filter((argument) => !argument.startsWith('--'))
const files = globSync('test/**/*.test.ts')
  .filter((file) => parts.length === 0 || parts.some((part) => file.includes(part)))
  .sort()
const left: string[] = []
for (const { word, isMet, how } of needs) {
  const suites = files.filter((file) => file.includes(word))
  if (suites.length > 0 && !(await isMet())) {
    left.push(...suites)
    for (const suite of suites) process.stdout.write(`SKIPPED ${suite}: ${how}\n`)
  }
}

const chosen = files.filter((file) => !left.includes(file))
const started = await startScratchServices(
  services.filter((name) => chosen.some((file) => file.includes(name))),
)
for (const name of services) {
  const address = started.addresses[name]
  if (address !== undefined) process.env[sharedVariable(name)] = address
}

let passed = 0
let failed = 0
let skipped = 0
const events = run({
  files: chosen,
  concurrency: 2,
  timeout: 15 * 60_000,
})
events.on('test:summary', ({ file, counts }) => {
  if (file !== undefined) return
  passed = counts.passed
  // The types lack `failed`, which Node reports.
  failed = (counts as typeof counts & { failed: number }).failed + counts.cancelled
  skipped = counts.skipped + counts.todo
})
events.compose(new spec()).pipe(process.stdout)
events.on('end', () => {
  skipped += left.length
  if (isCi && skipped > 0) {
    process.stdout.write(`CI=true: ${skipped} skipped tests or suites count as failed\n`)
    failed += skipped
    skipped = 0
  }
  if (passed === 0) failed ||= 1
  process.exitCode = failed > 0 ? 1 : 0
  // After the reporter's own summary, so that this is the last line.
  void started.stop().then(() => {
    process.stdout.write(`\n${passed} passed, ${failed} failed, ${skipped} skipped\n`)
  })
})
