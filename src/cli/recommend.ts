import { type Command, Option } from 'commander'
import type {
  HiddenItemsAnswer,
  NeighboursAnswer,
  RecommendBuildAnswer,
} from '../api/recommend-answer.ts'
import { compareModels } from '../recommend/compare.ts'
import type { EvaluateRow, Protocol } from '../recommend/evaluate.ts'
import { readSessions } from '../recommend/session-file.ts'
import { connectApi } from './client.ts'
import { type CommonFlags, configOf, createCommand, parseInteger } from './options.ts'
import { formatTable, printRows } from './table.ts'
import { printOut } from './terminal.ts'

/** `millrace recommend`: build, look into, evaluate the models; hide items. */
export function recommendCommand(): Command {
  const command = createCommand('recommend', 'Build, look into and evaluate recommendations')
  return command
    .addCommand(buildCommand())
    .addCommand(showCommand())
    .addCommand(evaluateCommand())
    .addCommand(hideCommand())
    .addCommand(unhideCommand())
    .addCommand(hiddenCommand())
}

function buildCommand(): Command {
  return createCommand('build', 'Read the store and build the models anew').action(
    async (flags: CommonFlags) => {
      const api = await connectApi(await configOf(flags))
      const init = { method: 'POST', body: '{}' }
      const { sessions, clicks, items, milliseconds } = await api.json<RecommendBuildAnswer>(
        '/api/recommend/build',
        init,
      )
      const counts = [sessions, clicks, items].map((count) => count.toLocaleString('en'))
      const [sessionText, clickText, itemText] = counts
      await printOut(
        `${sessionText} sessions with ${clickText} clicks on ${itemText} items in ${milliseconds} ms\n`,
      )
    },
  )
}

interface ShowFlags extends CommonFlags {
  readonly limit?: number
  readonly json?: boolean
}

function showCommand(): Command {
  return createCommand('show', 'Print what goes with items, by which model, and why')
    .argument('<item...>', 'item ids')
    .option('--limit <rows>', 'most rows for each item and model', parseInteger)
    .option('--json', 'print JSON, a line for each row')
    .action(async (items: readonly string[], flags: ShowFlags) => {
      const api = await connectApi(await configOf(flags))
      const query = new URLSearchParams(items.map((item) => ['item', item]))
      if (flags.limit !== undefined) query.set('limit', String(flags.limit))
      const path = `/api/recommend/neighbours?${query}`
      const { rows } = await api.json<NeighboursAnswer>(path)
      type Row = (typeof rows)[number]
      const columns = [
        { title: 'of', value: (row: Row) => row.of },
        { title: 'model', value: (row: Row) => row.model },
        { title: 'item', value: (row: Row) => row.itemId },
        { title: 'score', value: (row: Row) => row.score },
        { title: 'reason', value: (row: Row) => row.reason },
      ]
      await printRows(rows, columns, flags)
    })
}

interface EvaluateFlags extends CommonFlags {
  readonly train: string
  readonly test: string
  readonly protocol: Protocol | 'both'
  readonly json?: boolean
}

const evaluateHelp = `
Files are SessionId<TAB>ItemId<TAB>Time, or the items of one session a line; a test file may also
have prefix<TAB>target lines. Names that end in .gz are unpacked.
keep: the next click, which may be the current item again. nodup: repeats are removed and the
current item is not returned. Intervals are 95 %, from 1,000 bootstrap samples of the test sessions.`

function evaluateCommand(): Command {
  const protocol = new Option('--protocol <protocol>', 'what counts as foreseen')
    .choices(['keep', 'nodup', 'both'])
    .default('both')
  return createCommand('evaluate', 'Compare the models on files of sessions')
    .requiredOption('--train <file>', 'sessions to learn from')
    .requiredOption('--test <file>', 'sessions to foresee, every next click of them')
    .addOption(protocol)
    .option('--json', 'print JSON')
    .addHelpText('after', evaluateHelp)
    .action(async (flags: EvaluateFlags) => {
      const training = await readSessions(flags.train)
      const test = await readSessions(flags.test)
      const protocols = flags.protocol === 'both' ? (['keep', 'nodup'] as const) : [flags.protocol]
      const { rows, chosen } = await compareModels(training, test, protocols)
      if (flags.json === true) {
        await printOut(`${JSON.stringify({ rows, chosen })}\n`)
        return
      }
      await printOut(formatTable(rows, evaluateColumns))
      for (const [name, options] of Object.entries(chosen)) {
        const values = Object.entries(options).map(([option, value]) => `${option} ${value}`)
        await printOut(
          `\nsession-knn, ${name}, chosen on the training data: ${values.join(', ')}\n`,
        )
      }
    })
}

const evaluateColumns = [
  { title: 'protocol', value: (row: EvaluateRow) => row.protocol },
  { title: 'model', value: (row: EvaluateRow) => row.model },
  { title: 'predictions', value: (row: EvaluateRow) => row.predictions },
  { title: 'HR@20', value: (row: EvaluateRow) => fixed(row.hr20) },
  { title: '95 %', value: (row: EvaluateRow) => span(row.hr20Low, row.hr20High) },
  { title: 'MRR@20', value: (row: EvaluateRow) => fixed(row.mrr20) },
  { title: '95 %', value: (row: EvaluateRow) => span(row.mrr20Low, row.mrr20High) },
  { title: 'coverage', value: (row: EvaluateRow) => fixed(row.coverage20) },
  { title: 'popularity', value: (row: EvaluateRow) => fixed(row.popularity20) },
  { title: 'p90 µs', value: (row: EvaluateRow) => row.p90Micros },
]

function fixed(value: number): string {
  return value.toFixed(3)
}

function span(low: number, high: number): string {
  return `${fixed(low)}–${fixed(high)}`
}

interface HideFlags extends CommonFlags {
  readonly from?: string
}

function hideCommand(): Command {
  return createCommand('hide', 'Stop recommending items')
    .argument('<item...>', 'item ids')
    .option('--from <instant>', 'from then on, such as the end of an offer (default: now)')
    .action(async (items: readonly string[], flags: HideFlags) => {
      const api = await connectApi(await configOf(flags))
      const from = flags.from === undefined ? {} : { from: flags.from }
      for (const itemId of items) {
        const body = JSON.stringify({ itemId, ...from })
        await api.json('/api/recommend/hide', { method: 'POST', body })
      }
    })
}

function unhideCommand(): Command {
  return createCommand('unhide', 'Recommend hidden items again')
    .argument('<item...>', 'item ids')
    .action(async (items: readonly string[], flags: CommonFlags) => {
      const api = await connectApi(await configOf(flags))
      for (const itemId of items) {
        const body = JSON.stringify({ itemId })
        await api.json('/api/recommend/unhide', { method: 'POST', body })
      }
    })
}

interface HiddenFlags extends CommonFlags {
  readonly json?: boolean
}

function hiddenCommand(): Command {
  return createCommand('hidden', 'List the items that are not recommended')
    .option('--json', 'print JSON, a line for each row')
    .action(async (flags: HiddenFlags) => {
      const api = await connectApi(await configOf(flags))
      const { rows } = await api.json<HiddenItemsAnswer>('/api/recommend/hidden')
      type Row = (typeof rows)[number]
      const columns = [
        { title: 'item', value: (row: Row) => row.itemId },
        { title: 'from', value: (row: Row) => row.from },
      ]
      await printRows(rows, columns, flags)
    })
}
