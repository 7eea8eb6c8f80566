import type { Command } from 'commander'
import type { UniquesAnswer } from '../api/answer.ts'
import { connectApi } from './client.ts'
import { type CommonFlags, configOf, createCommand } from './options.ts'
import { type QuestionFlags, queryOf, sayBehind, withQuestionFlags } from './question.ts'
import { printRows } from './table.ts'

/** `millrace uniques`: different parties by day. */
export function uniquesCommand(): Command {
  const command = createCommand('uniques', 'Count different parties by day, and in all')
  return withQuestionFlags(command).action(async (flags: CommonFlags & QuestionFlags) => {
    const api = await connectApi(await configOf(flags))
    const answer = await api.json<UniquesAnswer>(`/api/uniques${queryOf(flags)}`)
    const { rows, parties } = answer
    sayBehind(answer)
    // A party that comes back counts once: this is no sum.
    const inAll = flags.json === true || rows.length === 0 ? [] : [{ day: 'in all', parties }]
    const columns = [
      { title: 'day', value: (row: { day: string }) => row.day },
      { title: 'parties', value: (row: { parties: number }) => row.parties },
    ]
    await printRows([...rows, ...inAll], columns, flags)
  })
}
