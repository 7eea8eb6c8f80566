import type { Command } from 'commander'
import type { FunnelAnswer } from '../api/answer.ts'
import { connectApi } from './client.ts'
import { type CommonFlags, configOf, createCommand } from './options.ts'
import { type QuestionFlags, queryOf, withQuestionFlags } from './question.ts'
import { printRows } from './table.ts'

/** `millrace funnel`: how many parties did some steps one after the other. */
export function funnelCommand(): Command {
  const command = createCommand(
    'funnel',
    'Count the parties that did some steps one after the other',
  ).argument('<steps...>', '2 to 10 event types in their order, such as pageView purchase')
  return withQuestionFlags(command, ['party', 'item', 'country', 'device']).action(
    async (steps: readonly string[], flags: CommonFlags & QuestionFlags) => {
      const api = await connectApi(await configOf(flags))
      const query = queryOf(flags, { steps: steps.join() })
      const { rows } = await api.json<FunnelAnswer>(`/api/funnel${query}`)
      const first = rows[0]?.parties ?? 0
      await printRows(
        rows,
        [
          { title: 'parties', value: ({ parties }) => parties },
          { title: 'of the first', value: ({ parties }) => shareOf(parties, first) },
          { title: 'step', value: ({ step }) => step },
        ],
        flags,
      )
    },
  )
}

function shareOf(parties: number, first: number): string {
  return first === 0 ? '-' : `${((100 * parties) / first).toFixed(1)} %`.padStart(12)
}
