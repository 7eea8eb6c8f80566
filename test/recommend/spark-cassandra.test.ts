import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { dayMs, dayOf } from '../../src/lib/clock.ts'
import { readClickRules } from '../../src/recommend/clicks.ts'
import { buildModel } from '../../src/recommend/model-build.ts'
import { readModel } from '../../src/recommend/model-read.ts'
import type { Store } from '../../src/store/store.ts'
import { runCommand } from '../fault/process.ts'
import { type Keyspace, makeKeyspace } from '../store/cassandra-scene.ts'
import { noon } from '../store/rows.ts'
import { makeTraffic, sparkEnvironment } from './spark-scene.ts'

/** A real Spark over a real Cassandra: what it counts, the models that it makes, and its end in the middle. */

const days = 4
const start = noon - (noon % dayMs)
const [firstDay, lastDay] = [dayOf(start), dayOf(start + (days - 1) * dayMs)]
/** The first and the last day are not asked about: sessions cross their ends. */
const asked = ['--last', '2d', '--day', dayOf(start + 2 * dayMs)]

let keyspace: Keyspace
let store: Store
let env: Record<string, string>

before(async () => {
  keyspace = await makeKeyspace({ expectedEventsPerDay: 250_000, retentionDays: 3_660 })
  store = await keyspace.open()
  const traffic = { start, days, sessions: 1_200, parties: 300, items: 200 }
  const rows = [...makeTraffic(traffic)].flat()
  await store.write({ rows, deadLetters: [], positions: [] })
  for (const { day } of await store.days()) await store.closeDay(day)
  const { contactPoints, datacenter, keyspace: name } = keyspace.options
  env = {
    ...(await sparkEnvironment()),
    MILLRACE_STORE: 'cassandra',
    MILLRACE_STORE_RETENTION_DAYS: '3660',
    MILLRACE_CASSANDRA_CONTACT_POINTS: contactPoints.join(),
    MILLRACE_CASSANDRA_DATACENTER: datacenter,
    MILLRACE_CASSANDRA_KEYSPACE: name,
  }
})

after(async () => {
  await store?.close()
  await keyspace?.drop()
})

test('Spark makes the same model from Cassandra as this process, and it is published', async () => {
  const built = await runCommand(['recommend', 'build', '--engine', 'spark', ...asked], env)
  assert.equal(built.code, 0, built.stderr)
  const version = built.stdout.trim()
  assert.match(version, /^\d{8}T\d{6}-spark-[0-9a-f]{6}$/)
  const options = { clicksMax: 2_000_000, itemsMax: 200_000, sessionClicksMax: 200 }
  const types = ['pageView', 'preview', 'addToBasket', 'purchase']
  const range = { firstDay: dayOf(start + dayMs), lastDay: dayOf(start + 2 * dayMs) }
  const own = await buildModel(store, range, readClickRules(types, []), options, Date.now)
  const [found, expected] = [
    await readModel(store.models, version),
    await readModel(store.models, own.version),
  ]
  assert.ok(expected.items.size > 150)
  assert.deepEqual(found.items, expected.items)
  assert.deepEqual(
    [found.engine, found.firstDay, found.lastDay],
    ['spark', range.firstDay, range.lastDay],
  )
  // Nothing of a party is in it.
  const text = JSON.stringify([...found.items.values()])
  assert.ok(text.includes('item-1') && !text.includes('party') && !text.includes('session1'))

  const published = await runCommand(['recommend', 'publish', version], env)
  assert.equal(published.code, 0, published.stderr)
  assert.match(published.stdout, /is served: there is none to compare it with/)
  const listed = await runCommand(['recommend', 'models'], env)
  assert.match(listed.stdout, new RegExp(`${version} .* served`))
})

test('Spark counts the same as the consumer, on every closed day', async () => {
  const args = ['recommend', 'aggregates', '--json', '--last', `${days}d`, '--day', lastDay]
  const { code, stdout, stderr } = await runCommand(args, env)
  assert.equal(code, 0, stdout + stderr)
  const rows = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { day: string; parties: number; sessions: number })
  const names = Array.from({ length: days }, (_, day) => dayOf(start + day * dayMs))
  assert.deepEqual(
    rows.map(({ day }) => day),
    names,
  )
  assert.equal(names[0], firstDay)
  for (const { parties, sessions } of rows) assert.ok(parties > 100 && sessions > 100)
})

test('a Spark that is killed in the middle leaves the served model, and nothing half written', async () => {
  const served = await store.models.served()
  const before = await store.models.list()
  const args = ['recommend', 'build', '--engine', 'spark', ...asked]
  const child = spawn(process.execPath, ['src/cli/millrace.ts', ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let stderr = ''
  child.stderr.on('data', (chunk) => {
    stderr += String(chunk)
  })
  const ended = once(child, 'exit')
  while ((await store.models.list()).length === before.length) {
    assert.equal(child.exitCode, null, stderr)
    await sleep(20)
  }
  process.kill(javaOf(child), 'SIGKILL')
  const [code] = (await ended) as [number | null]
  assert.equal(code, 1)
  assert.match(stderr, /The Spark job failed: it ended with SIGKILL/)
  assert.equal(await store.models.served(), served)
  assert.deepEqual(await store.models.list(), before)
})

/** spark-submit is a shell script that becomes Java. */
function javaOf({ pid }: ChildProcess): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')
  assert.equal(children.length, 1)
  return Number(children[0])
}
