import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import cassandra from 'cassandra-driver'
import type { EventsAnswer } from '../../src/api/answer.ts'
import { openBrowser, type TestBrowser } from '../browser.ts'
import {
  freePort,
  type Running,
  runCommand,
  startMillrace,
  temporaryFolder,
} from '../fault/process.ts'
import { sharedCassandra, sharedKafka } from '../services.ts'

/** The whole way over real servers: a call in a browser's console, a row in a table of Cassandra. */

const folder = temporaryFolder()
const keyspace = `way_${randomUUID().replaceAll('-', '').slice(0, 12)}`
let contactPoint: string
let running: Running
let browser: TestBrowser
let client: cassandra.Client

before(async () => {
  contactPoint = await sharedCassandra()
  const env = {
    MILLRACE_LOG: 'kafka',
    MILLRACE_KAFKA_BROKERS: await sharedKafka(),
    MILLRACE_KAFKA_TOPIC: `click-stream-${randomUUID()}`,
    MILLRACE_KAFKA_ALLOW_SINGLE_REPLICA: 'true',
    MILLRACE_STORE: 'cassandra',
    MILLRACE_CASSANDRA_CONTACT_POINTS: contactPoint,
    MILLRACE_CASSANDRA_KEYSPACE: keyspace,
    MILLRACE_CASSANDRA_EXPECTED_EVENTS_PER_DAY: '1000',
  }
  for (let again = 0; again < 2; again++) {
    const { code, stderr } = await runCommand(['init'], { MILLRACE_DATA: folder.path, ...env })
    assert.equal(code, 0, stderr)
  }
  running = await startMillrace({
    folder: folder.path,
    collectPort: await freePort(),
    apiPort: await freePort(),
    env,
  })
  browser = await openBrowser()
  client = new cassandra.Client({ contactPoints: [contactPoint], localDataCenter: 'datacenter1' })
})

after(async () => {
  await browser?.close()
  await running?.stop()
  await client?.execute(`DROP KEYSPACE IF EXISTS ${keyspace}`)
  await client?.shutdown()
  folder.remove()
})

async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  const deadline = performance.now() + 20_000
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    assert.ok(performance.now() < deadline, `${what} within 20 s`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

test('divolte.signal in the console is a row of click_stream, an answer, and on the dashboard', async () => {
  const dashboard = await browser.context.newPage()
  await dashboard.goto(`${running.apiUrl}/`)
  // Headless Chromium is marked as a bot, which the page leaves out unless asked.
  await dashboard.getByLabel('Include bots').check()
  const demo = await browser.context.newPage()
  await demo.goto(`${running.collectorUrl}/`)
  await demo.waitForFunction('typeof divolte === "object" && divolte.pageViewId')
  const partyId = await demo.evaluate('divolte.partyId')
  const day = new Date().toISOString().slice(0, 10)
  await demo.evaluate("divolte.signal('event', {item_id: 101321, event_date: 3213213})")

  const row = await until('a row', async () => {
    const sql = `SELECT * FROM ${keyspace}.click_stream WHERE pk = ?`
    const { rows } = await client.execute(sql, [day], { prepare: true })
    return rows.find((one) => one.get('event_name') === 'event')
  })
  assert.equal(row.get('pk'), day)
  assert.equal(row.get('click_stream_cookie_id'), partyId)
  assert.equal(row.get('item_id'), '101321')
  assert.equal(row.get('url'), `${running.collectorUrl}/`)
  assert.equal(row.get('client_ip'), '127.0.0.0')
  assert.deepEqual(JSON.parse(row.get('parameters')), { item_id: 101321, event_date: 3213213 })
  assert.equal((row.get('event_date') as Date).toISOString().slice(0, 10), day)

  const event = await until('an answer', async () => {
    const query = 'last=1d&eventType=event&bots=include'
    const answer = await fetch(`${running.apiUrl}/api/events?${query}`)
    return ((await answer.json()) as EventsAnswer).events[0]
  })
  assert.deepEqual([event.partyId, event.itemId], [partyId, '101321'])
  await dashboard.getByText('101321').first().waitFor({ timeout: 10_000 })
})
