import { createHash } from 'node:crypto'
import { basename } from 'node:path'
import { isMillraceError, MillraceError } from '../event/error.ts'
import { itemsOfAvro } from './avro.ts'
import type { ColumnOptions } from './columns.ts'
import { openContent } from './content.ts'
import type { EventMaking } from './event.ts'
import { logOf } from './identity.ts'
import { linesOf } from './lines.ts'
import { itemsOfJsonLines } from './objects.ts'
import { itemsOfRows } from './rows.ts'
import type { ImportItem, ImportReading, ImportSource } from './source.ts'
import { readTable } from './table.ts'

/** A file as a source of rows. */

export const formats = ['tsv', 'csv', 'ndjson', 'avro'] as const
export type Format = (typeof formats)[number]

export interface FileOptions extends ColumnOptions {
  readonly path: string
  readonly format: Format
  readonly delimiter?: string | undefined
}

/**
 * The format that the name of a file says; a compression's ending is left out.
 * @throws MillraceError `import_format`
 */
export function formatOf(path: string): Format {
  const name = basename(path).toLowerCase()
  const ending = name.replace(/\.(gz|gzip|zst)$/, '').replace(/^.*\./, '')
  const known: Readonly<Record<string, Format>> = { tab: 'tsv', jsonl: 'ndjson', json: 'ndjson' }
  const format = formats.find((candidate) => candidate === ending) ?? known[ending]
  if (format !== undefined) return format
  throw new MillraceError('import_format', JSON.stringify(basename(path)))
}

/** A file whose rows become events by `options` and `making`. */
export function createFileSource(options: FileOptions, making: EventMaking): ImportSource {
  return { read: () => readFile(options, making) }
}

function readFile(options: FileOptions, making: EventMaking): ImportReading {
  const content = openContent(options.path)
  const digest = createHash('sha256')
  let fault: MillraceError | null = null
  let log: string | undefined

  async function* digested(): AsyncGenerator<Buffer, void, undefined> {
    for await (const chunk of content.chunks) {
      digest.update(chunk)
      yield chunk
    }
  }

  /** Rows before a break are rows; what cannot be read at all is an error. */
  async function* items(): AsyncGenerator<readonly ImportItem[], void, undefined> {
    let hasRows = false
    try {
      for await (const some of itemsOf(digested(), options, making)) {
        hasRows ||= some.length > 0
        yield some
      }
    } catch (thrown) {
      if (!hasRows || !isMillraceError(thrown, 'import_broken')) throw thrown
      fault = thrown
    }
  }

  return {
    items: items(),
    end: () => {
      log ??= logOf(digest.digest('hex'), decidingOptions(options, making))
      return { log, fault }
    },
    done: content.done,
    total: () => content.total,
  }
}

/** Whatever makes other rows from the same bytes. */
function decidingOptions(options: FileOptions, making: EventMaking): unknown {
  const { format, columns, parameters, delimiter } = options
  const map = columns && [...columns].sort(([a], [b]) => (a < b ? -1 : 1))
  return { format, columns: map, parameters, delimiter, timeUnit: making.timeUnit }
}

function itemsOf(
  chunks: AsyncIterable<Buffer>,
  options: FileOptions,
  making: EventMaking,
): AsyncIterable<readonly ImportItem[]> {
  switch (options.format) {
    case 'avro':
      return itemsOfAvro(chunks, options, making)
    case 'ndjson':
      return itemsOfJsonLines(linesOf(chunks), options, making)
    case 'tsv': {
      const table = { ...options, delimiter: options.delimiter ?? '\t', quotes: false }
      return itemsOfRows(readTable(linesOf(chunks), table), making)
    }
    case 'csv':
      return itemsOfRows(readTable(linesOf(chunks), { ...options, quotes: true }), making)
  }
}
