import { type Command, Option } from 'commander'
import type { ClickThroughAnswer } from '../api/answer.ts'
import { connectApi } from './client.ts'
import { type CommonFlags, configOf, createCommand } from './options.ts'
import { type QuestionFlags, queryOf, withQuestionFlags } from './question.ts'
import { printRows } from './table.ts'

type Row = ClickThroughAnswer['rows'][number]
type Part = 'model' | 'position' | 'day'

interface ClicksFlags extends CommonFlags, QuestionFlags {
  readonly by: Part | 'all'
}

/** What a line stands for, and its counts. */
interface Line {
  readonly of: string
  readonly impressions: number
  readonly clicks: number
}

/** `millrace recommend clicks`: how many of the items that were seen were clicked. */
export function clicksCommand(): Command {
  const by = new Option('--by <part>', 'what a line stands for')
    .choices(['model', 'position', 'day', 'all'])
    .default('model')
  const command = createCommand('clicks', 'Print how many recommended items were seen and clicked')
  return withQuestionFlags(command, ['country', 'device'])
    .addOption(by)
    .action(async (flags: ClicksFlags) => {
      const api = await connectApi(await configOf(flags))
      const path = `/api/recommendations/click-through${queryOf(flags)}`
      const { rows, unmatchedClicks } = await api.json<ClickThroughAnswer>(path)
      if (flags.by === 'all') await printRows(rows, [...partColumns, ...countColumns], flags)
      else await printLines(rows, flags.by, flags)
      if (unmatchedClicks === 0 || flags.json === true) return
      process.stderr.write(`${unmatchedClicks} clicks without an impression before are not in it\n`)
    })
}

async function printLines(rows: readonly Row[], part: Part, flags: ClicksFlags): Promise<void> {
  const lines = new Map<string, Line>()
  for (const row of rows) {
    const of = String(row[part])
    const { impressions, clicks } = lines.get(of) ?? { impressions: 0, clicks: 0 }
    lines.set(of, { of, impressions: impressions + row.impressions, clicks: clicks + row.clicks })
  }
  const inOrder = [...lines.values()].sort((a, b) =>
    part === 'position' ? Number(a.of) - Number(b.of) : a.of < b.of ? -1 : 1,
  )
  if (flags.json === true) {
    const named = inOrder.map(({ of, ...counts }) => ({ [part]: of, ...counts }))
    await printRows(named, [], flags)
    return
  }
  await printRows(inOrder, [{ title: part, value: ({ of }) => of }, ...countColumns], flags)
}

const partColumns = [
  { title: 'day', value: (row: Row) => row.day },
  { title: 'model', value: (row: Row) => row.model },
  { title: 'position', value: (row: Row) => row.position },
]

const countColumns = [
  { title: 'impressions', value: (line: Omit<Line, 'of'>) => line.impressions },
  { title: 'clicks', value: (line: Omit<Line, 'of'>) => line.clicks },
  { title: 'clicked', value: (line: Omit<Line, 'of'>) => shareOf(line) },
]

function shareOf({ impressions, clicks }: Omit<Line, 'of'>): string {
  return `${((100 * clicks) / impressions).toFixed(1)} %`.padStart(7)
}
