import { setTimeout as sleep } from 'node:timers/promises'
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { CloseLine, CloseResultAnswer } from '../api/answer.ts'
import type { DaysAnswer } from '../api/check.ts'
import { MillraceError } from '../event/error.ts'
import { type ApiClient, connectApi, errorOfAnswer } from './client.ts'
import { type CommonFlags, configOf, createCommand, parseInteger } from './options.ts'
import { createProgressBar, printOut, quantity } from './terminal.ts'

interface CloseFlags extends CommonFlags {
  readonly day?: string
  readonly until?: string
  readonly wait: number
}

/** Days that cannot be closed yet are no failure of the command, and no success either. */
const waitingExitCode = 4
const lookIntervalMs = 2_000

/** `millrace close`: writes the rows of days that are over into a file each. */
export function closeCommand(): Command {
  return createCommand('close', 'Write the rows of days that are over into a Parquet file each')
    .option('--day <YYYY-MM-DD>', 'this day (UTC) only, over or not', parseDay)
    .addOption(
      new Option('--until <YYYY-MM-DD>', 'all days up to this one (UTC); exit code 4: not all are')
        .conflicts('day')
        .argParser(parseDay),
    )
    .option('--wait <seconds>', 'with --until: try so long', parseInteger, 60)
    .action(async (flags: CloseFlags) => {
      const api = await connectApi(await configOf(flags))
      if (flags.until !== undefined) return closeUntil(api, flags.until, flags.wait)
      const result = await close(api, flags.day === undefined ? {} : { day: flags.day })
      await printOut(describe(result))
      if (!result.complete) process.exitCode = 1
    })
}

async function close(
  api: ApiClient,
  which: { readonly day?: string; readonly until?: string },
): Promise<CloseResultAnswer> {
  const bar = createProgressBar('days')
  const body = JSON.stringify(which)
  let result: CloseResultAnswer | undefined
  for await (const text of api.lines('/api/close', { method: 'POST', body })) {
    const line = JSON.parse(text) as CloseLine
    if ('error' in line) throw errorOfAnswer(line.error)
    if ('result' in line) result = line.result
    else bar.update(line.progress.done, line.progress.total)
  }
  bar.end()
  if (result === undefined) throw new MillraceError('api_unreachable', 'the answer ended early')
  return result
}

function describe({ days, rows, bytes }: CloseResultAnswer): string {
  if (days === 0) return 'Nothing to close\n'
  return `${quantity(days, 'day')} closed: ${quantity(rows, 'event')}, ${(bytes / rows).toFixed(0)} bytes each\n`
}

/** Closes what is over, until nothing up to that day is open, or it is of no use to wait. */
async function closeUntil(api: ApiClient, until: string, waitSeconds: number): Promise<void> {
  const end = Date.now() + waitSeconds * 1_000
  for (;;) {
    const result = await close(api, { until })
    const { rows } = await api.json<DaysAnswer>('/api/days')
    const open = rows.filter(({ day, openRows }) => day <= until && openRows > 0)
    if (result.days > 0 || open.length === 0) await printOut(describe(result))
    if (open.length === 0) return
    const isHopeless = open.some(({ dueAt }) => Date.parse(dueAt) > end)
    if (isHopeless || Date.now() + lookIntervalMs > end) {
      for (const { day, openRows, dueAt } of open) {
        process.stderr.write(
          `${day} is open with ${quantity(openRows, 'event')}: ${reason(dueAt)}\n`,
        )
      }
      process.exitCode = waitingExitCode
      return
    }
    await sleep(lookIntervalMs)
  }
}

function reason(dueAt: string): string {
  return Date.parse(dueAt) > Date.now()
    ? `late ones may come until ${dueAt}`
    : 'what was received until it was over is not all stored, or came a moment ago'
}

export function parseDay(text: string): string {
  if (/^\d{4}-\d\d-\d\d$/.test(text)) return text
  throw new InvalidArgumentError('It must be a day, as 2026-03-10.')
}
