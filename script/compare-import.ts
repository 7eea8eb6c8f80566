import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import type {
  CountsAnswer,
  SessionsAnswer,
  TopItemsAnswer,
  UniquesAnswer,
} from '../src/api/answer.ts'
import { freePort, runCommand, startMillrace } from '../test/fault/process.ts'

/**
 * Imports public data sets into a running Millrace and compares what it answers with what a program
 * in another language counts: `node script/compare-import.ts FILE...`, for
 * `cookie1999-clickstream.csv.gz` and `rsc15-100k.train_full.tsv.gz`. Prints both side by side and
 * ends with 1 when they differ. Needs python3, or MILLRACE_PYTHON.
 */

interface DataSet {
  /** Arguments of `millrace import`. */
  readonly import: readonly string[]
  /** Arguments of count-import.py. */
  readonly count: readonly string[]
}

const dataSets: Readonly<Record<string, DataSet>> = {
  'cookie1999-clickstream.csv.gz': {
    import: ['--columns', 'party=COOKIE,day=Date,clock=Time,item=Webpage'],
    count: [';', 'COOKIE', 'Webpage', 'Date', 'Time'],
  },
  'rsc15-100k.train_full.tsv.gz': {
    import: ['--columns', 'session=SessionId,item=ItemId,time=Time'],
    count: ['tab', 'SessionId', 'ItemId', 'Time'],
  },
}

interface Counted {
  /** By day: events, parties, sessions. */
  readonly days: Readonly<Record<string, readonly [number, number, number]>>
  readonly events: number
  readonly parties: number
  readonly items: readonly (readonly [string, number])[]
}

const python = process.env['MILLRACE_PYTHON'] ?? 'python3'
const files = process.argv.slice(2)
if (files.length === 0) {
  process.stderr.write(`give at least one of ${Object.keys(dataSets).join(', ')}\n`)
  process.exitCode = 2
}
for (const file of files) {
  const dataSet = dataSets[basename(file)]
  if (dataSet === undefined) throw new Error(`${basename(file)} is none of the known data sets`)
  if (!(await compare(file, dataSet))) process.exitCode = 1
}

async function compare(file: string, dataSet: DataSet): Promise<boolean> {
  const script = join(import.meta.dirname, 'count-import.py')
  const counted = JSON.parse(
    execFileSync(python, [script, file, ...dataSet.count], { encoding: 'utf8' }),
  ) as Counted
  const folder = mkdtempSync(join(tmpdir(), 'millrace-compare-'))
  const ports = { collectPort: await freePort(), apiPort: await freePort() }
  const running = await startMillrace({ folder, ...ports })
  try {
    const environment = { MILLRACE_DATA: folder }
    const args = ['import', file, ...dataSet.import, '--outside-retention']
    process.stdout.write(`\n${basename(file)}\n`)
    let before: string | undefined
    let isEqual = true
    for (const more of [[], [], ['--again']]) {
      const { code, stdout, stderr } = await runCommand([...args, ...more], environment)
      if (code !== 0) throw new Error(stderr)
      process.stdout.write(`  ${['millrace import', ...more].join(' ')}: ${stdout}`)
      const answered = await askAll(running.apiUrl, Object.keys(counted.days))
      const text = JSON.stringify(answered)
      if (before === undefined) isEqual = report(counted, answered)
      else if (text !== before) isEqual = false
      process.stdout.write(
        before === undefined
          ? ''
          : `  answers ${text === before ? 'unchanged' : 'CHANGED'} by importing it again\n`,
      )
      before = text
    }
    return isEqual
  } finally {
    await running.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

async function askAll(apiUrl: string, days: readonly string[]): Promise<Counted> {
  const sorted = [...days].sort()
  const range = `from=${sorted[0]}&to=${sorted.at(-1)}&bots=include`
  const ask = async <Answer>(path: string): Promise<Answer> => {
    const response = await fetch(`${apiUrl}${path}${path.includes('?') ? '&' : '?'}${range}`)
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
    return (await response.json()) as Answer
  }
  const counts = await ask<CountsAnswer>('/api/counts')
  const uniques = await ask<UniquesAnswer>('/api/uniques')
  const sessions = await ask<SessionsAnswer>('/api/sessions')
  const items = await ask<TopItemsAnswer>('/api/top-items?limit=20')
  const events = new Map<string, number>()
  for (const { day, count } of counts.rows) events.set(day, (events.get(day) ?? 0) + count)
  const parties = new Map(uniques.rows.map((row) => [row.day, row.parties]))
  const begun = new Map(sessions.rows.map((row) => [row.day, row.sessions]))
  return {
    days: Object.fromEntries(
      [...events].map(([day, count]) => [
        day,
        [count, parties.get(day) ?? 0, begun.get(day) ?? 0] as const,
      ]),
    ),
    events: [...events.values()].reduce((total, count) => total + count, 0),
    parties: uniques.parties,
    items: items.rows.map(({ itemId, count }) => [itemId, count] as const),
  }
}

function report(counted: Counted, answered: Counted): boolean {
  const lines: [name: string, theirs: unknown, ours: unknown][] = [
    ['events', counted.events, answered.events],
    ['parties', counted.parties, answered.parties],
  ]
  const days = new Set([...Object.keys(counted.days), ...Object.keys(answered.days)])
  for (const day of [...days].sort()) {
    const names = ['events', 'parties', 'sessions']
    names.forEach((name, at) => {
      lines.push([`${day} ${name}`, counted.days[day]?.[at], answered.days[day]?.[at]])
    })
  }
  counted.items.forEach(([item, count], at) => {
    lines.push([`item ${at + 1}`, `${item} ${count}`, answered.items[at]?.join(' ')])
  })
  process.stdout.write(`  ${'Python'.padStart(40)}${'Millrace'.padStart(20)}\n`)
  for (const [name, theirs, ours] of lines) {
    const mark = String(theirs) === String(ours) ? '' : '  DIFFERENT'
    process.stdout.write(
      `  ${name.padEnd(22)}${String(theirs).padStart(18)}${String(ours).padStart(20)}${mark}\n`,
    )
  }
  const different = lines.filter(([, theirs, ours]) => String(theirs) !== String(ours)).length
  process.stdout.write(`  ${lines.length} figures, ${different} different\n`)
  return different === 0
}
