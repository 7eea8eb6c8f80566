import { parseArgs } from 'node:util'
import { killRun } from '../test/fault/kill.ts'
import { complaintsOf, lineOf, tableOf } from '../test/fault/scaled/report.ts'
import { faultRow, faultRows } from '../test/fault/scaled/rows.ts'
import { type RowResult, runRow } from '../test/fault/scaled/run.ts'
import type { SharedAddresses } from '../test/fault/scaled/servers.ts'
import { sharedVariable } from '../test/services.ts'
import { canStart, type ScratchServices, startScratchServices } from './services/scratch.ts'

/**
 * `npm run faults`: kills and harms Millrace at random moments under load and counts every event,
 * in one process first, then over real Kafka and real Cassandra.
 */

const usage = `npm run faults -- [options]
  --rows 1,3      only these: 0 is one process alone, the others are over Kafka and Cassandra (default all)
  --seeds N       seeds of each row over Kafka and Cassandra (default 20)
  --seed N        the first seed (default 1); the same seed gives the same moments
  --kills N       of row 0 (default 20)
  --rate N        events a second of row 0 (default 2000)
rows that harm no server use those at TEST_KAFKA and TEST_CASSANDRA (HOST:PORT), or start some
rows:
  0   one process, kill -9
${faultRows.map(({ number, title }) => `  ${`${number}`.padEnd(4)}${title}`).join('\n')}
`

const { values } = parseArgs({
  options: {
    rows: { type: 'string' },
    seeds: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
    kills: { type: 'string', default: '20' },
    rate: { type: 'string', default: '2000' },
    help: { type: 'boolean', default: false },
  },
})

// So that what was started ends too.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))

if (values.help) process.stdout.write(usage)
else process.exitCode = (await runAll()).length === 0 ? 0 : 1

/** Runs what was asked for; returns a sentence for each broken promise and each missed control. */
async function runAll(): Promise<string[]> {
  const numbers = values.rows?.split(',').map(numberOf) ?? [
    0,
    ...faultRows.map(({ number }) => number),
  ]
  const rows = numbers.filter((number) => number !== 0).map(faultRow)
  const complaints: string[] = []
  if (numbers.includes(0)) complaints.push(...(await runEmbedded()))
  if (rows.length > 0) {
    const results = await runScaled(rows)
    process.stdout.write(`\n${tableOf(results)}\n\n`)
    complaints.push(...results.flatMap(complaintsOf))
  }
  const end =
    complaints.length === 0 ? ['nothing lost, nothing twice, nothing invented'] : complaints
  process.stdout.write(`${end.join('\n')}\n`)
  return complaints
}

async function runEmbedded(): Promise<string[]> {
  const kills = numberOf(values.kills)
  const options = { seed: numberOf(values.seed), kills, rate: numberOf(values.rate) }
  process.stdout.write(
    `row 0: one process, kill -9 at ${kills} moments (seed ${values.seed}) under ${values.rate} events/s\n`,
  )
  const verdict = await killRun({
    ...options,
    onKill: (kill, { sent, acknowledged }) =>
      process.stdout.write(
        `  kill ${kill} of ${kills}: ${sent.size} sent, ${acknowledged.size} acknowledged\n`,
      ),
  })
  process.stdout.write(`  ${JSON.stringify(verdict)}\n`)
  const script = new URL('../test/fault/hasty.ts', import.meta.url).pathname
  const control = await killRun({ ...options, kills: 3, script })
  process.stdout.write(`  control, answers before it stores: ${JSON.stringify(control)}\n`)
  const isClean = verdict.lost + verdict.twice + verdict.ghosts === 0 && verdict.acknowledged > 0
  return [
    ...(isClean ? [] : ['BROKEN PROMISE: row 0 (one process)']),
    ...(control.lost > 0 ? [] : ['THE CHECKER MISSED THE NEGATIVE CONTROL: row 0 (one process)']),
  ]
}

async function runScaled(rows: readonly (typeof faultRows)[number][]): Promise<RowResult[]> {
  for (const name of ['kafka', 'cassandra'] as const) {
    if (await canStart(name)) continue
    throw new Error(`${name} cannot be started here: install Java 17 and Maven`)
  }
  let started: Promise<ScratchServices> | undefined
  const addressOf = async (name: 'kafka' | 'cassandra'): Promise<string> => {
    const given = process.env[sharedVariable(name)]
    if (given !== undefined) return given
    started ??= startScratchServices(['kafka', 'cassandra'])
    return (await started).addresses[name] as string
  }
  const shared: SharedAddresses = {
    kafka: () => addressOf('kafka'),
    cassandra: () => addressOf('cassandra'),
  }
  const run = { seeds: numberOf(values.seeds), firstSeed: numberOf(values.seed), shared }
  const results: RowResult[] = []
  try {
    for (const row of rows) {
      process.stdout.write(`row ${row.number}: ${row.title}\n`)
      const onSeed = (seed: Parameters<typeof lineOf>[0]): void =>
        void process.stdout.write(`  ${lineOf(seed)}\n`)
      const result = await runRow(row, { ...run, onSeed })
      if (result.skipped !== undefined) process.stdout.write(`  SKIPPED: ${result.skipped}\n`)
      results.push(result)
    }
    return results
  } finally {
    await (await started)?.stop()
  }
}

function numberOf(text: string): number {
  if (/^\d+$/.test(text)) return Number(text)
  throw new Error(`${text} is not a whole number\n${usage}`)
}
