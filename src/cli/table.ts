import { jsonLine, printable, printOut } from './terminal.ts'

/** One column of a printed table. */
export interface TableColumn<Row> {
  readonly title: string
  /** A number is set to the right and its digits are grouped; a text is printed without its controls. */
  readonly value: (row: Row) => string | number
}

/** Rows as a person reads them, or as JSON, a line each. */
export async function printRows<Row extends object>(
  rows: readonly Row[],
  columns: readonly TableColumn<Row>[],
  { json }: { readonly json?: boolean },
): Promise<void> {
  if (json === true) {
    await printOut(rows.map(jsonLine).join(''))
    return
  }
  if (rows.length === 0) {
    process.stderr.write('nothing in that span (days are UTC; see --last, --from and --bots)\n')
    return
  }
  await printOut(formatTable(rows, columns))
}

/** Columns side by side, with their titles above. */
export function formatTable<Row>(
  rows: readonly Row[],
  columns: readonly TableColumn<Row>[],
): string {
  const cells = columns.map(({ title, value }) => {
    const values = rows.map(value)
    const texts = [title, ...values.map((cell) => textOf(cell))]
    const width = Math.max(...texts.map((text) => text.length))
    const isNumber = values.every((cell) => typeof cell === 'number')
    return texts.map((text) => (isNumber ? text.padStart(width) : text.padEnd(width)))
  })
  const lines = [undefined, ...rows].map((_, at) =>
    cells.map((column) => column[at] ?? '').join('  '),
  )
  return lines.map((line) => `${line.trimEnd()}\n`).join('')
}

function textOf(cell: string | number): string {
  return typeof cell === 'number' ? cell.toLocaleString('en') : printable(cell)
}
