import type { Command } from 'commander'
import type { AccountingAnswer } from '../api/answer.ts'
import { connectApi } from './client.ts'
import { type CommonFlags, configOf, createCommand } from './options.ts'
import { type QuestionFlags, queryOf, withQuestionFlags } from './question.ts'
import { printRows, type TableColumn } from './table.ts'

const columns: readonly TableColumn<AccountingAnswer['rows'][number]>[] = [
  { title: 'day', value: ({ day }) => day },
  { title: 'sent', value: ({ sent }) => sent },
  { title: 'stored', value: ({ stored }) => stored },
  { title: 'rejected', value: ({ rejected }) => rejected },
  { title: 'missing', value: ({ missing }) => missing },
  { title: 'repeated', value: ({ repeated }) => repeated },
]

/** `millrace accounting`: what became of what was sent. */
export function accountingCommand(): Command {
  const command = createCommand(
    'accounting',
    'Show what was sent by day, and what of it was stored, rejected, is missing, or came again',
  )
  return withQuestionFlags(command, [], 'include').action(
    async (flags: CommonFlags & QuestionFlags) => {
      const api = await connectApi(await configOf(flags))
      const { rows } = await api.json<AccountingAnswer>(`/api/accounting${queryOf(flags)}`)
      await printRows(rows, columns, flags)
    },
  )
}
