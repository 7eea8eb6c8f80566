import { type Command, InvalidArgumentError } from 'commander'
import type { CheckLine } from '../api/check.ts'
import { MillraceError } from '../event/error.ts'
import type { CheckedDay, CheckResult } from '../query/check.ts'
import { type ApiClient, connectApi, errorOfAnswer } from './client.ts'
import { parseDay } from './close.ts'
import { type CommonFlags, configOf, createCommand } from './options.ts'
import { formatTable } from './table.ts'
import { createProgressBar, printable, printOut } from './terminal.ts'

interface CheckFlags extends CommonFlags {
  readonly from?: string
  readonly until: string
  readonly lossMax: number
  readonly json?: boolean
}

/** That days are not whole is an answer, not an error. */
const notWholeExitCode = 4

/** `millrace check`: whether what was sent until a day is there, and counted as it is. */
export function checkCommand(): Command {
  return createCommand('check', 'Check that days are whole: stored to their end, little lost')
    .requiredOption('--until <YYYY-MM-DD>', 'the last day (UTC)', parseDay)
    .option('--from <YYYY-MM-DD>', 'the first one (default: all that is stored)', parseDay)
    .option('--loss-max <share>', 'most of a day that may be missing', parseShare, 0.02)
    .option('--json', 'print JSON: ok, reasons, storedUntil, lag, days')
    .addHelpText(
      'after',
      `
Everything that was received until the day's end has to be stored, of no day may more be missing than
--loss-max (numbers that its page views left out, of what was sent), and of closed days the counts,
parties and top items have to equal a count of their rows. Exit code 4: not so; the reasons follow.`,
    )
    .action(async ({ from, until, lossMax, json, ...flags }: CheckFlags) => {
      const api = await connectApi(await configOf(flags))
      const question = { until, lossMax, ...(from !== undefined && { from }) }
      const result = await ask(api, JSON.stringify(question))
      await printOut(json === true ? `${JSON.stringify(result)}\n` : describe(result))
      for (const reason of result.reasons) process.stderr.write(`${printable(reason)}\n`)
      if (!result.ok) process.exitCode = notWholeExitCode
    })
}

async function ask(api: ApiClient, body: string): Promise<CheckResult> {
  const bar = createProgressBar('days')
  try {
    for await (const text of api.lines('/api/check', { method: 'POST', body })) {
      const line = JSON.parse(text) as CheckLine
      if ('error' in line) throw errorOfAnswer(line.error)
      if ('result' in line) return line.result
      bar.update(line.progress.done, line.progress.total)
    }
  } finally {
    bar.end()
  }
  throw new MillraceError('api_unreachable', 'the answer ended early')
}

function describe({ ok, storedUntil, lag, days }: CheckResult): string {
  const until = storedUntil === null ? '' : `; stored until ${storedUntil}`
  const verdict = ok ? 'whole' : 'NOT whole'
  return `${days.length === 0 ? '' : formatTable(days, columns)}${verdict}${until}, lag ${lag}\n`
}

const columns = [
  { title: 'day', value: (row: CheckedDay) => row.day },
  { title: 'sent', value: (row: CheckedDay) => row.sent },
  { title: 'stored', value: (row: CheckedDay) => row.stored },
  { title: 'rejected', value: (row: CheckedDay) => row.rejected },
  { title: 'missing', value: (row: CheckedDay) => row.missing },
  { title: 'loss', value: (row: CheckedDay) => `${(row.loss * 100).toFixed(2)} %` },
  { title: 'closed', value: (row: CheckedDay) => (row.isClosed ? 'yes' : '') },
  {
    title: 'recount',
    value: ({ isEqual }: CheckedDay) => (isEqual === null ? '' : isEqual ? 'equal' : 'DIFFERENT'),
  },
]

function parseShare(text: string): number {
  const share = /^\d(\.\d+)?$/.test(text) ? Number(text) : Number.NaN
  if (share >= 0 && share <= 1) return share
  throw new InvalidArgumentError('It must be a share from 0 to 1, such as 0.01.')
}
