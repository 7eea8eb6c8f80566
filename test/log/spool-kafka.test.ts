import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { startKafka } from '../../script/services/kafka.ts'
import { createDecoder, eventRecordSchema } from '../../src/event/record.ts'
import { startLoad } from '../cli/load.ts'
import { freePort, type Running, runCommand, startMillrace } from '../fault/process.ts'
import { openTestLog } from './kafka-scene.ts'
import { readAll } from './log.suite.ts'
import { until } from './spool-scene.ts'

/** A collector, as its users run it, before a real broker that is stopped, killed and started again. */

const folder = await mkdtemp(join(tmpdir(), 'millrace-spool-kafka-'))
const kafka = await startKafka({ folder: join(folder, 'kafka') })
after(async () => {
  await kafka.kill()
  await rm(folder, { recursive: true, force: true })
})

async function paused<T>(work: () => Promise<T>): Promise<T> {
  for (const broker of kafka.brokers) broker.pause()
  try {
    return await work()
  } finally {
    for (const broker of kafka.brokers) broker.resume()
  }
}

class Site {
  readonly topic = `clicks-${randomUUID()}`
  readonly data = join(folder, this.topic)
  readonly env: Record<string, string>
  port = 0

  constructor(settings: Record<string, string> = {}) {
    this.env = {
      MILLRACE_DATA: this.data,
      MILLRACE_LOG: 'kafka',
      MILLRACE_KAFKA_BROKERS: kafka.address,
      MILLRACE_KAFKA_TOPIC: this.topic,
      MILLRACE_KAFKA_PARTITIONS: '2',
      MILLRACE_KAFKA_ALLOW_SINGLE_REPLICA: 'true',
      MILLRACE_KAFKA_TIMEOUT_MS: '2000',
      MILLRACE_SPOOL_AFTER_MS: '300',
      MILLRACE_COLLECT_REQUESTS_PER_SECOND_MAX: '0',
      ...settings,
    }
  }

  async collect(...flags: string[]): Promise<Running> {
    this.port ||= await freePort()
    const { data, port, env } = this
    const command = ['collect', ...flags]
    const running = await startMillrace({
      folder: data,
      collectPort: port,
      apiPort: 0,
      command,
      env,
    })
    after(() => running.kill())
    return running
  }

  async metric(name: string): Promise<number> {
    const text = await (await fetch(`http://127.0.0.1:${this.port}/metrics`)).text()
    const line = text.split('\n').find((one) => one.startsWith(`${name} `))
    return Number(line?.split(' ').at(-1))
  }

  /** What is in the topic now: how often each event, and with how many times of receipt. */
  async stored(): Promise<Map<string, { copies: number; receipts: Set<number>; parties: string }>> {
    const log = await openTestLog(kafka.address, 'events', {
      kafkaTopic: this.topic,
      schemasTopic: `${this.topic}.schemas`,
    })
    const stored = new Map<string, { copies: number; receipts: Set<number>; parties: string }>()
    try {
      for (const { value, schema } of await readAll(log, { recordsMax: 1_000 })) {
        assert.equal(await log.schema(schema), eventRecordSchema.text)
        const { eventId, receivedAt, partyId } = decoder.event(value)
        const known = stored.get(eventId) ?? { copies: 0, receipts: new Set(), parties: '' }
        known.copies++
        known.receipts.add(receivedAt)
        known.parties = partyId ?? ''
        stored.set(eventId, known)
      }
    } finally {
      await log.close()
    }
    return stored
  }

  /** Every event that was acknowledged is there, and copies are redeliveries: one time of receipt. */
  async check(acknowledged: ReadonlySet<string>): Promise<number> {
    const stored = await this.stored()
    assert.deepEqual(
      [...acknowledged].filter((id) => !stored.has(id)),
      [],
    )
    const repeats = [...stored.values()].filter(({ receipts }) => receipts.size > 1)
    assert.deepEqual(repeats, [])
    return [...stored.values()].reduce((sum, { copies }) => sum + copies - 1, 0)
  }
}

const decoder = createDecoder(eventRecordSchema.text)

test('a broker that says nothing for a while costs no event and no error, and its return empties the spool', async (t) => {
  const site = new Site()
  const running = await site.collect()
  const load = startLoad(site.port)
  await load.more(200)
  // What a busy broker was late for went there too.
  await until(async () => (await site.metric('millrace_spool_records')) === 0)
  await paused(async () => {
    await load.more(1_000)
    assert.ok((await site.metric('millrace_spool_records')) > 500)
    assert.ok((await site.metric('millrace_spool_bytes')) > 0)
    assert.ok((await site.metric('millrace_spool_oldest_age_seconds')) > 0)
    assert.equal(await site.metric('millrace_spool_active'), 1)
    assert.equal((await fetch(`http://127.0.0.1:${site.port}/ping`)).status, 200)
  })
  await until(async () => (await site.metric('millrace_spool_active')) === 0)
  await load.more(100)
  await load.stop()
  await until(async () => (await site.metric('millrace_spool_records')) === 0)
  assert.deepEqual(load.failures, [])
  const copies = await site.check(load.acknowledged)
  t.diagnostic(`${load.acknowledged.size} events, ${copies} copies, slowest ${load.slowestMs} ms`)
  assert.match(running.output(), /events go to the spool: .*\n(.*\n)*.*events go to the log again/)
  assert.equal(await running.stop(), 0)
})

