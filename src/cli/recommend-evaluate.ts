import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { type Command, Option } from 'commander'
import { MillraceError } from '../event/error.ts'
import { dayMs, systemClock } from '../lib/clock.ts'
import { compareModels } from '../recommend/compare.ts'
import { type EvaluateRow, type Protocol, predictionsOf } from '../recommend/evaluate.ts'
import { keyOf, readScores } from '../recommend/scores.ts'
import { type FileSession, readSessions } from '../recommend/session-file.ts'
import { type Split, splitAt } from '../recommend/split.ts'
import { connectApi } from './client.ts'
import { type CommonFlags, configOf, createCommand, parseInteger } from './options.ts'
import { formatTable } from './table.ts'
import { printOut } from './terminal.ts'

interface EvaluateFlags extends CommonFlags {
  readonly train?: string
  readonly test?: string
  readonly last?: string
  readonly testDays: number
  readonly protocol: Protocol | 'both'
  readonly scores?: string
  readonly prefixes?: string
  readonly json?: boolean
}

const help = `
Without files the sessions of the store are taken: those of the last --test-days days are foreseen
from those before. Files are SessionId<TAB>ItemId<TAB>Time, or the items of one session a line; a
test file may also have prefix<TAB>target lines. Names that end in .gz are unpacked.
keep: the next click, which may be the current item again. nodup: repeats are removed and the
current item is not returned. Options are chosen on a part of the training data. Intervals are 95 %,
from 1,000 bootstrap samples of the test sessions.
--scores takes the answers of another program, such as Spark's ALS: a line is a prefix of a
session (items, spaces between, without repeats that follow each other), a tab, and the items recommended,
best first; --prefixes writes the prefixes that are asked about.`

/** `millrace recommend evaluate`: the models side by side, over files or over the store. */
export function evaluateCommand(): Command {
  const protocol = new Option('--protocol <protocol>', 'what counts as foreseen')
    .choices(['keep', 'nodup', 'both'])
    .default('both')
  return createCommand('evaluate', 'Compare the models on sessions of the store or of files')
    .option('--train <file>', 'sessions to learn from')
    .option('--test <file>', 'sessions to foresee, every next click of them')
    .option('--last <days>', 'of the store: the last days up to now (default 30d)')
    .option(
      '--test-days <days>',
      'of the store: the last of these days are foreseen',
      parseInteger,
      7,
    )
    .addOption(protocol)
    .option('--scores <file>', 'answers of another program, as the row als')
    .option('--prefixes <file>', 'write what is asked about to a file, and end')
    .option('--json', 'print JSON')
    .addHelpText('after', help)
    .action(async (flags: EvaluateFlags) => {
      const { training, test } = await sessionsOf(flags)
      const protocols = flags.protocol === 'both' ? (['keep', 'nodup'] as const) : [flags.protocol]
      if (flags.prefixes !== undefined) {
        await writePrefixes(flags.prefixes, test, protocols)
        return
      }
      const scores = flags.scores === undefined ? undefined : await readScores(flags.scores)
      const { rows, chosen } = await compareModels({ training, test, protocols, scores })
      if (flags.json === true) await printOut(`${JSON.stringify({ rows, chosen })}\n`)
      else await printTable(rows, chosen)
    })
}

async function sessionsOf(flags: EvaluateFlags): Promise<Split> {
  const { train, test } = flags
  if (train !== undefined && test !== undefined) {
    return { training: await readSessions(train), test: await readSessions(test) }
  }
  if (train !== undefined || test !== undefined) {
    throw new MillraceError('evaluate_invalid', '--train and --test belong together')
  }
  const api = await connectApi(await configOf(flags))
  const sessions: FileSession[] = []
  for await (const line of api.lines(`/api/recommend/sessions?last=${flags.last ?? '30d'}`)) {
    sessions.push(JSON.parse(line) as FileSession)
  }
  const tomorrow = Math.floor(systemClock() / dayMs) * dayMs + dayMs
  return splitAt(sessions, tomorrow - flags.testDays * dayMs)
}

async function writePrefixes(
  path: string,
  test: readonly FileSession[],
  protocols: readonly Protocol[],
): Promise<void> {
  const asked = protocols.flatMap((protocol) => predictionsOf(test, protocol))
  const prefixes = new Set(asked.map(({ items }) => keyOf(items)))
  const file = createWriteStream(path)
  for (const prefix of prefixes) {
    if (!file.write(`${prefix}\n`)) await once(file, 'drain')
  }
  file.end()
  await once(file, 'close')
  await printOut(`${prefixes.size} prefixes in ${path}\n`)
}

async function printTable(
  rows: readonly EvaluateRow[],
  chosen: Readonly<Partial<Record<Protocol, object>>>,
): Promise<void> {
  await printOut(formatTable(rows, columns))
  for (const [name, options] of Object.entries(chosen)) {
    const values = Object.entries(options).map(([option, value]) => `${option} ${value}`)
    await printOut(`\nsession-knn, ${name}, chosen on the training data: ${values.join(', ')}\n`)
  }
}

const columns = [
  { title: 'protocol', value: (row: EvaluateRow) => row.protocol },
  { title: 'model', value: (row: EvaluateRow) => row.model },
  { title: 'predictions', value: (row: EvaluateRow) => row.predictions },
  { title: 'HR@20', value: (row: EvaluateRow) => fixed(row.hr20) },
  { title: '95 %', value: (row: EvaluateRow) => span(row.hr20Low, row.hr20High) },
  { title: 'MRR@20', value: (row: EvaluateRow) => fixed(row.mrr20) },
  { title: '95 %', value: (row: EvaluateRow) => span(row.mrr20Low, row.mrr20High) },
  { title: 'coverage', value: (row: EvaluateRow) => fixed(row.coverage20) },
  { title: 'popularity', value: (row: EvaluateRow) => fixed(row.popularity20) },
  { title: 'p90 µs', value: (row: EvaluateRow) => row.p90Micros },
]

function fixed(value: number): string {
  return value.toFixed(3)
}

function span(low: number, high: number): string {
  return `${fixed(low)}–${fixed(high)}`
}
