import type { Command } from 'commander'
import type { HiddenItemsAnswer, NeighboursAnswer } from '../api/recommend-answer.ts'
import { connectApi } from './client.ts'
import { type CommonFlags, configOf, createCommand, parseInteger } from './options.ts'
import { aggregatesCommand } from './recommend-aggregates.ts'
import { clicksCommand } from './recommend-clicks.ts'
import { evaluateCommand } from './recommend-evaluate.ts'
import { buildCommand, modelsCommand, publishCommand } from './recommend-models.ts'
import { printRows } from './table.ts'

/** `millrace recommend`: build, look into, evaluate the models; hide items. */
export function recommendCommand(): Command {
  const command = createCommand('recommend', 'Build, look into and evaluate recommendations')
  return command
    .addCommand(buildCommand())
    .addCommand(modelsCommand())
    .addCommand(publishCommand())
    .addCommand(aggregatesCommand())
    .addCommand(showCommand())
    .addCommand(evaluateCommand())
    .addCommand(clicksCommand())
    .addCommand(hideCommand())
    .addCommand(unhideCommand())
    .addCommand(hiddenCommand())
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
