import { Argument, type Command } from 'commander'
import type { DatedAnswer } from '../api/answer.ts'
import { connectApi } from './client.ts'
import { type CommonFlags, configOf, createCommand } from './options.ts'
import {
  type QuestionFlags,
  queryOf,
  sayBehind,
  withLimitFlag,
  withQuestionFlags,
} from './question.ts'
import { printRows } from './table.ts'

interface TopList {
  readonly path: string
  /** What the API calls the value of a row. */
  readonly name: string
}

const lists: Readonly<Record<string, TopList>> = {
  items: { path: '/api/top-items', name: 'itemId' },
  pages: { path: '/api/top-pages', name: 'page' },
  referrers: { path: '/api/top-referrers', name: 'referrer' },
  countries: { path: '/api/countries', name: 'country' },
  devices: { path: '/api/devices', name: 'device' },
}

type TopRow = Readonly<Record<string, string | number>>

interface TopAnswer extends DatedAnswer {
  readonly rows: readonly TopRow[]
}

interface TopFlags extends CommonFlags, QuestionFlags {
  readonly by?: string
}

/** `millrace top`: the values with most events. */
export function topCommand(): Command {
  const command = createCommand(
    'top',
    'List the items, pages, referrers, countries or devices with most events',
  ).addArgument(new Argument('<what>', 'what to list').choices(Object.keys(lists)))
  return withLimitFlag(withQuestionFlags(command))
    .option('--by <device|browser|system>', 'with devices: what to list of them (default device)')
    .addHelpText('after', '\nPages and referrers count page views, unless --event-type is given.')
    .action(async (what: string, flags: TopFlags) => {
      const { path, name } = lists[what] as TopList
      const api = await connectApi(await configOf(flags))
      const query = queryOf(flags, flags.by === undefined ? {} : { by: flags.by })
      const answer = await api.json<TopAnswer>(`${path}${query}`)
      sayBehind(answer)
      const columns = ['count', name].map((title) => ({
        title,
        value: (row: TopRow) => row[title] ?? '',
      }))
      await printRows(answer.rows, columns, flags)
    })
}