test('the broker is killed, then the collector while it spools and while it drains: every 2xx is in the topic', async (t) => {
  const site = new Site({ MILLRACE_SPOOL_DRAIN_PER_SECOND_MAX: '100' })
  const first = await site.collect()
  const acknowledged = new Set<string>()
  const load = startLoad(site.port)
  await load.more(100)
  await kafka.kill()
  await load.more(800)
  await first.kill()
  await load.stop()
  // What the killed collector had not answered; before that, nobody met an error.
  assert.ok(load.failures.every((failure) => /ECONN|socket hang up|aborted/.test(failure)))
  for (const id of load.acknowledged) acknowledged.add(id)

  // It starts although no broker is there.
  const second = await site.collect()
  const more = startLoad(site.port)
  await more.more(500)
  const left = await site.metric('millrace_spool_records')
  assert.ok(left >= 1_000, `${left}`)
  // A broker may take long to start, and all that comes meanwhile is still to be drained.
  await more.pause()
  await kafka.start()
  await until(() => /events go to the log again/.test(second.output()))
  more.resume()
  await more.more(50)
  await until(async () => (await site.metric('millrace_spool_records')) < left)
  await second.kill()
  await more.stop()
  for (const id of more.acknowledged) acknowledged.add(id)

  const drained = await runCommand(['drain', '--timeout', '20'], site.env)
  assert.equal(drained.code, 0, drained.stderr)
  const [, moved] = /The spool is empty; (\d+) records moved/.exec(drained.stdout) ?? []
  assert.ok(Number(moved) > 0, drained.stdout)
  const copies = await site.check(acknowledged)
  t.diagnostic(`${acknowledged.size} events, ${moved} left for millrace drain, ${copies} copies`)
  const again = await runCommand(['drain'], site.env)
  assert.match(again.stdout, /0 records moved/)
})

test('drain says what is left when the broker does not come, and a full spool is a 503', async () => {
  const site = new Site({
    MILLRACE_SPOOL_MAX_BYTES: String(16 * 1024 * 1024),
    MILLRACE_KAFKA_BROKERS: `127.0.0.1:${await freePort()}`,
    MILLRACE_KAFKA_TIMEOUT_MS: '500',
  })
  const running = await site.collect()
  const large = 'x'.repeat(30_000)
  const post = (): Promise<Response> => {
    const events = Array.from({ length: 8 }, () => ({
      eventId: randomUUID(),
      partyId: 'party',
      eventType: 'large',
      parameters: { large },
    }))
    const headers = { 'Content-Type': 'application/json' }
    const body = JSON.stringify({ events })
    return fetch(`http://127.0.0.1:${site.port}/events`, { method: 'POST', headers, body })
  }
  let response = await post()
  let accepted = 0
  for (; response.status === 200; response = await post()) {
    await response.text()
    accepted += 8
  }
  assert.equal(response.status, 503)
  assert.ok(Number(response.headers.get('retry-after')) >= 30)
  assert.match(await response.text(), /spool_full/)
  assert.ok(accepted > 100, `${accepted}`)
  const ping = await fetch(`http://127.0.0.1:${site.port}/ping`)
  assert.equal(ping.status, 503)
  await running.kill()
  const { code, stderr } = await runCommand(['drain', '--timeout', '1'], site.env)
  assert.equal(code, 1)
  assert.match(stderr, new RegExp(`${accepted} records\\. .*\\n.*\\[spool_left\\]`))
})

test('a topic that is not as it has to be ends a start, and is named in the log when it is reached later', async () => {
  const site = new Site({ MILLRACE_KAFKA_ALLOW_SINGLE_REPLICA: 'false' })
  const { code, stderr } = await runCommand(['collect', '--collect-port', '0'], {
    ...site.env,
    // A broker that is late would be one that is away: the start would go on with the spool.
    MILLRACE_SPOOL_ENABLED: 'false',
    MILLRACE_KAFKA_TIMEOUT_MS: '60000',
  })
  assert.equal(code, 1)
  assert.match(stderr, /log_replicas/)
  let running: Running | undefined
  const load = await paused(async () => {
    running = await site.collect()
    const sent = startLoad(site.port)
    await sent.more(10)
    await sent.stop()
    assert.deepEqual(sent.failures, [])
    return sent
  })
  await until(() => /events go to the spool: .*1 replica/.test(running?.output() ?? ''))
  assert.equal((await fetch(`http://127.0.0.1:${site.port}/ping`)).status, 200)
  assert.equal(await site.metric('millrace_spool_records'), load.acknowledged.size)
})
