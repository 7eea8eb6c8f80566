import { runCommand } from '../process.ts'
import { identityOf } from './checker.ts'
import { ask, everyRow } from './evidence.ts'
import type { Attempt, FaultRow } from './run.ts'
import type { Scene } from './scene.ts'
import { topicEnds } from './topic-ends.ts'

/**
 * Row 22: the whole topic is read again, once under load and twice in quiet. Nothing of what is
 * stored changes: not a row, not when it was written, not an answer; and no row expires earlier.
 */
export const replayAll: FaultRow = {
  number: 22,
  title: 'replay of all that the topic holds',
  async run(scene, attempt) {
    const driver = attempt.drive({ port: scene.collectPort(), rate: 300 })
    await driver.untilAcknowledged(200 + Math.floor(attempt.random() * 800))
    await replay(scene, attempt)
    await driver.untilAcknowledged(100)
    await driver.stop()
  },
  async check(scene, attempt) {
    const before = await pictureOf(scene)
    for (let time = 1; time <= 2; time++) {
      const held = await recordsHeld(scene)
      const { read, total } = await replay(scene, attempt)
      if (read !== held || total !== held) {
        attempt.broken.push(`replay ${time} has read ${read} of ${total} of the ${held} records`)
      }
      compare(before, await pictureOf(scene), `after replay ${time}`, attempt)
    }
    attempt.notes.push(`${before.rows.size} rows compared`)
  },
  control: {
    title: 'rows are placed and stamped by the clock of who writes them',
    scene: {
      env: { TEST_WRONG_CONSUMER: 'restamping' },
      consumeScript: new URL('wrong-consumer.ts', import.meta.url).pathname,
    },
  },
}

const replayed = /(\d+) of (\d+) records read again/

/** By the command that a user types. */
async function replay(
  scene: Scene,
  { broken }: Attempt,
): Promise<{ readonly read: number; readonly total: number }> {
  const { code, stdout, stderr } = await runCommand(['replay', '--from', 'earliest'], scene.env)
  const [, read = '-1', total = '-1'] = replayed.exec(stdout) ?? []
  if (code !== 0) broken.push(`millrace replay ended with ${code}: ${stdout}${stderr}`)
  return { read: Number(read), total: Number(total) }
}

/** Of both topics: nothing is ever deleted or compacted in these runs. */
async function recordsHeld(scene: Scene): Promise<number> {
  return [...(await topicEnds(scene)).values()].flat().reduce((sum, end) => sum + end, 0)
}

/** One row, past Millrace. */
interface StoredRow {
  /** Every column, as text. */
  readonly text: string
  /** Microseconds since 1970, of a column that depends on the receipt and of one that does not. */
  readonly writtenAt: string
  /** Whole seconds that it has left, as of some moment of the query. */
  readonly ttl: number
}

/** All that could change. */
interface Picture {
  /** Whole seconds since 1970, before and after the query for the rows. */
  readonly from: number
  readonly to: number
  readonly rows: ReadonlyMap<string, StoredRow>
  readonly parties: ReadonlySet<string>
  /** Path → body. */
  readonly answers: ReadonlyMap<string, string>
}

const questions = [
  '/api/counts',
  '/api/top-items',
  '/api/uniques',
  '/api/sessions',
  '/api/accounting',
  '/api/events',
]

async function pictureOf(scene: Scene): Promise<Picture> {
  const { client, keyspace } = scene
  const rows = new Map<string, StoredRow>()
  const times = 'WRITETIME(received_at), WRITETIME(event_name), TTL(received_at)'
  const sql = `SELECT ${columns.join(', ')}, ${times} FROM ${keyspace}.click_stream`
  const from = seconds()
  const found = await everyRow(client, sql)
  const to = seconds()
  for (const row of found) {
    const values = columns.map((name) => row.get(name))
    const key = `${row.get('pk')} ${identityOf(row.get('click_stream_cookie_id'), row.get('event_id'))}`
    rows.set(key, {
      text: JSON.stringify(values, (_, value) => (typeof value === 'bigint' ? `${value}` : value)),
      writtenAt: `${row.get('writetime(received_at)')} ${row.get('writetime(event_name)')}`,
      ttl: Number(row.get('ttl(received_at)')),
    })
  }
  const parties = new Set<string>()
  const party = `SELECT pk, click_stream_cookie_id, event_id FROM ${keyspace}.events_by_party`
  for (const row of await everyRow(client, party)) parties.add(Object.values(row).join(' '))
  const answers = new Map<string, string>()
  for (const path of questions) {
    const type = path === '/api/events' ? 'application/x-ndjson' : 'application/json'
    answers.set(path, await ask(scene, `${path}?last=3d&bots=include`, type))
  }
  return { from, to, rows, parties, answers }
}

function seconds(): number {
  return Math.floor(Date.now() / 1_000)
}

const columns = [
  ...['pk', 'event_date', 'event_id', 'click_stream_cookie_id', 'event_name', 'item_id'],
  ...['received_at', 'client_date', 'clock_source', 'client_ip', 'parameters', 'user_agent'],
  ...['position', 'receipts'],
]

function compare(before: Picture, after: Picture, when: string, { broken, notes }: Attempt): void {
  let changed = 0
  let earlier = 0
  let later = 0
  for (const [key, row] of before.rows) {
    const now = after.rows.get(key)
    if (now?.text !== row.text || now.writtenAt !== row.writtenAt) changed++
    if (now === undefined) continue
    if (after.to + now.ttl < before.from + row.ttl) earlier++
    later = Math.max(later, after.from + now.ttl - before.to - row.ttl)
  }
  const added = [...after.rows.keys()].filter((key) => !before.rows.has(key)).length
  if (changed > 0) broken.push(`${changed} rows have changed ${when}`)
  if (added > 0) broken.push(`${added} rows were added ${when}`)
  if (earlier > 0) broken.push(`${earlier} rows expire earlier ${when}`)
  const isSame = after.parties.size === before.parties.size
  if (!isSame || [...before.parties].some((key) => !after.parties.has(key))) {
    broken.push(`the parties' rows have changed ${when}`)
  }
  for (const [path, answer] of before.answers) {
    if (after.answers.get(path) !== answer) broken.push(`${path} answers otherwise ${when}`)
  }
  notes.push(`expiry up to ${later} s later ${when}`)
}
