import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startCassandra } from '../script/services/cassandra.ts'
import { createIdentifier } from '../src/event/identifier.ts'
import { dayMs, dayOf } from '../src/lib/clock.ts'
import { askEvents, parseEventStream } from '../src/query/events.ts'
import { openCassandraStore } from '../src/store/cassandra/cassandra.ts'
import { prepareKeyspace } from '../src/store/cassandra/migrate.ts'
import type { Row, Store, TimeRange } from '../src/store/store.ts'
import { createRandom, makeRow } from '../test/store/rows.ts'
import { cpuSeconds, machine, median, residentMiB } from './process.ts'

/**
 * Claims over a million events of ninety days in one real Cassandra node, the days that can be closed
 * (82) closed: 30, 60 and 90 days of counts by day and type in at most 300 ms (median); a raw read of
 * all events streams in flat memory. Uniques, top items, sessions, a funnel and retention are printed
 * beside, each with the resident memory after it.
 *
 *     node benchmark/cassandra-answers.ts [--rows 1000000] [--rounds 9] [--cassandra HOST:PORT]
 */
const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '1000000' },
    rounds: { type: 'string', default: '9' },
    cassandra: { type: 'string' },
  },
})
/** Whole sessions of six. */
const total = Math.ceil(Number(values.rows) / 6) * 6
const rounds = Number(values.rounds)
const days = 90
const closedDays = 82
const batchRows = 5_000
const countsMsMax = 300
/** What a raw read may add to the memory that was resident when a tenth was read. */
const growthMiBMax = 64
const start = Math.floor(Date.now() / dayMs - days + 1) * dayMs
const end = start + days * dayMs
const persons = { bots: 'exclude' } as const
const random = createRandom(20_260_310)
const context = { clock: () => end - 1, rowsMax: 10_000 }

function bytes(): Uint8Array {
  return Uint8Array.from({ length: 32 }, () => random() * 64)
}

const parties = Array.from({ length: Math.ceil(total / 33) }, () =>
  createIdentifier(start - Math.floor(random() * 300 * dayMs), bytes()),
)
const laterTypes = ['preview', 'addToBasket', 'removeFromBasket', 'purchase', 'search']

/** A session: two events on each of three page views. */
function sessionAt(time: number, offset: number): Row[] {
  const index = Math.floor(random() * parties.length)
  const sessionId = createIdentifier(time, bytes())
  return Array.from({ length: 6 }, (_, at) => at).map((at): Row => {
    const pageViewId = `${sessionId.slice(-20)}.${at >> 1}.`
    const item = String(100_000 + Math.floor(20_000 * random() ** 3))
    const eventTime = Math.min(end - 1, time + at * 20_000 + Math.floor(random() * 9_000))
    return makeRow({
      eventId: `${pageViewId}${at % 2}`,
      pageViewId,
      partyId: parties[index] as string,
      sessionId,
      eventType: at % 2 === 0 ? 'pageView' : (laterTypes[Math.floor(random() * 5)] as string),
      eventTime,
      receivedAt: eventTime + 20 + Math.floor(random() * 400),
      location: `https://shop.example/item/${item}`,
      referer: random() < 0.3 ? 'https://www.example.org/search' : null,
      parameters: `{"item_id":"${item}","price":${Number(item) % 97}}`,
      itemId: random() < 0.7 ? item : null,
      sequence: at % 2,
      userAgent: `Mozilla/5.0 (X11; Linux x86_64; rv:${index % 140}.0) Gecko/20100101 Firefox/${index % 140}.0`,
      bot: index % 50 === 0 ? 'crawler' : null,
      country: ['NL', 'DE', 'GB', 'US'][index % 4] as string,
      offset: offset + at,
    })
  })
}

async function fill(store: Store): Promise<void> {
  const began = performance.now()
  let rows: Row[] = []
  for (let made = 0; made < total; made += 6) {
    rows.push(...sessionAt(Math.floor(start + (made / total) * days * dayMs), made))
    if (rows.length < batchRows && made + 6 < total) continue
    await store.write({ rows, deadLetters: [], positions: [] })
    rows = []
  }
  const seconds = (performance.now() - began) / 1_000
  say(`filled: ${Math.round(total / seconds)} rows/s with their making`)
}

async function close(store: Store): Promise<void> {
  const began = performance.now()
  for (let day = 0; day < closedDays; day++) await store.closeDay(dayOf(start + day * dayMs))
  const seconds = (performance.now() - began) / 1_000
  say(`${closedDays} days closed in ${seconds.toFixed(1)} s; every tally is counted`)
  // The open ones too, as whoever asks first has them counted.
  await store.counts({ from: start, to: end }, persons)
}

