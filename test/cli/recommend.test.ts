import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { RecommendationsAnswer } from '../../src/api/recommend-answer.ts'
import { dayMs } from '../../src/lib/clock.ts'
import {
  environmentOf,
  freePort,
  type Running,
  runCommand,
  runToken,
  startMillrace,
  temporaryFolder,
  untilStored,
} from '../fault/process.ts'

/** Collector and consumer as processes of their own, over one data folder, and the commands. */

const folder = temporaryFolder()
let collector: Running
let consumer: Running
let environment: Record<string, string>

before(async () => {
  const options = { folder: folder.path, collectPort: await freePort(), apiPort: await freePort() }
  environment = environmentOf(options)
  consumer = await startMillrace({ ...options, command: ['consume'] })
  collector = await startMillrace({ ...options, command: ['collect'] })
  await send([0, 1, 2, 3].flatMap((daysAgo) => dayOf(daysAgo)))
  await send([
    view('gone', 'teapot', Date.now() - 20_000),
    view('gone', 'secret', Date.now() - 10_000),
  ])
  await untilStored({ ...consumer, collectorUrl: collector.collectorUrl })
  const { stderr } = await run('recommend', 'build')
  assert.match(stderr, /41 sessions with 82 clicks on 5 items/)
})

after(async () => {
  await collector?.stop()
  await consumer?.stop()
  folder.remove()
})

function run(...args: string[]) {
  return runCommand(args, environment)
}

let count = 0
function view(party: string, item_id: string, clientTime: number): object {
  count++
  const partyId = `0:cli:${party}`
  const eventId = `cli-${count}`
  return {
    eventId,
    partyId,
    sessionId: partyId,
    eventType: 'preview',
    clientTime,
    parameters: { item_id },
  }
}

/** Ten parties, each looks at two things that go together. */
function dayOf(daysAgo: number): object[] {
  const at = Date.now() - daysAgo * dayMs - 60_000
  return Array.from({ length: 10 }, (_, n) => {
    const [first, second] = n % 2 === 0 ? ['teapot', 'mug'] : ['lamp', 'bulb']
    const party = `${daysAgo}-${n}`
    return [view(party, first, at + n), view(party, second, at + n + 100)]
  }).flat()
}

async function send(events: readonly object[]): Promise<void> {
  const answer = await fetch(`${collector.collectorUrl}/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ events }),
  })
  assert.equal(answer.status, 200)
}

async function ofParty(party: string): Promise<RecommendationsAnswer> {
  const headers = { authorization: `Bearer ${runToken(folder.path)}` }
  const url = `${consumer.apiUrl}/api/recommendations?party=0:cli:${party}`
  return (await (await fetch(url, { headers })).json()) as RecommendationsAnswer
}

test('a collector apart from the store recommends what its owner knows, by GET and POST', async () => {
  const url = `${collector.collectorUrl}/recommendations`
  const got = (await (await fetch(`${url}?item=lamp&limit=1`)).json()) as RecommendationsAnswer
  assert.deepEqual(
    got.items.map(({ itemId, model }) => [itemId, model]),
    [['bulb', 'session-knn']],
  )
  const body = JSON.stringify({ items: ['teapot'], exclude: ['mug', 'secret'], limit: 1 })
  const headers = { 'content-type': 'text/plain' }
  const posted = await fetch(url, { method: 'POST', headers, body })
  const { items } = (await posted.json()) as RecommendationsAnswer
  assert.ok(items.every(({ itemId }) => itemId === 'lamp' || itemId === 'bulb'))
  // Nobody can ask about a party there.
  assert.equal((await fetch(`${url}?party=0:cli:gone`)).status, 400)
  assert.equal((await fetch(`${url}?item=lamp&limit=10000`)).status, 400)
})

test('the models are evaluated on the sessions of the store, split by time', async () => {
  const args = ['recommend', 'evaluate', '--last', '10d', '--test-days', '1', '--protocol', 'nodup']
  const prefixes = join(folder.path, 'prefixes.txt')
  const written = await run(...args, '--prefixes', prefixes)
  assert.equal(written.code, 0, written.stderr)
  const asked = readFileSync(prefixes, 'utf8').trim().split('\n')
  assert.ok(asked.includes('teapot') && asked.includes('lamp'))
  const scores = join(folder.path, 'scores.tsv')
  writeFileSync(scores, asked.map((prefix) => `${prefix}\tbulb mug\n`).join(''))
  const { stdout, stderr } = await run(...args, '--scores', scores, '--json')
  const { rows } = JSON.parse(stdout || stderr) as {
    rows: { model: string; predictions: number; hr20: number }[]
  }
  assert.deepEqual(
    rows.map(({ model }) => model),
    ['popularity', 'item-to-item', 'item-knn', 'session-knn', 'als'],
  )
  const knn = rows.find(({ model }) => model === 'session-knn')
  assert.ok((knn?.predictions ?? 0) >= 9 && (knn?.hr20 ?? 0) > 0.8)
  const table = await run(...args)
  assert.match(table.stdout, /^protocol +model +predictions +HR@20/)
  const none = await run('recommend', 'evaluate', '--last', '1d')
  assert.equal(none.code, 1)
  assert.match(none.stderr, /both are needed/)
  const half = await run('recommend', 'evaluate', '--train', scores)
  assert.match(half.stderr, /belong together/)
})

test('a party that is erased is gone from serving at once, and from the models by the next build', async () => {
  assert.equal((await ofParty('gone')).model, 'session-knn')
  const before = await run('recommend', 'show', 'teapot', '--json')
  assert.match(before.stdout, /"secret"/)
  const erased = await run('erase', '0:cli:gone', '--yes')
  assert.equal(erased.code, 0, erased.stderr)
  assert.notEqual((await ofParty('gone')).model, 'session-knn')
  assert.equal((await run('recommend', 'build')).code, 0)
  const later = await run('recommend', 'show', 'teapot', '--json')
  assert.match(later.stdout, /"mug"/)
  assert.doesNotMatch(later.stdout, /"secret"/)
})

test('clicks without any are said to be none; while the owner is away pages are told so', async () => {
  const { stdout, stderr } = await run('recommend', 'clicks', '--by', 'day')
  assert.equal(stdout, '')
  assert.match(stderr, /nothing in that span/)
  assert.equal(await consumer.stop(), 0)
  const away = await fetch(`${collector.collectorUrl}/recommendations?item=lamp`)
  assert.equal(away.status, 503)
  const { error } = (await away.json()) as { error: { code: string } }
  assert.equal(error.code, 'recommendations_away')
})
