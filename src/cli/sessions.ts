import type { Command } from 'commander'
import type { SessionsAnswer } from '../api/answer.ts'
import { connectApi } from './client.ts'
import { type CommonFlags, configOf, createCommand } from './options.ts'
import { type QuestionFlags, queryOf, withQuestionFlags } from './question.ts'
import { printRows, type TableColumn } from './table.ts'

const columns: readonly TableColumn<SessionsAnswer['rows'][number]>[] = [
  { title: 'day', value: ({ day }) => day },
  { title: 'sessions', value: ({ sessions }) => sessions },
  { title: 'events', value: ({ events }) => events },
  { title: 'bounces', value: ({ bounces }) => bounces },
  { title: 'mean seconds', value: ({ meanSeconds }) => Math.round(meanSeconds) },
]

/** `millrace sessions`: sessions by the day on which they began. */
export function sessionsCommand(): Command {
  const command = createCommand(
    'sessions',
    'Count sessions by the day on which they began: events of a party with no gap of over 30 minutes',
  )
  return withQuestionFlags(command, ['party', 'country', 'device']).action(
    async (flags: CommonFlags & QuestionFlags) => {
      const api = await connectApi(await configOf(flags))
      const { rows } = await api.json<SessionsAnswer>(`/api/sessions${queryOf(flags)}`)
      await printRows(rows, columns, flags)
    },
  )
}