function lastDays(count: number): TimeRange {
  return { from: end - count * dayMs, to: end }
}

interface Figure {
  /** Median of the rounds, in ms. */
  readonly ms: number
  /** CPU of this process for one, in ms: what stays the same on a busy machine. */
  readonly cpuMs: number
}

async function measure(ask: () => Promise<unknown>, times = rounds): Promise<Figure> {
  const taken: number[] = []
  const before = cpuSeconds(process.pid)
  for (let round = 0; round < times; round++) {
    const began = performance.now()
    await ask()
    taken.push(performance.now() - began)
  }
  return { ms: median(taken), cpuMs: ((cpuSeconds(process.pid) - before) / times) * 1_000 }
}

function shown({ ms, cpuMs }: Figure): string {
  return `${ms.toFixed(0)} ms (CPU here ${cpuMs.toFixed(0)} ms)`
}

async function measureAnswers(store: Store): Promise<void> {
  for (const count of [30, 60, 90]) {
    const range = lastDays(count)
    await store.counts(range, persons)
    const counts = await measure(() => store.counts(range, persons))
    const uniques = await measure(() => store.uniques(range, persons))
    const items = await measure(() => store.top('itemId', range, persons, 20))
    claim(`${count} days of counts`, counts.ms, countsMsMax, 'ms')
    say(`  counts ${shown(counts)}, uniques ${shown(uniques)}, top items ${shown(items)}`)
  }
}

/** Reads every event, as a client of the API would that asks for all of it. */
async function readAll(store: Store): Promise<void> {
  const question = parseEventStream('last=90d&bots=include', context)
  const began = performance.now()
  const points: string[] = []
  let read = 0
  let first = Number.NaN
  let peak = 0
  for await (const rows of askEvents(store, question, undefined)) {
    read += rows.length
    const resident = residentMiB(process.pid)
    if (read >= total / 10) {
      first = Number.isNaN(first) ? resident : first
      peak = Math.max(peak, resident)
    }
    if (read >= (points.length * total) / 5) points.push(`${read}: ${resident.toFixed(0)} MiB`)
  }
  const seconds = (performance.now() - began) / 1_000
  say(`raw read of ${read} events in ${seconds.toFixed(0)} s, resident at ${points.join(', ')}`)
  if (read !== total) fail(`${total} events are stored`)
  claim('growth of a raw read', peak - first, growthMiBMax, 'MiB')
}

async function measureJourneys(store: Store): Promise<void> {
  const range = lastDays(90)
  const asked = {
    sessions: () => store.sessions(range, persons),
    funnel: () => store.funnel(range, persons, ['pageView', 'addToBasket', 'purchase']),
    retention: () => store.retention(range, persons),
    accounting: () => store.accounting(range, persons),
    pages: () => store.top('page', range, persons, 20),
  }
  for (const [name, ask] of Object.entries(asked)) {
    const { ms } = await measure(ask, 1)
    const resident = residentMiB(process.pid).toFixed(0)
    say(`90 days of ${name}: ${(ms / 1_000).toFixed(1)} s, resident then ${resident} MiB`)
  }
}

function claim(name: string, value: number, max: number, unit: string): void {
  const verdict = value <= max ? 'holds' : 'FAILS'
  say(`${name}: ${value.toFixed(0)} ${unit}, claimed at most ${max}: ${verdict}`)
  if (value > max) process.exitCode = 1
}

function fail(text: string): void {
  say(`FAILS: ${text}`)
  process.exitCode = 1
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

const folder = await mkdtemp(join(tmpdir(), 'millrace-bench-'))
const server = values.cassandra === undefined ? await startCassandra({ folder }) : undefined
const options = {
  contactPoints: [values.cassandra ?? server?.address ?? ''],
  datacenter: 'datacenter1',
  keyspace: `bench_${process.pid}`,
  retentionDays: 92,
  // As a site has it that never said what it expects: sixteen buckets, then by what came.
  expectedEventsPerDay: 0,
}
try {
  say(`${machine()}, one Cassandra node, ${total} events over ${days} days`)
  await prepareKeyspace({ ...options, replicas: 1 })
  const store = await openCassandraStore(options)
  try {
    await fill(store)
    await close(store)
    await measureAnswers(store)
    await readAll(store)
    await measureJourneys(store)
  } finally {
    await store.close()
  }
} finally {
  await server?.kill()
  await rm(folder, { recursive: true, force: true })
}
