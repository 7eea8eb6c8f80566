import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { createMapper } from '../collect/mapping/mapper.ts'
import { type SampleOptions, sampleOfLine } from '../collect/mapping/sample-request.ts'
import { type Sample, sampleEvents } from '../collect/mapping/samples.ts'
import { type Config, configPath } from '../config.ts'
import { isMillraceError, MillraceError } from '../event/error.ts'
import type { Mapping } from '../event/mapping.ts'
import { toError } from '../lib/assert.ts'
import { systemClock } from '../lib/clock.ts'
import { createRecordView } from './mapped-record.ts'
import { tellingFiles, watchTries } from './mapping-watch.ts'
import { mappingsOf, sampleSourcesOf } from './mappings.ts'
import { type CommonFlags, configOf, createCommand } from './options.ts'
import { printable, printOut, quantity } from './terminal.ts'

interface TestFlags extends CommonFlags {
  readonly watch?: boolean
  readonly json?: boolean
  readonly mapping?: string
}

/** `millrace mapping test`: what the mappings of the configuration make of sample requests. */
export function mappingCommand(): Command {
  const command = createCommand('mapping', 'Try the mappings of the configuration')
  command.addCommand(
    createCommand('test', 'Show the records that sample requests give, or what is wrong')
      .argument(
        '[file]',
        "URLs of a tag's events or JSON events, one a line; - reads from the pipe",
      )
      .option('--mapping <name>', 'try this one only')
      .option('--json', 'a JSON object a line')
      .option(
        '--watch',
        'try again whenever the file, the configuration, an import of it or a schema changes',
      )
      .action(async (file: string | undefined, flags: TestFlags) => {
        if (flags.watch === true) await watchTries(watchedFirst(file, flags))
        else await tryAll(file, flags)
      }),
  )
  return command
}

/** What a try reads before it can tell of anything. */
function watchedFirst(file: string | undefined, { config }: TestFlags): string[] {
  const path = configPath({ folder: process.cwd(), ...(config !== undefined && { file: config }) })
  return [path, ...(file === undefined || file === '-' ? [] : [resolve(file)])]
}

async function tryAll(file: string | undefined, flags: TestFlags): Promise<void> {
  const config = await tellingFiles(
    () => configOf(flags),
    ({ mappings }) => Object.values(mappings).map(({ schema }) => resolve(schema)),
  )
  const mappings = chosen(mappingsOf(config), flags.mapping)
  // As a start would: a mapping that cannot work is no matter of samples.
  createMapper(mappings)
  const lines = file === undefined ? undefined : linesOf(await read(file))
  const samples = lines ?? madeUp(mappings)
  let failed = 0
  for (const [index, { text, sample }] of samples.entries()) {
    for (const result of resultsOf(config, mappings, sample)) {
      if (result.error !== undefined) failed++
      const line = index + 1
      const shown =
        flags.json === true ? JSON.stringify({ line, ...result }) : show(line, text, result)
      if (!(await printOut(`${shown}\n`))) return
    }
  }
  const told = `${quantity(samples.length, 'request')}, ${quantity(mappings.length, 'mapping')}`
  process.stderr.write(`${told}: ${failed === 0 ? 'all well' : quantity(failed, 'failure')}\n`)
  // Made-up events may well lack what a mapping needs; one's own samples should not.
  if (failed > 0 && file !== undefined) process.exitCode = 1
}

function chosen(mappings: readonly Mapping[], name: string | undefined): readonly Mapping[] {
  const taken = name === undefined ? mappings : mappings.filter((one) => one.name === name)
  if (taken.length > 0) return taken
  const known = mappings.map((one) => one.name).join(', ')
  const detail = name === undefined ? 'it has no mappings' : `no mapping ${name} (known: ${known})`
  throw new MillraceError('config_invalid', detail)
}

/** A sample as it is made when its turn comes: a line may be wrong. */
interface Line {
  readonly text: string
  readonly sample: (config: Config) => Sample
}

function linesOf(text: string): Line[] {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.startsWith('#'))
    .map((line) => ({
      text: line,
      sample: (config) => sampleOfLine(line, samplesBy(config), systemClock()),
    }))
}

function samplesBy({ collect, sources }: Config): SampleOptions {
  return { collect, sources: sampleSourcesOf(sources) }
}

function madeUp([first]: readonly Mapping[]): Line[] {
  return sampleEvents(first?.sources?.slice(0, 1)).map((sample, index) => ({
    text: index === 0 ? 'an event with all members' : 'an event with as few as can be',
    sample: () => sample,
  }))
}

/** What one mapping makes of one request. */
interface Result {
  readonly mapping: string | null
  /** null when the mapping leaves the event out. */
  readonly record?: unknown
  /** What the store gets of the record; absent for a mapping with a topic of its own. */
  readonly row?: unknown
  readonly error?: unknown
}

function resultsOf(
  config: Config,
  mappings: readonly Mapping[],
  make: (config: Config) => Sample,
): Result[] {
  let sample: Sample
  try {
    sample = make(config)
  } catch (thrown) {
    return [{ mapping: null, error: errorOf(thrown) }]
  }
  const { event, request } = sample
  return mappings
    .filter(({ sources }) => sources === undefined || sources.includes(request.source))
    .map((mapping) => {
      try {
        const records = createMapper([mapping])(event, request)
        const record = records.find(({ headers }) => headers !== undefined)
        if (record === undefined) return { mapping: mapping.name, record: null }
        return { mapping: mapping.name, ...createRecordView(config, mapping)(record) }
      } catch (thrown) {
        return { mapping: mapping.name, error: errorOf(thrown) }
      }
    })
}

function errorOf(thrown: unknown): unknown {
  return isMillraceError(thrown) ? thrown.toJSON() : { message: toError(thrown).message }
}

const shownMax = 100

function show(line: number, text: string, { mapping, record, row, error }: Result): string {
  const request = text.length > shownMax ? `${text.slice(0, shownMax)}…` : text
  const title = `${line}${mapping === null ? '' : ` ${mapping}`}: ${request}`
  const parts = [title]
  if (error !== undefined) parts.push(`   error  ${(error as Error).message}`)
  else if (record === null) parts.push('   left out')
  else parts.push(`   record ${JSON.stringify(record)}`)
  if (row !== undefined) parts.push(`   row    ${JSON.stringify(row)}`)
  return parts.map(printable).join('\n')
}

async function read(file: string): Promise<string> {
  try {
    if (file !== '-') return await readFile(file, 'utf8')
    let text = ''
    for await (const chunk of process.stdin.setEncoding('utf8')) text += chunk
    return text
  } catch (thrown) {
    throw new MillraceError('import_unreadable', toError(thrown).message, { cause: thrown })
  }
}
