import { type Command, InvalidArgumentError } from 'commander'
import { createAgentReader } from '../collect/enrich.ts'
import type { Config } from '../config.ts'
import { type ColumnMap, parseColumns } from '../import/columns.ts'
import { createFileSource, type Format, formatOf, formats } from '../import/file.ts'
import { identifySource } from '../import/import.ts'
import type { ImportSource } from '../import/source.ts'
import { type TimeUnit, timeUnits } from '../import/time.ts'
import { runImport, withImportTarget } from './import-run.ts'
import { type CommonFlags, configOf, createCommand } from './options.ts'

interface ImportFlags extends CommonFlags {
  readonly format?: Format
  readonly columns?: ColumnMap
  readonly delimiter?: string
  readonly timeUnit?: TimeUnit
  readonly parameters?: readonly string[]
  readonly outsideRetention?: boolean
  readonly again?: boolean
  readonly forget?: boolean
}

/** `millrace import FILE`: history from a file; the same file again changes nothing. */
export function importCommand(): Command {
  return createCommand('import', 'Import events from a file; nothing appears twice')
    .argument('<file>', 'a file, compressed by gzip or zstd or not')
    .option('--format <format>', `${formats.join(', ')} (default: by its name)`, oneOf(formats))
    .option(
      '--columns <map>',
      'which column is what: session=SessionId,item=ItemId,time=Time; others are party, day and clock (a time in two columns), eventType, eventId, pageView, location, referer, userAgent, country, parameters (JSON)',
      parseColumns,
    )
    .option('--parameters <columns>', 'columns that become parameters of the event', listOf)
    .option('--delimiter <character>', 'between columns (default: what the header has)', delimiter)
    .option(
      '--time-unit <unit>',
      's, ms or us for times that are numbers (default: by size)',
      oneOf(timeUnits),
    )
    .option('--outside-retention', 'keep days that retention would delete, until --forget')
    .option('--forget', 'import nothing, and let retention have the days that this file kept')
    .option('--again', 'write all rows again, such as after retention deleted some')
    .action(async (file: string, flags: ImportFlags) => {
      const config = await configOf(flags)
      const source = sourceOf(file, flags, config)
      if (flags.forget !== true) return runImport(config, source, flags)
      const log = await identifySource(source)
      await withImportTarget(config, (target) => target.forget(log))
      process.stdout.write('forgotten: the next retention deletes its days\n')
    })
}

function sourceOf(path: string, flags: ImportFlags, config: Config): ImportSource {
  const { columns, delimiter, timeUnit, parameters = [] } = flags
  const format = flags.format ?? formatOf(path)
  const making = { limits: config.collect, readAgent: createAgentReader(), timeUnit }
  return createFileSource({ path, format, columns, delimiter, parameters }, making)
}

function oneOf<Word extends string>(words: readonly Word[]): (text: string) => Word {
  return (text) => {
    const word = words.find((candidate) => candidate === text)
    if (word !== undefined) return word
    throw new InvalidArgumentError(`It must be one of ${words.join(', ')}.`)
  }
}

function listOf(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
}

function delimiter(text: string): string {
  const character = text === '\\t' ? '\t' : text
  if (character.length === 1 && !/["\r\n]/.test(character)) return character
  throw new InvalidArgumentError('It must be one character.')
}
