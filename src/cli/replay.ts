import { type Command, InvalidArgumentError } from 'commander'
import type { ReplayLine, ReplayResultAnswer } from '../api/answer.ts'
import { MillraceError } from '../event/error.ts'
import { connectApi, errorOfAnswer } from './client.ts'
import { type CommonFlags, configOf, createCommand, parseInteger } from './options.ts'
import { createProgressBar } from './terminal.ts'

interface ReplayFlags extends CommonFlags {
  readonly from: 'earliest' | number
  readonly batch?: number
}

/** `millrace replay`: reads the log again into the store; what is stored already stays as it is. */
export function replayCommand(): Command {
  return createCommand('replay', 'Read the log again into the store; nothing appears twice')
    .requiredOption('--from <earliest|offset>', 'where to begin in each partition', parseFrom)
    .option('--batch <records>', 'records in one write', parseInteger)
    .action(async (flags: ReplayFlags) => {
      const api = await connectApi(await configOf(flags))
      const body = JSON.stringify({
        from: flags.from,
        ...(flags.batch === undefined ? {} : { batchRecords: flags.batch }),
      })
      const bars = new Map<string, ReturnType<typeof createProgressBar>>()
      let result: ReplayResultAnswer | undefined
      for await (const text of api.lines('/api/replay', { method: 'POST', body })) {
        const line = JSON.parse(text) as ReplayLine
        if ('error' in line) throw errorOfAnswer(line.error)
        if ('result' in line) result = line.result
        else {
          const { topic, read, total } = line.progress
          const bar = bars.get(topic) ?? createProgressBar(topic.padEnd(9))
          bars.set(topic, bar)
          bar.update(read, total)
          if (read >= total) bar.end()
        }
      }
      if (result === undefined) throw new MillraceError('api_unreachable', 'the answer ended early')
      process.stdout.write(`${result.read} of ${result.total} records read again\n`)
      if (!result.complete) process.exitCode = 1
    })
}

function parseFrom(text: string): 'earliest' | number {
  if (text === 'earliest') return text
  if (/^\d+$/.test(text)) return Number(text)
  throw new InvalidArgumentError("It must be 'earliest' or an offset.")
}
