import type { Row } from '../store/store.ts'
import { calendarMsMax, type ExportColumn, exportColumns } from './columns.ts'

/**
 * CSV by RFC 4180: UTF-8, a header, CRLF after each line, quotes where a value needs them. Nothing
 * is an empty field, an empty text is `""`. Values stay as the visitor sent them: a guard against
 * formulas would change the data, so a spreadsheet must be told to import the columns as text.
 */

export const csvHeader: string = `${exportColumns.map(({ name }) => name).join(',')}\r\n`

/** A line for each row. */
export function csvLines(rows: readonly Row[]): string {
  return rows.map((row) => `${exportColumns.map((column) => fieldOf(column, row))}\r\n`).join('')
}

function fieldOf({ kind, value }: ExportColumn, row: Row): string {
  const found = value(row)
  if (found === null) return ''
  if (kind === 'time') {
    // A client's clock may show a time that no calendar has.
    return Math.abs(found as number) <= calendarMsMax ? new Date(found as number).toISOString() : ''
  }
  if (kind !== 'text') return String(found)
  const text = found as string
  return text === '' || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
