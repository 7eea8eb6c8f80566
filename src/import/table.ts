import { parse } from 'csv-parse/sync'
import { MillraceError } from '../event/error.ts'
import { toError } from '../lib/assert.ts'
import { type ColumnOptions, type FieldName, type Layout, layOut } from './columns.ts'
import { refusal } from './event.ts'
import type { Line } from './lines.ts'
import type { FoundRow } from './rows.ts'

/** Files of cells with a header: comma-separated (RFC 4180) and tab-separated. */

export interface TableOptions extends ColumnOptions {
  /** undefined: the one of `,` `;` tab and `|` that the header has most of. */
  readonly delimiter?: string | undefined
  /** Whether cells may be quoted; in tab-separated files a quote is a character like any other. */
  readonly quotes: boolean
}

/** A quoted cell may hold line breaks; beyond this many the quote is a slip. */
const recordLinesMax = 100

/**
 * The rows of a table. A broken record refuses itself, not its neighbours: the reading goes on at
 * the line after it.
 * @throws MillraceError `import_columns` when the header lacks one that is asked for
 */
export async function* readTable(
  lines: AsyncIterable<readonly Line[]>,
  options: TableOptions,
): AsyncGenerator<readonly FoundRow[], void, undefined> {
  let reader: RecordReader | undefined
  let lineNumber = 0
  for await (const some of lines) {
    const rows: FoundRow[] = []
    for (const line of some) {
      lineNumber++
      if (reader !== undefined) reader.take(line, lineNumber, rows)
      else if (line !== '') reader = createRecordReader(headerOf(line, options))
    }
    if (rows.length > 0) yield rows
  }
  if (reader === undefined) throw new MillraceError('import_columns', 'the file is empty')
  const rows: FoundRow[] = []
  reader.end(rows)
  if (rows.length > 0) yield rows
}

interface Header {
  readonly columns: number
  readonly layout: Layout<number>
  readonly delimiter: string
  readonly quotes: boolean
}

function headerOf(line: Line, options: TableOptions): Header {
  if (line === null) throw new MillraceError('import_columns', 'the first line is too long')
  const delimiter = options.delimiter ?? delimiterOf(line)
  const names = splitRecord(line, delimiter, options.quotes)
  if (names instanceof Error) throw new MillraceError('import_columns', names.message)
  const { quotes } = options
  return { columns: names.length, layout: layOut(names, options), delimiter, quotes }
}

function delimiterOf(header: string): string {
  let best = ','
  for (const candidate of [',', ';', '\t', '|']) {
    if (header.split(candidate).length > header.split(best).length) best = candidate
  }
  return best
}

interface RecordReader {
  take(line: Line, lineNumber: number, rows: FoundRow[]): void
  /** Gives up on a record that is still open. */
  end(rows: FoundRow[]): void
}

function createRecordReader(header: Header): RecordReader {
  /** The lines of a record that a quote holds open. */
  let open: { readonly line: string; readonly lineNumber: number }[] = []

  function giveUp(rows: FoundRow[], reason: string): void {
    const [first, ...later] = open
    open = []
    if (first === undefined) return
    rows.push({ lineNumber: first.lineNumber, text: first.line, fields: refusal(reason) })
    for (const { line, lineNumber } of later) take(line, lineNumber, rows)
  }

  function take(line: Line, lineNumber: number, rows: FoundRow[]): void {
    if (line === null) {
      giveUp(rows, 'a quote is not closed')
      rows.push({ lineNumber, text: '', fields: refusal('it is too long') })
      return
    }
    if (open.length === 0 && line === '') return
    if (!header.quotes || (open.length === 0 && !line.includes('"'))) {
      rows.push(rowOf(header, line, lineNumber, line.split(header.delimiter)))
      return
    }
    open.push({ line, lineNumber })
    const text = open.length === 1 ? line : open.map((part) => part.line).join('\n')
    if (countQuotes(text) % 2 === 1) {
      if (open.length >= recordLinesMax) giveUp(rows, 'a quote is not closed')
      return
    }
    const cells = splitRecord(text, header.delimiter, true)
    if (cells instanceof Error) {
      giveUp(rows, cells.message)
      return
    }
    const { lineNumber: first } = open[0] as (typeof open)[0]
    open = []
    rows.push(rowOf(header, text, first, cells))
  }

  return {
    take,
    end(rows) {
      while (open.length > 0) giveUp(rows, 'a quote is not closed')
    },
  }
}

function countQuotes(text: string): number {
  let count = 0
  for (let at = text.indexOf('"'); at >= 0; at = text.indexOf('"', at + 1)) count++
  return count
}

function splitRecord(text: string, delimiter: string, quotes: boolean): string[] | Error {
  if (!quotes || !text.includes('"')) return text.split(delimiter)
  try {
    const records = parse(text, { delimiter, relax_column_count: true })
    return records.length === 1 ? (records[0] as string[]) : new Error('a quote is not closed')
  } catch (thrown) {
    return new Error(toError(thrown).message.replace(/ at line \d+/, ''))
  }
}

function rowOf(header: Header, text: string, lineNumber: number, cells: string[]): FoundRow {
  if (cells.length !== header.columns) {
    const reason = `it has ${cells.length} columns where the header has ${header.columns}`
    return { lineNumber, text, fields: refusal(reason) }
  }
  const { fields, parameters } = header.layout
  return {
    lineNumber,
    text,
    fields: {
      get: (name: FieldName) => {
        const at = fields.get(name)
        return at === undefined ? undefined : cells[at]
      },
      parameters:
        parameters.length === 0
          ? null
          : Object.fromEntries(parameters.map(([name, at]) => [name, cells[at]])),
    },
  }
}
