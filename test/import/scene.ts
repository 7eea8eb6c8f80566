import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { createAgentReader } from '../../src/collect/enrich.ts'
import { parseConfig } from '../../src/config.ts'
import { parseColumns } from '../../src/import/columns.ts'
import type { EventMaking } from '../../src/import/event.ts'
import { createFileSource, type FileOptions, type Format } from '../../src/import/file.ts'
import {
  type EventItem,
  type ImportItem,
  type ImportSource,
  isRefused,
  type RefusedItem,
  type SourceEnd,
} from '../../src/import/source.ts'

/** What the tests of imports share: files, and what a reading gives. */

export const making: EventMaking = {
  limits: parseConfig({}).collect,
  readAgent: createAgentReader(),
}

/** A folder that goes with the test. */
export function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-import-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export interface GivenFile {
  readonly name?: string
  readonly format: Format
  readonly columns?: string
  readonly parameters?: readonly string[]
  readonly delimiter?: string
}

/** A file with these bytes as a source. */
export function sourceOf(
  t: TestContext,
  content: string | Uint8Array,
  { name = 'file', format, columns, parameters = [], delimiter }: GivenFile,
): ImportSource {
  const path = join(folderOf(t), name)
  writeFileSync(path, content)
  const options: FileOptions = {
    path,
    format,
    columns: columns === undefined ? undefined : parseColumns(columns),
    parameters,
    delimiter,
  }
  return createFileSource(options, making)
}

export interface Reading extends SourceEnd {
  readonly items: readonly ImportItem[]
  readonly events: readonly EventItem['event'][]
  readonly refused: readonly RefusedItem[]
}

/** Everything that a source gives. */
export async function readAll(source: ImportSource): Promise<Reading> {
  const reading = source.read()
  const items: ImportItem[] = []
  for await (const some of reading.items) items.push(...some)
  const refused = items.filter(isRefused)
  const events = items.flatMap((item) => (isRefused(item) ? [] : [item.event]))
  return { items, events, refused, ...reading.end() }
}
