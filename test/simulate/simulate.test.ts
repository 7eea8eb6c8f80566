import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type TestContext, test } from 'node:test'
import { createAgentReader } from '../../src/collect/enrich.ts'
import { eventOfQuery } from '../../src/collect/tag-source.ts'
import { parseConfig } from '../../src/config.ts'
import { sequenceOf } from '../../src/event/identity.ts'
import { dayMs } from '../../src/lib/clock.ts'
import { queryOf, type SendOptions, sendEvents } from '../../src/simulate/send.ts'
import {
  createLiveTraffic,
  type SimulatedReceipt,
  simulateDay,
} from '../../src/simulate/simulate.ts'

const options = { seed: 'test', eventsPerDay: 3_000 }
/** A Wednesday. */
const day = Math.floor(Date.UTC(2026, 2, 11) / dayMs)
const receipts = simulateDay(day, options)

test('a day is decided by the seed and the day', () => {
  assert.deepEqual(simulateDay(day, options), receipts)
  const ids = new Set(receipts.map(({ event }) => event.eventId))
  for (const other of [
    simulateDay(day + 1, options),
    simulateDay(day, { ...options, seed: 'x' }),
  ]) {
    assert.ok(other.every(({ event }) => !ids.has(event.eventId)))
  }
})

test('it looks like a shop: sessions of a few pages, popular items, weekends, crawlers, repeats', () => {
  const count = (is: (receipt: SimulatedReceipt) => boolean): number => receipts.filter(is).length
  const share = (is: (receipt: SimulatedReceipt) => boolean): number => count(is) / receipts.length
  assert.equal(receipts.length, 2_700, 'a Wednesday has 0.9 of the mean')
  const sunday = simulateDay(day + 4, options).length
  assert.equal(sunday, 3_750)
  const people = receipts.filter(({ event }) => !event.isBot)
  const sessions = new Set(people.map(({ event }) => event.sessionId)).size
  const pageViews = new Set(people.map(({ event }) => event.pageViewId)).size
  const perSession = people.length / sessions
  assert.ok(perSession > 4 && perSession < 7, `${perSession} events a session`)
  const perPage = people.length / pageViews
  assert.ok(perPage > 1.4 && perPage <= 2, `${perPage} events a page view`)
  for (const type of ['preview', 'impression', 'addToBasket', 'removeFromBasket', 'purchase']) {
    assert.ok(count(({ event }) => event.eventType === type) > 3, type)
  }
  const readAgent = createAgentReader()
  const bots = share(({ event }) => readAgent(event.device.userAgent).bot !== null)
  assert.ok(bots > 0.02 && bots < 0.15, `${bots} of crawlers`)
  const unique = new Set(receipts.map(({ event }) => event.eventId)).size
  const repeats = receipts.length - unique
  assert.ok(repeats > 10 && repeats < 60, `${repeats} repeats`)
  const items = new Map<unknown, number>()
  for (const { event } of receipts) {
    const item = event.parameters?.['item_id']
    if (item !== undefined) items.set(item, (items.get(item) ?? 0) + 1)
  }
  const ranked = [...items.values()].sort((a, b) => b - a)
  assert.ok((ranked[0] ?? 0) > 5 * (ranked[20] ?? 0), 'the first item is far ahead')
  assert.ok(ranked.length > 100, `${ranked.length} items`)
})

test('parties come back, with the device that they had', () => {
  const before = Array.from({ length: 10 }, (_, back) =>
    simulateDay(day - 1 - back, options),
  ).flat()
  const known = new Map(before.map(({ event }) => [event.partyId, event.device]))
  const parties = new Map(receipts.map(({ event }) => [event.partyId, event.device]))
  const back = [...parties].filter(([partyId]) => known.has(partyId))
  assert.ok(back.length > parties.size * 0.15, `${back.length} of ${parties.size}`)
  for (const [partyId, device] of back) assert.deepEqual(device, known.get(partyId))
})

