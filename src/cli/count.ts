import type { Command } from 'commander'
import type { CountsAnswer } from '../api/answer.ts'
import { connectApi } from './client.ts'
import { type CommonFlags, configOf, createCommand } from './options.ts'
import { type QuestionFlags, queryOf, sayBehind, withQuestionFlags } from './question.ts'
import { jsonLine, printable } from './terminal.ts'

/** `millrace count`: events by day and event type. */
export function countCommand(): Command {
  const command = createCommand('count', 'Count events by day and event type')
  return withQuestionFlags(command).action(async (flags: CommonFlags & QuestionFlags) => {
    const api = await connectApi(await configOf(flags))
    const answer = await api.json<CountsAnswer>(`/api/counts${queryOf(flags)}`)
    const { rows } = answer
    sayBehind(answer)
    if (flags.json === true) {
      for (const row of rows) process.stdout.write(jsonLine(row))
      return
    }
    const total = rows.reduce((sum, { count }) => sum + count, 0)
    const lines = rows.map(
      ({ day, eventType, count }) => `${day}  ${pad(count)}  ${printable(eventType)}`,
    )
    process.stdout.write([...lines, `total       ${pad(total)}`, ''].join('\n'))
  })
}

function pad(count: number): string {
  return count.toLocaleString('en').padStart(12)
}
