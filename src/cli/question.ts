import type { Command } from 'commander'
import { parseInteger } from './options.ts'

/** Flags by which every question is narrowed; the API knows them by the same names. */
export interface QuestionFlags {
  readonly last?: string
  readonly from?: string
  readonly to?: string
  readonly party?: string
  readonly session?: string
  readonly eventType?: string
  readonly item?: string
  readonly bots?: string
  readonly limit?: number
  readonly json?: boolean
}

const questionNames = [
  'last',
  'from',
  'to',
  'party',
  'session',
  'eventType',
  'item',
  'bots',
  'limit',
] as const

export function withQuestionFlags(command: Command): Command {
  return command
    .option('--last <days>', 'the last days up to now, such as 30d, 60d or 90d')
    .option('--from <day>', 'first day (YYYY-MM-DD, UTC) or instant')
    .option('--to <day>', 'last day or instant')
    .option('--party <id>', 'only this party')
    .option('--session <id>', 'only this session')
    .option('--event-type <type>', 'only this event type')
    .option('--item <id>', 'only this item')
    .option('--bots <exclude|include>', 'whether bots count (default exclude)')
    .option('--json', 'print JSON, a line for each row')
}

export function withLimitFlag(command: Command): Command {
  return command.option('--limit <rows>', 'most rows to print', parseInteger)
}

/** The query string of a question, with its `?`, or ''. */
export function queryOf(flags: QuestionFlags, more: Readonly<Record<string, string>> = {}): string {
  const query = new URLSearchParams(more)
  for (const name of questionNames) {
    const value = flags[name]
    if (value !== undefined) query.set(name, String(value))
  }
  const text = query.toString()
  return text === '' ? '' : `?${text}`
}