test('an event as it is sent is one of the tag: sound checksum, counter, party and parameters', () => {
  const { collect } = parseConfig({})
  for (const { event } of receipts.slice(0, 200)) {
    const making = {
      options: collect,
      readAgent: createAgentReader(),
      createEventId: () => assert.fail('it has one'),
    }
    const receipt = {
      receivedAt: event.eventTime,
      remoteAddress: '',
      country: null,
      userAgent: event.device.userAgent,
      privacy: null,
    }
    const read = eventOfQuery(queryOf(event), receipt, making)
    assert.equal(read.corrupt, false)
    assert.equal(read.partyId, event.partyId)
    assert.equal(read.sessionId, event.sessionId)
    assert.equal(read.eventTime, event.eventTime)
    assert.equal(read.location, event.location)
    assert.equal(read.newParty, event.isNew)
    assert.equal(read.devicePixelRatio, event.device.ratio)
    assert.equal(read.itemId, event.parameters?.['item_id'] ?? null)
    assert.equal(read.sequence, sequenceOf(event.eventId, event.pageViewId))
    assert.notEqual(read.sequence, null)
  }
})

/** A collector that answers as `answer` says. */
async function collectorOf(
  t: TestContext,
  answer: (request: IncomingMessage, response: ServerResponse, count: number) => void,
): Promise<string> {
  let count = 0
  const server = createServer((request, response) => answer(request, response, count++))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as { port: number }
  return `http://127.0.0.1:${port}`
}

function sending(
  url: string,
  over: Partial<SendOptions> = {},
): Promise<Awaited<ReturnType<typeof sendEvents>>> {
  const traffic = createLiveTraffic(options, 20, () => day * dayMs)
  const { signal } = new AbortController()
  return sendEvents(traffic, {
    url,
    eventSuffix: 'csc-event',
    rate: 200,
    seconds: 0.2,
    signal,
    ...over,
  })
}

test('live events are sent at the rate, each as the browser that it has', async (t) => {
  const paths: string[] = []
  const agents = new Set<string | undefined>()
  const url = await collectorOf(t, (request, response) => {
    paths.push(request.url ?? '')
    agents.add(request.headers['user-agent'])
    response.end()
  })
  const startedAt = performance.now()
  const counts = await sending(url)
  assert.ok(performance.now() - startedAt >= 180, 'it does not send all at once')
  assert.deepEqual([counts.sent, counts.accepted], [40, 40])
  assert.equal(paths.length, 40)
  assert.ok(paths.every((path) => path.startsWith('/csc-event?p=0%3A')))
  assert.ok([...agents].every((agent) => agent?.startsWith('Mozilla/5.0')))
})

test('a busy collector is waited for, a rate limit and a refusal are counted', async (t) => {
  const times: number[] = []
  const url = await collectorOf(t, (_request, response, count) => {
    times.push(performance.now())
    if (count === 0) response.writeHead(503, { 'Retry-After': '1' }).end()
    else if (count === 1) response.writeHead(429).end()
    else if (count === 2) response.writeHead(400).end()
    else response.end()
  })
  const { sent, accepted, refused, limited, retried, lost } = await sending(url, {
    rate: 4,
    seconds: 1,
  })
  assert.deepEqual([sent, accepted, refused, limited, retried, lost], [4, 2, 1, 1, 1, 0])
  assert.equal(times.length, 5)
  assert.ok((times[4] ?? 0) - (times[0] ?? 0) >= 990, 'it waited for Retry-After')
})

test('a collector that hangs holds up no more than the requests under way', async (t) => {
  let most = 0
  const stopping = new AbortController()
  const open: ServerResponse[] = []
  const url = await collectorOf(t, (_request, response) => {
    open.push(response)
    most = Math.max(most, open.length)
    if (open.length < 64) return
    stopping.abort()
    for (const one of open) one.end()
  })
  const { sent, accepted } = await sending(url, {
    rate: 5_000,
    seconds: 10,
    signal: stopping.signal,
  })
  assert.equal(most, 64)
  assert.equal(sent, 64)
  assert.equal(accepted, 64)
})

test('nobody there is an error that names the address', async () => {
  const url = 'http://127.0.0.1:9'
  await assert.rejects(sending(url, { rate: 1_000, seconds: 0.001 }), {
    code: 'collector_absent',
    message: /127\.0\.0\.1:9/,
  })
})
