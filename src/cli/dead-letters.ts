import { Command } from 'commander'
import type { DeadLettersAnswer, DeadLettersReplayAnswer, PositionAnswer } from '../api/answer.ts'
import { MillraceError } from '../event/error.ts'
import { type ApiClient, connectApi } from './client.ts'
import { type CommonFlags, configOf, createCommand, parseInteger } from './options.ts'
import { jsonLine, printable, printOut } from './terminal.ts'

interface ListFlags extends CommonFlags {
  readonly limit: number
  readonly code?: string
  readonly json?: boolean
}

interface ReplayFlags extends CommonFlags {
  readonly all?: boolean
}

/** `millrace dead-letters list|replay`: what could not be stored, why, and another try. */
export function deadLettersCommand(): Command {
  return new Command('dead-letters')
    .description('List what could not be stored, and try it again')
    .exitOverride()
    .addCommand(listCommand())
    .addCommand(replayCommand())
}

function listCommand(): Command {
  return createCommand('list', 'Print dead letters, newest first')
    .option('--limit <rows>', 'most rows to print', parseInteger, 50)
    .option('--code <code>', 'only this reason')
    .option('--json', 'print JSON, a line for each')
    .action(async (flags: ListFlags) => {
      const api = await connectApi(await configOf(flags))
      const query = new URLSearchParams({ limit: String(flags.limit) })
      if (flags.code !== undefined) query.set('code', flags.code)
      const { deadLetters } = await api.json<DeadLettersAnswer>(`/api/dead-letters?${query}`)
      if (deadLetters.length === 0 && flags.json !== true) {
        const which = flags.code === undefined ? '' : ` with the code ${printable(flags.code)}`
        await printOut(`no dead letters${which}\n`)
      }
      for (const letter of deadLetters) {
        const place = placeOf(letter.position)
        const state = letter.replayedAt !== null ? 'replayed' : letter.replayable ? 'open' : 'final'
        const line =
          flags.json === true
            ? jsonLine(letter)
            : `${printable(`${letter.receivedAt}  ${place}  ${state}  ${letter.code}: ${letter.message}`)}\n`
        if (!(await printOut(line))) return
      }
    })
}

function replayCommand(): Command {
  return createCommand(
    'replay',
    'Try dead letters again; an event that is stored already stays one',
  )
    .argument('[places...]', 'which ones, as list prints them: topic/partition/offset')
    .option('--all', 'all that can be replayed and were not yet')
    .action(async (places: string[], flags: ReplayFlags, command: Command) => {
      if (places.length === 0 && flags.all !== true) {
        command.error('error: name the dead letters, or give --all')
      }
      const api = await connectApi(await configOf(flags))
      const body =
        flags.all === true ? { all: true } : { positions: await positionsOf(api, places) }
      const answer = await api.json<DeadLettersReplayAnswer>('/api/dead-letters/replay', {
        method: 'POST',
        body: JSON.stringify(body),
      })
      process.stdout.write(`${answer.replayed} replayed, ${answer.failures.length} refused again\n`)
      for (const { position, error } of answer.failures) {
        process.stdout.write(`  ${placeOf(position)}  ${error.code}: ${printable(error.message)}\n`)
      }
      if (answer.failures.length > 0) process.exitCode = 1
    })
}

/** The positions of the places that `list` printed: a place leaves out which log it was. */
async function positionsOf(api: ApiClient, places: readonly string[]): Promise<PositionAnswer[]> {
  const wanted = new Set(places)
  const found: PositionAnswer[] = []
  let after: string | null = ''
  while (after !== null && wanted.size > 0) {
    const query = after === '' ? '' : `?${new URLSearchParams({ after })}`
    const page: DeadLettersAnswer = await api.json(`/api/dead-letters${query}`)
    for (const { position } of page.deadLetters) {
      if (wanted.delete(placeOf(position))) found.push(position)
    }
    after = page.next
  }
  if (wanted.size > 0) throw new MillraceError('dead_letter_unknown', [...wanted].join(', '))
  return found
}

function placeOf({ topic, partition, offset }: PositionAnswer): string {
  return `${topic}/${partition}/${offset}`
}
