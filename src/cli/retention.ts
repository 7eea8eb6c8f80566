import type { Command } from 'commander'
import type { RetentionAnswer } from '../api/answer.ts'
import { connectApi } from './client.ts'
import { type CommonFlags, configOf, createCommand } from './options.ts'
import { type QuestionFlags, queryOf, withQuestionFlags } from './question.ts'
import { printRows, type TableColumn } from './table.ts'

type RetentionRow = RetentionAnswer['rows'][number]

/** `millrace retention`: how many parties that were new in a week came again. */
export function retentionCommand(): Command {
  const command = createCommand(
    'retention',
    'Count the parties that were new in a week, and those of them that came again 1, 2… weeks later',
  )
  return withQuestionFlags(command, ['eventType', 'item', 'country', 'device']).action(
    async (flags: CommonFlags & QuestionFlags) => {
      const api = await connectApi(await configOf(flags))
      const { rows } = await api.json<RetentionAnswer>(`/api/retention${queryOf(flags)}`)
      await printRows(rows, columnsOf(rows), flags)
    },
  )
}

function columnsOf(rows: readonly RetentionRow[]): readonly TableColumn<RetentionRow>[] {
  const weeks = Math.max(0, ...rows.map(({ returned }) => returned.length - 1))
  return [
    { title: 'week', value: ({ week }) => week },
    { title: 'parties', value: ({ parties }) => parties },
    ...Array.from({ length: weeks }, (_, index) => ({
      title: `+${index + 1}`,
      value: ({ returned }: RetentionRow) => returned[index + 1]?.toLocaleString('en') ?? '',
    })),
  ]
}
