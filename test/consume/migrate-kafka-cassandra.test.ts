import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, test } from 'node:test'
import type { CountsAnswer, EventsAnswer, HealthAnswer } from '../../src/api/answer.ts'
import {
  freePort,
  type Running,
  type RunOptions,
  runCommand,
  runToken,
  startMillrace,
  temporaryFolder,
  untilStored,
} from '../fault/process.ts'
import { sharedKafka } from '../services.ts'
import { makeKeyspace } from '../store/cassandra-scene.ts'

/** From one process to servers, as docs/moving.md says it: four changed lines, the history taken along. */

const broker = await sharedKafka()
const keyspace = await makeKeyspace()
after(() => keyspace.drop())

const dayMs = 86_400_000
const topic = `moved-${randomUUID()}`
/** The four lines. */
const fourLines = {
  MILLRACE_LOG: 'kafka',
  MILLRACE_KAFKA_BROKERS: broker,
  MILLRACE_STORE: 'cassandra',
  MILLRACE_CASSANDRA_CONTACT_POINTS: keyspace.options.contactPoints.join(','),
}
/** What only a test needs: names of its own on shared servers, of which there is one each. */
const scaledOut = {
  ...fourLines,
  MILLRACE_KAFKA_TOPIC: topic,
  MILLRACE_KAFKA_GROUP: topic,
  MILLRACE_KAFKA_ALLOW_SINGLE_REPLICA: 'true',
  MILLRACE_CASSANDRA_KEYSPACE: keyspace.options.keyspace,
}

const folder = temporaryFolder()
after(() => folder.remove())

async function run(options: Partial<RunOptions>, work: (running: Running) => Promise<void>) {
  const ports = { collectPort: await freePort(), apiPort: await freePort() }
  const running = await startMillrace({ folder: folder.path, ...ports, ...options })
  try {
    await work(running)
  } finally {
    await running.stop()
  }
}

interface Apart {
  readonly collecting: Running
  readonly consuming: Running
  readonly serving: Running
  readonly servingEnv: Readonly<Record<string, string>>
}

/** A process for each stage, as they would be on machines of their own. */
async function runApart(work: (apart: Apart) => Promise<void>): Promise<void> {
  const folders = [temporaryFolder(), temporaryFolder()]
  const [consumeFolder = '', serveFolder = ''] = folders.map(({ path }) => path)
  const stage = (name: string, path: string) => ({ env: scaledOut, command: [name], folder: path })
  const servingEnv = { ...scaledOut, MILLRACE_DATA: serveFolder }
  try {
    await run(stage('collect', folder.path), (collecting) =>
      run(stage('consume', consumeFolder), (consuming) =>
        run(stage('serve', serveFolder), (serving) =>
          work({ collecting, consuming, serving, servingEnv }),
        ),
      ),
    )
  } finally {
    for (const { remove } of folders) remove()
  }
}

async function metricsOf({ apiUrl }: Running): Promise<string> {
  const answer = await fetch(`${apiUrl}/metrics`)
  assert.equal(answer.status, 200)
  return answer.text()
}

async function post(running: Running, ...events: object[]): Promise<Response> {
  return fetch(`${running.collectorUrl}/events`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ events }),
  })
}

async function ask<T>(running: Running, path: string): Promise<T> {
  return (await (await fetch(`${running.apiUrl}${path}`)).json()) as T
}

interface Answers {
  readonly events: EventsAnswer['events']
  readonly counts: CountsAnswer['rows']
  readonly duplicates: number | null
  readonly deadLetters: number | null
}

async function answersOf(running: Running): Promise<Answers> {
  const { events } = await ask<EventsAnswer>(running, '/api/events?last=90d&order=asc&limit=1000')
  const { rows: counts } = await ask<CountsAnswer>(running, '/api/counts?last=90d')
  const { duplicates, deadLetters } = await ask<HealthAnswer>(running, '/api/health')
  return { events, counts, duplicates, deadLetters }
}

function eventAt(index: number, ageMs: number, over: object = {}): object {
  return {
    eventId: `event-${index}`,
    partyId: `party-${index % 5}`,
    eventType: index % 3 === 0 ? 'purchase' : 'pageView',
    parameters: { item_id: index },
    clientTime: new Date(Date.now() - ageMs).toISOString(),
    ...over,
  }
}

/** Receipt columns may come from another receipt of the event. */
function withoutReceipt(event: EventsAnswer['events'][number]): object {
  const { receivedAt, position, ...rest } = event as typeof event & { position?: unknown }
  return rest
}

