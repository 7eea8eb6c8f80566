import type { Command } from 'commander'
import type { DatedAnswer } from '../api/answer.ts'
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
  readonly country?: string
  readonly device?: string
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
  'country',
  'device',
  'bots',
  'limit',
] as const

const filterFlags = {
  party: ['--party <id>', 'only this party'],
  session: ['--session <id>', 'only this session'],
  eventType: ['--event-type <type>', 'only this event type'],
  item: ['--item <id>', 'only this item'],
  country: ['--country <code>', 'only this country, such as NL, or unknown'],
  device: ['--device <category>', 'only this device category, as millrace top devices names it'],
} as const

/** A flag by which some questions are narrowed. */
export type FilterFlag = keyof typeof filterFlags

const everyFilter = Object.keys(filterFlags) as FilterFlag[]

/**
 * @param filters those that make sense for the question
 * @param bots what the question does when nobody says
 */
export function withQuestionFlags(
  command: Command,
  filters: readonly FilterFlag[] = everyFilter,
  bots: 'exclude' | 'include' = 'exclude',
): Command {
  command
    .option('--last <days>', 'the last days up to now, such as 30d, 60d or 90d')
    .option('--from <day>', 'first day (YYYY-MM-DD, UTC) or instant')
    .option('--to <day>', 'last day or instant')
  for (const name of filters) {
    const [flag, description] = filterFlags[name]
    command.option(flag, description)
  }
  return command
    .option('--bots <exclude|include>', `whether bots count (default ${bots})`)
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

/** Says on stderr, where the answer may lack what was stored a moment ago, until when it has all. */
export function sayBehind({ asOf }: DatedAnswer): void {
  if (asOf === undefined) return
  process.stderr.write(`counted as of ${asOf}; what was stored since is still being counted\n`)
}
