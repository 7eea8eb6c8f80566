import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import cassandra from 'cassandra-driver'
import { openBrowser, type TestBrowser } from '../browser.ts'
import {
  freePort,
  type Running,
  runCommand,
  startMillrace,
  temporaryFolder,
} from '../fault/process.ts'
import { sharedCassandra, sharedKafka } from '../services.ts'

/** The whole way over real servers: a browser, `millrace start`, Kafka, Cassandra. */
export interface Way {
  readonly running: Running
  readonly browser: TestBrowser
  readonly client: cassandra.Client
  /** `HOST:PORT` */
  readonly contactPoint: string
  readonly keyspace: string
  close(): Promise<void>
}

export async function openWay(): Promise<Way> {
  const folder = temporaryFolder()
  const keyspace = `way_${randomUUID().replaceAll('-', '').slice(0, 12)}`
  const contactPoint = await sharedCassandra()
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
  const ports = { collectPort: await freePort(), apiPort: await freePort() }
  const running = await startMillrace({ folder: folder.path, ...ports, env })
  const browser = await openBrowser()
  const client = new cassandra.Client({
    contactPoints: [contactPoint],
    localDataCenter: 'datacenter1',
    // Dropping a keyspace waits for its files.
    socketOptions: { readTimeout: 120_000 },
  })
  return {
    ...{ running, browser, client, contactPoint, keyspace },
    async close() {
      await browser.close()
      await running.stop()
      try {
        await client.execute(`DROP KEYSPACE IF EXISTS ${keyspace}`)
      } finally {
        await client.shutdown()
        folder.remove()
      }
    },
  }
}

/** The event of the demo, signalled in the page; resolves with its row, looked for by CQL. */
export async function signalDemo({ running, browser, client, keyspace }: Way): Promise<{
  readonly partyId: string
  readonly day: string
  readonly row: cassandra.types.Row
}> {
  const demo = await browser.context.newPage()
  await demo.goto(`${running.collectorUrl}/`)
  await demo.waitForFunction('typeof divolte === "object" && divolte.pageViewId')
  const partyId = (await demo.evaluate('divolte.partyId')) as string
  const day = new Date().toISOString().slice(0, 10)
  await demo.evaluate("divolte.signal('event', {item_id: 101321, event_date: 3213213})")
  const row = await until('a row', async () => {
    const sql = `SELECT * FROM ${keyspace}.click_stream WHERE pk = ?`
    const { rows } = await client.execute(sql, [day], { prepare: true })
    return rows.find((one) => one.get('event_name') === 'event')
  })
  return { partyId, day, row }
}

/** Looks again until something is found. */
export async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  const deadline = performance.now() + 60_000
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    assert.ok(performance.now() < deadline, `${what} within 60 s`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
