import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import type { EventsAnswer } from '../../src/api/answer.ts'
import { openWay, signalDemo, until, type Way } from './way-scene.ts'

/** What people type to look: Cassandra's own cqlsh over the events of a real browser. */

const run = promisify(execFile)
const version = '6.2.2'
let way: Way
let program: string

before(async () => {
  program = await prepareCqlsh()
  way = await openWay()
})

after(() => way?.close())

/** From PyPI, in an environment of its own that `npm ci` throws away. */
async function prepareCqlsh(): Promise<string> {
  const folder = new URL(`../../node_modules/.cache/cqlsh-${version}`, import.meta.url).pathname
  const cqlsh = join(folder, 'bin', 'cqlsh')
  if (existsSync(cqlsh)) return cqlsh
  await run('python3', ['-m', 'venv', folder])
  const python = join(folder, 'bin', 'python')
  await run(python, ['-m', 'pip', 'install', '--quiet', `cqlsh==${version}`])
  return cqlsh
}

/** What cqlsh prints. */
async function ask(statement: string): Promise<string> {
  const [host = '', port = ''] = way.contactPoint.split(':')
  const flags = ['--no-color', '--request-timeout', '30', '--connect-timeout', '30']
  const { stdout } = await run(program, [...flags, '-e', statement, host, port])
  return stdout
}

/** The lines of a table that cqlsh prints, as values by column. */
function readTable(text: string): Record<string, string>[] {
  const lines = text.split('\n').filter((line) => line.includes('|') || /^\s+\S+$/.test(line))
  const cells = lines.map((line) => line.split('|').map((cell) => cell.trim()))
  const [names = [], ...rows] = cells
  return rows.map((row) => Object.fromEntries(names.map((name, at) => [name, row[at] ?? ''])))
}

test('SELECT * FROM click_stream in cqlsh shows the event that Chromium has sent', async () => {
  const { partyId, day } = await signalDemo(way)
  const rows = readTable(await ask(`SELECT * FROM ${way.keyspace}.click_stream`))
  const row = rows.find(({ event_name }) => event_name === 'event')
  assert.ok(row, JSON.stringify(rows))
  const { pk, event_date, click_stream_cookie_id, event_name, item_id, url, client_ip } = row
  assert.match(event_date ?? '', new RegExp(`^${day} `))
  assert.deepEqual(
    { pk, click_stream_cookie_id, event_name, item_id, url, client_ip },
    {
      pk: day,
      click_stream_cookie_id: partyId,
      event_name: 'event',
      item_id: '101321',
      url: `${way.running.collectorUrl}/`,
      client_ip: '127.0.0.0',
    },
  )
})

test('a day that is expected to be small is whole under its name', async () => {
  const { day } = await signalDemo(way)
  const events = await until('two page views and two signals', async () => {
    const url = `${way.running.apiUrl}/api/events?from=${day}&to=${day}&bots=include`
    const answer = (await (await fetch(url)).json()) as EventsAnswer
    return answer.events.length === 4 ? answer.events : undefined
  })
  const where = `WHERE pk = '${day}'`
  const text = await ask(`SELECT event_id, pk FROM ${way.keyspace}.click_stream ${where}`)
  assert.deepEqual(
    readTable(text)
      .map(({ event_id }) => event_id)
      .sort(),
    events.map(({ eventId }) => eventId).sort(),
  )
})
