import assert from 'node:assert/strict'
import { after, beforeEach, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { dayMs, dayOf, minuteMs } from '../../src/lib/clock.ts'
import { type Day, readDays } from '../../src/store/cassandra/days.ts'
import { largeEvents, type RecountFor, recountDay } from '../../src/store/cassandra/recount.ts'
import { openSession, type Session } from '../../src/store/cassandra/session.ts'
import type { Store } from '../../src/store/store.ts'
import { assertShape, sceneOf } from '../api/scene.ts'
import { makeKeyspace } from './cassandra-scene.ts'
import { always, anybody } from './place.ts'
import { batchOf, createRandom, makeRow, makeTraffic, noon } from './rows.ts'

/** Tallies that are counted by several at once, late, and in the background. */

const small = await makeKeyspace({ expectedEventsPerDay: 1_000, largeSlotEvents: 3 })
const sharded = await makeKeyspace({ expectedEventsPerDay: 5_000_000 })
const session = await openSession(small.options)

beforeEach(() => Promise.all([small.empty(), sharded.empty()]))
after(async () => {
  await session.close()
  await small.drop()
  await sharded.drop()
})

async function using(
  body: (store: Store) => Promise<void>,
  open: () => Promise<Store> = small.open,
): Promise<void> {
  const store = await open()
  try {
    await body(store)
  } finally {
    await store.close()
  }
}

async function count(store: Store): Promise<number> {
  const rows = await store.counts(always, anybody)
  return rows.reduce((sum, row) => sum + row.count, 0)
}

async function theDay(): Promise<Day> {
  const [day] = await readDays(session, { from: noon, to: noon + 1 })
  return day as Day
}

/** A session whose first statement with `part` in it waits for `release`; `reached` says that it came. */
function gate(part: string): { held: Session; reached: Promise<void>; release: () => void } {
  const reached = Promise.withResolvers<void>()
  const released = Promise.withResolvers<void>()
  let isFirst = true
  const pass = async (query: string): Promise<void> => {
    if (!isFirst || !query.includes(part)) return
    isFirst = false
    reached.resolve()
    await released.promise
  }
  const held: Session = {
    ...session,
    rows: (query, params) => pass(query).then(() => session.rows(query, params)),
    page: (query, params, page) => pass(query).then(() => session.page(query, params, page)),
    batch: (statements) => pass(statements[0]?.query ?? '').then(() => session.batch(statements)),
  }
  return { held, reached: reached.promise, release: released.resolve }
}

/** Where it is held up, and how far its clock is ahead: a higher number wins over a later recount. */
const pauses = [
  ['SELECT slot, seen', 0],
  ['FROM click_stream', 0],
  ['INSERT INTO tallies', 0],
  ['INSERT INTO tallies', dayMs],
  ['AND slot >= 0', dayMs],
] as const

for (const [part, aheadMs] of pauses) {
  test(`of two recounters one is held up before ${part}, ${aheadMs} ms ahead: the count is right`, () =>
    using(async (store) => {
      await store.write(batchOf(makeRow()))
      const { held, reached, release } = gate(part)
      const clock = (): number => Date.now() + aheadMs
      const late = recountDay(held, await theDay(), { clock, largeEvents }, 'question')
      await reached
      await store.write(batchOf(makeRow({ eventId: 'b', offset: 1 })))
      assert.equal(await count(store), 2)
      release()
      await late.catch(() => undefined)
      assert.equal(await count(store), 2)
      const other = { eventId: 'c', eventTime: noon + 60 * minuteMs, offset: 2 }
      await store.write(batchOf(makeRow(other)))
      assert.equal(await count(store), 3)
    }))
}

test('a question does not wait for a large slot: it says until when it has all, and gets it later', () =>
  using(async (store) => {
    const rows = Array.from({ length: 5 }, (_, n) =>
      makeRow({ eventId: `e${n}`, partyId: `0:p${n}`, itemId: `${n}`, offset: n }),
    )
    const before = Date.now()
    await store.write(batchOf(...rows.slice(0, 4)))
    assert.equal(await count(store), 4)
    const between = Date.now()
    await store.write(batchOf(...rows.slice(4)))
    const asked: number[] = []
    const onBehind = (asOf: number): void => void asked.push(asOf)
    const [first] = await store.counts(always, anybody, onBehind)
    assert.deepEqual([first?.count, asked.length], [4, 1])
    // By now it may have been counted: then an answer has all, and does not say that it has not.
    const { parties } = await store.uniques(always, anybody, onBehind)
    assert.equal(parties, asked.length === 2 ? 4 : 5)
    const askedBefore = asked.length
    const items = await store.top('itemId', always, anybody, 9, onBehind)
    assert.equal(items.length, asked.length > askedBefore ? 4 : 5)
    for (const asOf of asked) assert.ok(asOf >= before && asOf <= between, `${asOf}`)
    // Nobody asks while it is counted; the next question has everything, and does not say otherwise.
    for (let tries = 0; tries < 100 && (await count(store)) < 5; tries++) await sleep(1_000)
    asked.length = 0
    assert.equal((await store.counts(always, anybody, onBehind))[0]?.count, 5)
    assert.deepEqual(asked, [])
  }))

test('an answer of the API that may be behind has asOf, another has not', (t) =>
  using(async (store) => {
    const { ask } = await sceneOf(t, {}, { store })
    const rows = Array.from({ length: 5 }, (_, n) => makeRow({ eventId: `e${n}`, offset: n }))
    await store.write(batchOf(...rows.slice(0, 4)))
    const whole = await ask('/api/counts?last=1d')
    assert.deepEqual(whole.json, { rows: [{ day: dayOf(noon), eventType: 'pageView', count: 4 }] })
    await store.write(batchOf(...rows.slice(4)))
    const { json } = await ask('/api/counts?last=1d')
    assertShape('counts', json)
    assert.deepEqual(json.rows, whole.json.rows)
    assert.ok(Math.abs(Date.parse(json.asOf) - Date.now()) < 10 * minuteMs, json.asOf)
  }))

test('of what was written the slots that are over are counted, the open one is left', () =>
  using(async (store) => {
    const times = [noon - 60 * minuteMs, noon - 20 * minuteMs, noon]
    const rows = times.map((eventTime, n) =>
      makeRow({ eventId: `e${n}`, eventTime, receivedAt: noon, offset: n }),
    )
    await store.write(batchOf(...rows))
    const day = await theDay()
    const recount = (clock: number, reason: RecountFor): Promise<{ asOf: number | null }> =>
      recountDay(session, day, { clock: () => clock, largeEvents }, reason)
    const slots = async (): Promise<number[]> => {
      const { rows: found } = await small.client.execute('SELECT slot FROM tallies')
      return found.map((row) => row['slot'] as number)
    }
    assert.deepEqual(await recount(noon + minuteMs, 'written'), { asOf: noon + minuteMs })
    assert.deepEqual(await slots(), [132, 140])
    assert.deepEqual(await recount(noon + 10 * minuteMs, 'written'), { asOf: null })
    assert.deepEqual(await slots(), [-1, 132, 140, 144])
    assert.equal(await count(store), 3)
  }))

test('health names the partition with most rows', () =>
  using(async (store) => {
    const traffic = { eventTime: noon - dayMs / 2, offset: 0, spanMs: dayMs }
    await store.write(batchOf(...makeTraffic(600, traffic, createRandom(3))))
    await store.write(batchOf(...makeTraffic(40, { ...traffic, spanMs: 1 }, createRandom(4))))
    const { rows } = await sharded.client.execute(
      'SELECT pk, count(*) AS rows FROM click_stream GROUP BY pk',
    )
    const most = Math.max(...rows.map((row) => Number(row['rows'])))
    assert.ok(rows.length > 10 && most > 1)
    const { fullestBucket } = await store.health()
    assert.equal(fullestBucket?.rows, most)
    const found = rows.find((row) => row['pk'] === fullestBucket?.name)
    assert.equal(Number(found?.['rows']), most)
    assert.ok(fullestBucket?.name.startsWith(dayOf(noon)))
  }, sharded.open))
