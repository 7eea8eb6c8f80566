import { statSync } from 'node:fs'
import { join } from 'node:path'
import { type Command, Option } from 'commander'
import type { CountsAnswer } from '../api/answer.ts'
import { isMillraceError, MillraceError } from '../event/error.ts'
import { type ExportFormat, exportFormats } from '../export/export.ts'
import { partOfDay } from '../export/parquet.ts'
import { waitMs } from '../lib/retry.ts'
import { type ApiClient, connectApi } from './client.ts'
import { type CommonFlags, configOf, createCommand } from './options.ts'
import { queryOf } from './question.ts'
import { createProgressBar, printOut, quantity } from './terminal.ts'
import { writeWholeFile } from './whole-file.ts'

interface ExportFlags extends CommonFlags {
  readonly day?: string
  readonly last?: string
  readonly from?: string
  readonly to?: string
  readonly format?: ExportFormat
  readonly out?: string
  readonly bots: string
}

/** `millrace export`: events as files of one's own. */
export function exportCommand(): Command {
  return createCommand('export', 'Take events along as Parquet, CSV or lines of JSON')
    .option('--day <day>', 'one day (YYYY-MM-DD, UTC)')
    .option('--last <days>', 'the last days, such as 30d, 60d or 90d')
    .option('--from <day>', 'first day (YYYY-MM-DD, UTC) or instant')
    .option('--to <day>', 'last day or instant')
    .addOption(
      new Option('--format <format>', 'the form of the files (default: as --out ends)').choices(
        exportFormats,
      ),
    )
    .option(
      '--out <path>',
      'a file; for Parquet a folder with a file for each day; - is the output',
    )
    .option('--bots <exclude|include>', 'whether events of bots are in it', 'include')
    .addHelpText(
      'after',
      `
Bots are in an export unless you leave them out: what is not in a copy cannot be asked for any more,
and the column bot tells them apart.
Parquet is written as OUT/day=YYYY-MM-DD/part-0.parquet, which Spark and DuckDB read as one table.
CSV is data, not a sheet: values stay as visitors sent them, also those that begin with = or @. A
spreadsheet must be told to import the columns as text.`,
    )
    .action(async (flags: ExportFlags, command: Command) => {
      const format = flags.format ?? formatOf(flags.out)
      if (format === undefined) {
        command.error(
          `error: give --format (${exportFormats.join(', ')}), or an --out that ends so`,
        )
      }
      const api = await connectApi(await configOf(flags))
      const { day, last, from, to, bots } = flags
      const span = {
        ...(day && { day }),
        ...(last && { last }),
        ...(from && { from }),
        ...(to && { to }),
      }
      if (format === 'parquet') await exportDays(api, { ...span, bots }, flags.out)
      else await exportStream(api, { ...span, bots }, format, flags.out)
    })
}

function formatOf(out = ''): ExportFormat | undefined {
  return exportFormats.find((format) => out.toLowerCase().endsWith(`.${format}`))
}

type Span = Readonly<Record<string, string>>

function pathOf(span: Span, format: ExportFormat): string {
  return `/api/export${queryOf({}, { ...span, format })}`
}

/** The days that have events, with how many; their sum is what a bar counts to. */
async function countDays(api: ApiClient, { day, ...rest }: Span): Promise<Map<string, number>> {
  const span = day === undefined ? rest : { ...rest, from: day, to: day }
  const { rows } = await api.json<CountsAnswer>(`/api/counts${queryOf({}, span)}`)
  const days = new Map<string, number>()
  for (const row of rows) days.set(row.day, (days.get(row.day) ?? 0) + row.count)
  return days
}

async function exportDays(api: ApiClient, span: Span, out = 'export'): Promise<void> {
  if (out === '-')
    throw new MillraceError('question_invalid', 'Parquet goes into a folder: --out FOLDER')
  if (['from', 'to'].some((name) => span[name]?.includes('T'))) {
    throw new MillraceError('question_invalid', 'Parquet has whole days: give from and to as days')
  }
  if (statSync(out, { throwIfNoEntry: false })?.isFile()) {
    throw new MillraceError(
      'question_invalid',
      `--out ${out} is a file; Parquet goes into a folder`,
    )
  }
  const days = await countDays(api, span)
  const total = sum(days.values())
  const bar = createProgressBar('events')
  let done = 0
  for (const [day, events] of days) {
    const path = pathOf({ day, bots: span['bots'] ?? 'include' }, 'parquet')
    const { chunks, total: bytes } = await whenFree(() => api.bytes(path))
    await writeWholeFile(join(out, partOfDay(day)), counted(chunks, bytes))
    done += events
    bar.update(done, total)
  }
  bar.end()
  process.stderr.write(`${quantity(done, 'event')} of ${quantity(days.size, 'day')} in ${out}\n`)
}

const waitsMax = 600

/** A backup, or another export, may be under way: its end is waited for, ten minutes at most. */
async function whenFree<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
  for (let wait = 0; ; wait++) {
    try {
      return await ask()
    } catch (thrown) {
      if (!isMillraceError(thrown, 'export_running') || wait === waitsMax) throw thrown
      if (wait === 0) process.stderr.write('waiting for another export or backup to end\n')
      await waitMs(1_000)
    }
  }
}

async function exportStream(
  api: ApiClient,
  span: Span,
  format: ExportFormat,
  out: string | undefined,
): Promise<void> {
  const { chunks } = await api.bytes(pathOf(span, format))
  if (out === undefined || out === '-') {
    for await (const chunk of chunks) if (!(await printOut(chunk))) return
    return
  }
  const total = sum((await countDays(api, span)).values())
  const bar = createProgressBar('events')
  const file = statSync(out, { throwIfNoEntry: false })?.isDirectory()
    ? join(out, `events.${format}`)
    : out
  await writeWholeFile(file, withBar(chunks, total, bar, format === 'csv'))
  bar.end()
  process.stderr.write(`${quantity(total, 'event')} in ${file}\n`)
}

/** Lines are counted as they pass; a quoted field of CSV may have some, so the bar stops at its end. */
async function* withBar(
  chunks: AsyncIterable<Uint8Array>,
  total: number,
  bar: ReturnType<typeof createProgressBar>,
  hasHeader: boolean,
): AsyncIterable<Uint8Array> {
  let lines = hasHeader ? -1 : 0
  for await (const chunk of chunks) {
    for (const byte of chunk) if (byte === 10) lines++
    bar.update(Math.min(Math.max(0, lines), total), total)
    yield chunk
  }
}

/** An answer with a length that ends before it was cut off. */
async function* counted(
  chunks: AsyncIterable<Uint8Array>,
  total: number | null,
): AsyncIterable<Uint8Array> {
  let bytes = 0
  for await (const chunk of chunks) {
    bytes += chunk.byteLength
    yield chunk
  }
  if (total !== null && bytes !== total) {
    throw new MillraceError('api_unreachable', `the answer ended after ${bytes} of ${total} bytes`)
  }
}

function sum(values: Iterable<number>): number {
  let total = 0
  for (const value of values) total += value
  return total
}
