import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { DuckDBInstance } from '@duckdb/node-api'
import { openStore } from '../src/cli/backends.ts'
import { readOwner } from '../src/cli/owner.ts'
import { loadConfig } from '../src/config.ts'
import { createIdentifier, createPageViewId } from '../src/event/identifier.ts'
import { dayMs, dayOf } from '../src/lib/clock.ts'
import type { Row, Store } from '../src/store/store.ts'
import { machine, median, residentMiB, runLoad, startNode, stopProcess } from './process.ts'
import { pageAddress, userAgent } from './requests.ts'

/**
 * Claims over ninety days, 82 of them closed: counts by day and type, unique parties by day and the
 * top items take at most 1.5 times as long as the same SQL on a bare DuckDB table of the same rows,
 * in the same run, asked in turn; a party's 30 days at most 60 ms; a row of a closed day at most 60
 * bytes, with ids of full entropy and all columns; resident memory at most 1 GB while asking and
 * ingesting 2,000 events a second. `node benchmark/ninety-days.ts [rows]`, 5,000,000 unless said.
 */
const total = Number(process.argv[2] ?? 5_000_000)
const days = 90
const closedDays = 82
const rounds = 9
const batchRows = 10_000
const loadSeconds = 15
const loadRate = 2_000
const start = Math.floor(Date.now() / dayMs - days + 1) * dayMs
const always = { from: start, to: start + days * dayMs }
const persons = { bots: 'exclude' } as const
/** Of `total`: the parties come back on some days. */
const partyCount = Math.ceil(total / 33)

/** Small, fast and good enough to fill ids: xorshift32. */
function createRandom(seed: number): () => number {
  let state = seed
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
}
const random = createRandom(20_260_310)

function randomBytes(): Uint8Array {
  return Uint8Array.from({ length: 32 }, () => random() * 64)
}

interface Party {
  readonly id: string
  readonly agent: number
}

const parties: readonly Party[] = Array.from({ length: partyCount }, (_, index) => ({
  id: createIdentifier(start - Math.floor(random() * 300 * dayMs), randomBytes()),
  agent: index % 300,
}))

/** A session: two events on each of three page views, half a minute apart. */
function sessionAt(time: number, party: Party, offset: number): Row[] {
  const sessionId = createIdentifier(time, randomBytes())
  const rows: Row[] = []
  for (let view = 0; view < 3; view++) {
    const pageViewId = createPageViewId(randomBytes())
    const item = String(100_000 + Math.floor(20_000 * random() ** 3))
    for (let sequence = 0; sequence < 2; sequence++) {
      const eventTime = Math.floor(time + (2 * view + sequence) * 30_000 * random())
      const event = { pageViewId, sequence, item, eventTime, sessionId, party }
      rows.push(rowOf(event, offset + rows.length))
    }
  }
  return rows
}

interface Draft {
  readonly pageViewId: string
  readonly sequence: number
  readonly item: string
  readonly eventTime: number
  readonly sessionId: string
  readonly party: Party
}

const laterTypes = ['preview', 'addToBasket', 'removeFromBasket', 'purchase', 'search']

function rowOf(
  { pageViewId, sequence, item, eventTime, sessionId, party }: Draft,
  offset: number,
): Row {
  const hasItem = random() < 0.7
  const later = laterTypes[Math.floor(random() * laterTypes.length)] as string
  return {
    eventId: `${pageViewId}${sequence.toString(16)}`,
    partyId: party.id,
    sessionId,
    pageViewId,
    eventType: sequence === 0 ? 'pageView' : later,
    eventTime,
    clockSource: 'client',
    receivedAt: eventTime + 20 + Math.floor(random() * 400),
    clientTime: eventTime,
    location: pageAddress(Number(item)),
    referer: random() < 0.3 ? 'https://www.example.org/search' : 'https://shop.example/list/7',
    remoteAddress: `192.0.${party.agent % 256}.0`,
    parameters: hasItem ? `{"item_id":"${item}","price":${Number(item) % 97}}` : null,
    itemId: hasItem ? item : null,
    sequence,
    firstInSession: false,
    newParty: false,
    duplicate: false,
    corrupt: false,
    viewportWidth: 1_200 + (party.agent % 40),
    viewportHeight: 800 - (party.agent % 30),
    screenWidth: 1_920,
    screenHeight: 1_080,
    devicePixelRatio: 1 + (party.agent % 3) / 2,
    userAgent: userAgent(party.agent),
    agent: {
      name: 'Chrome',
      family: 'Chrome',
      vendor: 'Google',
      type: 'browser',
      version: String(party.agent % 40),
      deviceCategory: party.agent % 3 === 0 ? 'smartphone' : 'desktop',
      osFamily: 'Linux',
      osVersion: null,
      osVendor: null,
    },
    bot: party.agent % 50 === 0 ? 'crawler' : null,
    privacy: null,
    source: 'tag',
    country: ['NL', 'DE', 'GB', 'US'][party.agent % 4] as string,
    importedAt: null,
    position: { log: 'benchmark', topic: 'events', partition: 0, offset },
  } as Row
}

