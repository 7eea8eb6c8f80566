import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { createGunzip } from 'node:zlib'
import { MillraceError } from '../event/error.ts'
import { toError } from '../lib/assert.ts'

/** Files of sessions, as researchers exchange them: read to be evaluated. */

/** One session of a file. */
export interface FileSession {
  /** In the order of the clicks. */
  readonly items: readonly string[]
  /** Of each click, ms since 1970; the number of the line where the file has no times. */
  readonly times: readonly number[]
  /** Set for a line `prefix<TAB>target`: only this is to be predicted. */
  readonly target?: string
}

/** Far beyond any file that the memory of a machine holds. */
const clicksMax = 50_000_000

/**
 * Reads a file, gzip or not, in one of three forms that its first line tells:
 * `SessionId<TAB>ItemId<TAB>Time` with this or any other title line, Time in s since 1970 or ISO
 * 8601; items of one session a line, with spaces between; or such a line, a tab, and the target.
 * Sessions come in the order of their last click.
 * @throws MillraceError `evaluate_invalid` with the file, and the line that cannot be read
 */
export async function readSessions(path: string): Promise<readonly FileSession[]> {
  const table = new Map<string, { item: string; time: number }[]>()
  const lines: FileSession[] = []
  let form: number | undefined
  let number = 0
  for await (const line of linesOf(path)) {
    number++
    if (number > clicksMax) throw invalid(path, `it has more than ${clicksMax} lines`)
    if (line === '') continue
    const cells = line.split('\t')
    form ??= cells.length
    if (cells.length !== form || form > 3) {
      throw invalid(path, `line ${number} has ${cells.length} columns`)
    }
    if (form < 3) lines.push(sessionOfLine(path, line, number))
    else addRow(table, path, cells, number)
  }
  const sessions = form === 3 ? sessionsOf(table) : lines
  if (sessions.length === 0) throw invalid(path, 'it has no session')
  return sessions
}

async function* linesOf(path: string): AsyncGenerator<string, void, undefined> {
  const file = createReadStream(path)
  const content = path.endsWith('.gz') ? file.pipe(createGunzip()) : file
  file.once('error', (error) => content.destroy(error))
  try {
    yield* createInterface({ input: content, crlfDelay: Number.POSITIVE_INFINITY })
    // readline ends quietly where its input broke off.
    if (content.errored) throw content.errored
  } catch (thrown) {
    throw invalid(path, toError(thrown).message, thrown)
  }
}

function sessionOfLine(path: string, line: string, number: number): FileSession {
  const [prefix = '', target, ...more] = line.split('\t').map((cell) => cell.trim())
  const items = prefix.split(/[ ,]+/).filter((item) => item !== '')
  if (items.length === 0 || target === '' || more.length > 0) {
    throw invalid(path, `line ${number} has no items`)
  }
  const times = items.map(() => number * 1_000)
  return target === undefined ? { items, times } : { items, times, target }
}

function addRow(
  table: Map<string, { item: string; time: number }[]>,
  path: string,
  cells: readonly string[],
  number: number,
): void {
  const [session = '', item = '', timeText = ''] = cells
  const time = timeOf(timeText)
  if (Number.isNaN(time) && number === 1) return
  if (Number.isNaN(time) || session === '' || item === '') {
    throw invalid(path, `line ${number} is no session, item and time`)
  }
  const clicks = table.get(session)
  if (clicks === undefined) table.set(session, [{ item, time }])
  else clicks.push({ item, time })
}

function timeOf(text: string): number {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1_000
  return /^\d{4}-/.test(text) ? Date.parse(text) : Number.NaN
}

function sessionsOf(table: Map<string, { item: string; time: number }[]>): FileSession[] {
  const sessions = [...table.values()].map((clicks) => {
    clicks.sort((a, b) => a.time - b.time)
    return { items: clicks.map(({ item }) => item), times: clicks.map(({ time }) => time) }
  })
  return sessions.sort((a, b) => (a.times.at(-1) as number) - (b.times.at(-1) as number))
}

function invalid(path: string, detail: string, cause?: unknown): MillraceError {
  return new MillraceError('evaluate_invalid', `${path}: ${detail}`, { cause })
}
