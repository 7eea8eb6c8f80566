import { type Command, InvalidArgumentError } from 'commander'
import type { CloseLine, CloseResultAnswer } from '../api/answer.ts'
import { MillraceError } from '../event/error.ts'
import { connectApi, errorOfAnswer } from './client.ts'
import { type CommonFlags, configOf, createCommand } from './options.ts'
import { createProgressBar } from './terminal.ts'

interface CloseFlags extends CommonFlags {
  readonly day?: string
}

/** `millrace close`: writes the rows of days that are over into a file each. */
export function closeCommand(): Command {
  return createCommand('close', 'Write the rows of days that are over into a Parquet file each')
    .option('--day <YYYY-MM-DD>', 'this day (UTC) only, over or not', parseDay)
    .action(async (flags: CloseFlags) => {
      const api = await connectApi(await configOf(flags))
      const body = JSON.stringify(flags.day === undefined ? {} : { day: flags.day })
      const bar = createProgressBar('days')
      let result: CloseResultAnswer | undefined
      for await (const text of api.lines('/api/close', { method: 'POST', body })) {
        const line = JSON.parse(text) as CloseLine
        if ('error' in line) throw errorOfAnswer(line.error)
        if ('result' in line) result = line.result
        else bar.update(line.progress.done, line.progress.total)
      }
      bar.end()
      if (result === undefined) throw new MillraceError('api_unreachable', 'the answer ended early')
      const { days, rows, bytes } = result
      process.stdout.write(
        days === 0
          ? 'Nothing to close\n'
          : `${days} days closed: ${rows} events, ${(bytes / rows).toFixed(0)} bytes each\n`,
      )
      if (!result.complete) process.exitCode = 1
    })
}

function parseDay(text: string): string {
  if (/^\d{4}-\d\d-\d\d$/.test(text)) return text
  throw new InvalidArgumentError('It must be a day, as 2026-03-10.')
}