/** Batches in the order of their sessions. */
function* batches(): Generator<Row[]> {
  let rows: Row[] = []
  for (let made = 0; made < total; made += 6) {
    const time = start + (made / total) * days * dayMs
    const party = parties[Math.floor(random() * partyCount)] as Party
    rows.push(...sessionAt(time, party, made))
    if (rows.length >= batchRows) {
      yield rows
      rows = []
    }
  }
  if (rows.length > 0) yield rows
}

async function fill(store: Store): Promise<void> {
  const startedAt = performance.now()
  let written = 0
  for (const rows of batches()) {
    await store.write({ rows, deadLetters: [], positions: [] })
    written += rows.length
  }
  const seconds = (performance.now() - startedAt) / 1_000
  say(`filled: ${written} rows, ${Math.round(written / seconds)} rows/s with their making`)
}

/** The table that the answers are compared with, in a database of its own. */
async function makeBare(store: Store, folder: string): Promise<Bare> {
  const instance = await DuckDBInstance.create(join(folder, 'bare.duckdb'), {
    memory_limit: '512MB',
  })
  const connection = await instance.connect()
  await connection.run(
    'CREATE TABLE events (event_time BIGINT, party_id VARCHAR, event_type VARCHAR, item_id VARCHAR, bot VARCHAR)',
  )
  for (let day = 0; day < days; day++) {
    const from = start + day * dayMs
    const appender = await connection.createAppender('events')
    let after: Row | undefined
    for (;;) {
      const cursor = after && { ...after, partyId: after.partyId ?? '' }
      const page = { order: 'asc', limit: 10_000, ...(cursor && { after: cursor }) } as const
      const range = { from, to: from + dayMs }
      const rows = await store.events(range, { bots: 'include' }, page)
      for (const row of rows) {
        appender.appendBigInt(BigInt(row.eventTime))
        appender.appendVarchar(row.partyId ?? '')
        appender.appendVarchar(row.eventType)
        if (row.itemId === null) appender.appendNull()
        else appender.appendVarchar(row.itemId)
        if (row.bot === null) appender.appendNull()
        else appender.appendVarchar(row.bot)
        appender.endRow()
      }
      after = rows.at(-1)
      if (rows.length < 10_000) break
    }
    appender.closeSync()
  }
  await connection.run('CHECKPOINT')
  return {
    ask: async (sql) => (await connection.runAndReadAll(sql)).getRows().length,
    close() {
      connection.closeSync()
      instance.closeSync()
    },
  }
}

interface Bare {
  readonly ask: (sql: string) => Promise<number>
  readonly close: () => void
}

const within = `event_time >= ${always.from} AND event_time < ${always.to} AND bot IS NULL`
const day = `event_time // ${dayMs}`

/** Each question with the SQL that asks the bare table the same. */
const questions: readonly [
  name: string,
  ask: (store: Store) => Promise<{ readonly length: number }>,
  sql: string,
][] = [
  [
    'counts by day and type',
    (store) => store.counts(always, persons),
    `SELECT ${day} AS day, event_type, count(*) FROM events WHERE ${within} GROUP BY ALL ORDER BY ALL`,
  ],
  [
    'uniques by day',
    async (store) => (await store.uniques(always, persons)).rows,
    `WITH seen AS MATERIALIZED (SELECT DISTINCT ${day} AS day, party_id FROM events WHERE ${within})
     SELECT day, count(*) FROM seen GROUP BY day
     UNION ALL SELECT NULL, count(DISTINCT party_id) FROM seen ORDER BY day`,
  ],
  [
    'top 20 items',
    (store) => store.top('itemId', always, persons, 20),
    `SELECT item_id, count(*) AS n FROM events WHERE ${within} AND item_id IS NOT NULL
     GROUP BY 1 ORDER BY n DESC, 1 LIMIT 20`,
  ],
]

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now()
  await work()
  return performance.now() - startedAt
}