test('the history of one process is there when servers take over, by four changed lines', async () => {
  assert.equal(Object.keys(fourLines).length, 4)
  const first = eventAt(0, 60_000)
  let before: Answers | undefined
  await run({}, async (running) => {
    const events = Array.from({ length: 40 }, (_, index) => eventAt(index + 1, (index % 7) * dayMs))
    assert.equal((await post(running, first, ...events)).status, 200)
    // Repeats, clocks that are wrong, one party that will be erased, and one refused request.
    await post(running, first)
    await post(running, eventAt(90, 40 * dayMs), eventAt(91, -dayMs))
    await post(running, eventAt(90, 40 * dayMs))
    await post(running, eventAt(95, 0, { partyId: 'gone' }))
    await post(running, { ...eventAt(96, 0), eventType: '' })
    await untilStored(running)
    const erased = await runCommand(['erase', 'gone', '--yes'], { MILLRACE_DATA: folder.path })
    assert.equal(erased.code, 0, erased.stderr)
    assert.ok(runToken(folder.path))
    before = await answersOf(running)
    assert.equal(before.events.length, 43)
    const refused = await runCommand(['migrate', '--to', 'cassandra'], {
      ...scaledOut,
      MILLRACE_DATA: folder.path,
    })
    assert.match(refused.stderr, /\[store_locked\]/)
  })
  // What is on the log only: a collector alone.
  await run({ command: ['collect'] }, async (running) => {
    assert.equal((await post(running, eventAt(99, 0, { eventType: 'late' }))).status, 200)
  })

  const env = { ...scaledOut, MILLRACE_DATA: folder.path }
  const moved = await runCommand(['migrate', '--to', 'cassandra'], env)
  assert.equal(moved.code, 0, moved.stderr)
  assert.match(moved.stdout, /there now: 44 events of \d+ days, 2 repeats and 1 dead letter$/m)
  assert.match(moved.stdout, /late +1 +1\n/)
  // Counted before their rows came: a keyspace that knows nothing of a site gives its days 16 shards.
  const { rows: days } = await keyspace.client.execute('SELECT shards FROM bucket_map')
  assert.ok(days.length >= 7 && days.every((day) => day['shards'] === 1))

  await run({ env: scaledOut }, async (running) => {
    const now = await answersOf(running)
    const { events = [], counts = [] } = before ?? {}
    assert.deepEqual(
      now.events.filter(({ eventType }) => eventType !== 'late').map(withoutReceipt),
      events.map(withoutReceipt),
    )
    assert.equal(now.events.length, 44)
    assert.deepEqual(
      now.counts.filter(({ eventType }) => eventType !== 'late'),
      counts,
    )
    assert.equal(now.duplicates, before?.duplicates)
    assert.equal(now.deadLetters, before?.deadLetters)
    // A retry of an event of before, an erased party's late record, and a new event.
    await post(running, first, eventAt(100, 0))
    await untilStored(running)
    const later = await answersOf(running)
    assert.equal(later.events.length, 45)
    const receipt = await runCommand(['erase', 'gone', '--receipt'], env)
    assert.match(receipt.stdout, /events, open and closed days/, receipt.stderr)
    const reconciled = await runCommand(['reconcile'], env)
    assert.equal(reconciled.code, 0, reconciled.stdout + reconciled.stderr)
    assert.match(reconciled.stdout, /^2 records: 2 rows|^2 records: 1 row, 1 repeat/m)
  })

  await runApart(async ({ collecting, consuming, serving, servingEnv }) => {
    assert.equal((await post(collecting, eventAt(101, 0))).status, 200)
    await untilStored(consuming)
    const served = await answersOf(serving)
    assert.equal(served.events.length, 46)
    assert.deepEqual(served, await answersOf(consuming))

    const [consumed, asked] = await Promise.all([consuming, serving].map(metricsOf))
    for (const metrics of [consumed, asked]) {
      assert.match(metrics ?? '', /^millrace_log_lag 0$/m)
      const newest = /^millrace_store_last_received_seconds (\S+)$/m.exec(metrics ?? '')?.[1]
      assert.ok(Math.abs(Number(newest) - Date.now() / 1_000) < 600, newest)
    }
    assert.match(consumed ?? '', /^millrace_consume_rows_total 1$/m)
    assert.match(consumed ?? '', /^millrace_consume_retries_total 0$/m)
    assert.match(consumed ?? '', /^millrace_consume_write_seconds_count 1$/m)
    assert.doesNotMatch(asked ?? '', /millrace_consume/)

    const doctor = await runCommand(['doctor'], servingEnv)
    assert.match(doctor.stdout, /^ok +consumer +others store; \d+ records wait$/m)
    assert.match(doctor.stdout, /^0 to mend,/m)
    assert.equal(doctor.code, 0, doctor.stdout)
  })

  const again = await runCommand(['migrate', '--to', 'cassandra'], env)
  assert.equal(again.code, 0, again.stderr)
  assert.match(again.stdout, /44 events of (\d+) days \(\1 of them by an earlier run\)/)
})

test('where the log is in Kafka already, the new store reads on where the embedded one stood', async () => {
  const own = temporaryFolder()
  const other = await makeKeyspace()
  const kafka = {
    ...scaledOut,
    MILLRACE_KAFKA_TOPIC: `${topic}-kept`,
    MILLRACE_KAFKA_GROUP: `${topic}-kept`,
    MILLRACE_CASSANDRA_KEYSPACE: other.options.keyspace,
  }
  const embedded = { ...kafka, MILLRACE_STORE: 'embedded' }
  const second = eventAt(2, 0)
  const idsOf = async (running: Running): Promise<string[]> =>
    (await answersOf(running)).events.map(({ eventId }) => eventId).toSorted()
  try {
    await run({ folder: own.path, env: embedded }, async (running) => {
      assert.equal((await post(running, eventAt(1, dayMs), second)).status, 200)
      await untilStored(running)
    })
    // What is on the topic only.
    await run({ folder: own.path, env: embedded, command: ['collect'] }, async (running) => {
      assert.equal((await post(running, eventAt(3, 0))).status, 200)
    })
    const env = { ...kafka, MILLRACE_DATA: own.path }
    const moved = await runCommand(['migrate', '--to', 'cassandra'], env)
    assert.equal(moved.code, 0, moved.stderr)
    assert.match(moved.stdout, /there now: 2 events of 2 days/)
    await run({ folder: own.path, env: kafka }, async (running) => {
      await post(running, eventAt(4, 0), second)
      await untilStored(running)
      assert.deepEqual(await idsOf(running), ['event-1', 'event-2', 'event-3', 'event-4'])
    })
  } finally {
    await other.drop()
    own.remove()
  }
})