async function compare(store: Store, bare: Bare): Promise<void> {
  for (const [name, ask, sql] of questions) {
    const ours: number[] = []
    const theirs: number[] = []
    for (let round = 0; round < rounds; round++) {
      ours.push(await timed(() => ask(store)))
      theirs.push(await timed(() => bare.ask(sql)))
    }
    const [our, their] = [median(ours), median(theirs)]
    say(
      `${name}: ${our.toFixed(0)} ms, bare table ${their.toFixed(0)} ms: ${(our / their).toFixed(2)} × (claim ≤ 1.5)`,
    )
  }
  const times: number[] = []
  for (let round = 0; round < rounds; round++) {
    const partyId = (parties[(round * 7_919) % partyCount] as Party).id
    const range = { from: always.to - 30 * dayMs, to: always.to }
    const page = { order: 'desc', limit: 100 } as const
    times.push(await timed(() => store.events(range, { bots: 'include', partyId }, page)))
  }
  say(`a party's 30 days: ${median(times).toFixed(0)} ms (claim ≤ 60)`)
}

async function close(store: Store): Promise<void> {
  const open = (await store.days()).slice(0, closedDays)
  const longest = { write: 0, close: 0 }
  const startedAt = performance.now()
  let isDone = false
  const writing = (async () => {
    for (let made = 0; !isDone; made += 6) {
      const rows = sessionAt(always.to - 1_000_000 + made, parties[0] as Party, total + made)
      const batch = { rows, deadLetters: [], positions: [] }
      longest.write = Math.max(longest.write, await timed(() => store.write(batch)))
      await sleep(20)
    }
  })()
  for (const state of open) {
    longest.close = Math.max(longest.close, await timed(() => store.closeDay(state.day)))
  }
  isDone = true
  await writing
  const seconds = (performance.now() - startedAt) / 1_000
  const closed = (await store.days()).filter(({ closedRows }) => closedRows > 0)
  const rows = closed.reduce((sum, { closedRows }) => sum + closedRows, 0)
  const bytes = closed.reduce((sum, state) => sum + state.bytes, 0)
  say(
    `closed ${closed.length} days, ${rows} rows in ${seconds.toFixed(1)} s; the longest took ${longest.close.toFixed(0)} ms, a write meanwhile at most ${longest.write.toFixed(0)} ms`,
  )
  say(`${(bytes / rows).toFixed(1)} bytes a row in closed days (claim ≤ 60)`)
}

/** What is there already comes again, in batches as a replay has them. */
async function repeatDay(store: Store): Promise<void> {
  const from = start + 10 * dayMs
  const page = { order: 'asc', limit: 20_000 } as const
  const rows = await store.events({ from, to: from + dayMs }, { bots: 'include' }, page)
  let inserted = 0
  const ms = await timed(async () => {
    for (let at = 0; at < rows.length; at += 2_000) {
      const batch = { rows: rows.slice(at, at + 2_000), deadLetters: [], positions: [] }
      inserted += (await store.write(batch))?.inserted ?? 0
    }
  })
  const speed = Math.round((1_000 * rows.length) / ms)
  say(`a closed day again: ${inserted} of ${rows.length} stored, ${speed} rows/s (claim ≥ 20,000)`)
}

/** `millrace start` over this folder, with requests coming in while the questions are asked. */
async function askUnderLoad(data: string): Promise<void> {
  const cli = new URL('../src/cli/millrace.ts', import.meta.url).pathname
  const ports = ['--collect-port', '0', '--api-port', '0']
  const args = [cli, 'start', ...ports, '--data', data, '--accept-log']
  const env = { MILLRACE_COLLECT_REQUESTS_PER_SECOND_MAX: '0' }
  const millrace = await startNode(args, /Demo page/, env)
  try {
    const port = Number(/:(\d+)/.exec(millrace.line)?.[1])
    const { url } = (await readOwner(data)) ?? { url: '' }
    const load = runLoad(port, { requests: loadSeconds * loadRate, rate: loadRate })
    let isDone = false
    void load.finally(() => {
      isDone = true
    })
    let asked = 0
    let peakMiB = 0
    for (; !isDone; asked++) {
      const question = ['counts', 'uniques', 'top-items'][asked % 3]
      const answer = await fetch(`${url}/api/${question}?last=90d`)
      if (!answer.ok) throw new Error(await answer.text())
      await answer.arrayBuffer()
      peakMiB = Math.max(peakMiB, residentMiB(millrace.pid))
    }
    const { requests, refused, seconds } = await load
    say(
      `millrace start: ${asked} questions beside ${Math.round((requests - refused) / seconds)} events/s stored on their way: resident at most ${peakMiB.toFixed(0)} MiB (claim ≤ 1,024)`,
    )
  } finally {
    await stopProcess(millrace)
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
try {
  say(`${machine()}; ${total} rows from ${dayOf(always.from)}`)
  const config = await loadConfig({ env: {}, folder, flags: { data: join(folder, 'data') } })
  const store = await openStore(config)
  await fill(store)
  await close(store)
  const bare = await makeBare(store, folder)
  await compare(store, bare)
  bare.close()
  await repeatDay(store)
  await store.close()
  await askUnderLoad(config.data)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
