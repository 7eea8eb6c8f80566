import assert from 'node:assert/strict'
import { after, beforeEach, test } from 'node:test'
import type { PartyId } from '../../src/event/identifier.ts'
import { dayMs, dayOf, minuteMs } from '../../src/lib/clock.ts'
import type { Store } from '../../src/store/store.ts'
import { makeKeyspace } from './cassandra-scene.ts'
import { always, anybody, readAll } from './place.ts'
import { at, batchOf, createRandom, makeRow, makeTraffic, noon } from './rows.ts'

/** What the store promises in Cassandra beyond the contract. */

const small = await makeKeyspace({ expectedEventsPerDay: 1_000 })
const large = await makeKeyspace({ expectedEventsPerDay: 20_000_000 })

beforeEach(() => Promise.all([small.empty(), large.empty()]))
after(async () => {
  await small.drop()
  await large.drop()
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

test('plain CQL shows the columns that people know, by the day', () =>
  using(async (store) => {
    const parameters = '{"item_id":101321,"event_date":3213213}'
    const row = makeRow({ eventType: 'event', itemId: '101321', parameters })
    await store.write(batchOf(row))
    const { rows } = await small.client.execute(
      `SELECT click_stream_cookie_id, event_name, item_id, event_date, url, client_ip
       FROM click_stream WHERE pk = '2026-03-10'`,
    )
    assert.deepEqual(
      rows.map((found) => Object.values(found)),
      [['0:party', 'event', '101321', new Date(noon), row.location, row.remoteAddress]],
    )
  }))

test('of several receipts the latest is shown, whole, in whatever order they come', () =>
  using(async (store) => {
    const early = makeRow({ userAgent: 'Firefox', country: 'TR', bot: 'crawler' })
    const late = makeRow({ receivedAt: noon + 5, remoteAddress: '198.51.100.0', offset: 1 })
    await store.write(batchOf(late))
    await store.write(batchOf(early))
    assert.deepEqual(await readAll(store), [late])
    await store.write(batchOf(early, late))
    assert.deepEqual(await readAll(store), [late])
  }))

test('a claim that is made while positions are asked for is known to later receipts', () =>
  using(async (store) => {
    for (let n = 0; n < 10; n++) {
      const ids = {
        eventId: `e${n}`,
        partyId: `0:p${n}` as PartyId,
        clientTime: noon + 6 * minuteMs,
      }
      const early = makeRow({ ...ids, clockSource: 'wrong', offset: 2 * n })
      await Promise.all([store.positions('log', 'events'), store.write(batchOf(early))])
      const times = { receivedAt: noon + 3 * minuteMs, eventTime: ids.clientTime }
      const retry = makeRow({ ...ids, ...times, offset: 2 * n + 1 })
      await store.write(batchOf(retry))
    }
    const rows = await readAll(store)
    assert.equal(rows.length, 10)
    assert.ok(rows.every(({ eventTime }) => eventTime === noon))
  }))

test('write timestamp and expiry come from the record, and a replay shortens no life', () =>
  using(async (store) => {
    const row = makeRow({ receivedAt: noon + minuteMs })
    const query =
      'SELECT WRITETIME(event_name) AS written, TTL(event_name) AS ttl FROM click_stream'
    const seconds = () => Math.floor(Date.now() / 1_000)
    // What expires is told in seconds that are left, as of some moment of the query.
    const read = async () => {
      const from = seconds()
      const [found] = (await small.client.execute(query)).rows
      const ttl: number = found?.['ttl']
      const expires = { earliest: from + ttl, latest: seconds() + ttl }
      return { written: Number(found?.['written']), ttl, expires }
    }
    await store.write(batchOf(row))
    const first = await read()
    assert.equal(first.written, (noon + minuteMs) * 1_000)
    const expected = (92.5 * dayMs - minuteMs) / 1_000
    assert.ok(first.ttl <= expected && first.ttl > expected - 60, `${first.ttl}`)
    await store.write(batchOf(row))
    const again = await read()
    assert.equal(again.written, first.written)
    assert.ok(again.expires.latest >= first.expires.earliest)
  }))

test('no clock of a process that erases keeps the party named', async (t) => {
  const erasedAt = Date.now()
  const clock = t.mock.method(Date, 'now', () => erasedAt + dayMs)
  await using((store) => store.erase('0:party', erasedAt).then(() => {}))
  clock.mock.restore()
  await using((store) => store.settleErasures(erasedAt, erasedAt))
  const { rows } = await small.client.execute('SELECT party_id, final_at FROM erasures')
  assert.deepEqual(
    rows.map((row) => [row['party_id'], row['final_at']]),
    [[null, new Date(erasedAt)]],
  )
})

test('once an erasure is noted, no other writer stores what was received before it', async () => {
  const [one, other] = await Promise.all([small.open(), small.open()])
  try {
    // From here on it knows who is erased, for a while.
    await other.write(batchOf(makeRow({ partyId: '0:other' })))
    await one.erase('0:party', noon)
    await other.write(
      batchOf(makeRow({ offset: 1 }), makeRow({ eventId: 'later', receivedAt: noon + 1 })),
    )
    assert.deepEqual(
      (await readAll(one)).map(({ eventId, partyId }) => [eventId, partyId]).sort(),
      [
        ['event', '0:other'],
        ['later', '0:party'],
      ],
    )
  } finally {
    await Promise.all([one.close(), other.close()])
  }
})

test('a day of slots and shards is read in order, whole, and by party', () =>
  using(async (store) => {
    const rows = makeTraffic(
      3_000,
      { eventTime: noon - dayMs / 2, offset: 0, spanMs: dayMs },
      createRandom(3),
    )
    await store.write(batchOf(...rows))
    const { rows: buckets } = await large.client.execute('SELECT DISTINCT pk FROM click_stream')
    assert.ok(buckets.length > 100)
    assert.deepEqual(await readAll(store), rows)
    const [row] = rows
    const partyId = row?.partyId ?? ''
    assert.deepEqual(
      await readAll(store, { ...anybody, partyId }),
      rows.filter((each) => each.partyId === partyId),
    )
    const [count] = await store.counts(always, { ...anybody, eventType: 'pageView' })
    assert.equal(count?.count, 600)
  }, large.open))

test('two that write and count at once count everything, and once', async () => {
  const [one, other] = [await small.open(), await small.open()]
  const rows = Array.from({ length: 400 }, (_, n) =>
    makeRow({ eventId: `e${n}`, eventTime: noon + n * 1_000, offset: n }),
  )
  const write = async (store: Store, from: number): Promise<void> => {
    // Half of what each writes is written by the other too.
    for (let n = from; n < from + 300; n += 25) {
      await store.write(batchOf(...rows.slice(n, n + 25)))
      await store.counts(always, anybody)
    }
  }
  await Promise.all([write(one, 0), write(other, 100)])
  for (const store of [one, other]) {
    assert.deepEqual(await store.counts(always, anybody), [
      { day: '2026-03-10', eventType: 'pageView', count: 400 },
    ])
    assert.equal((await store.health()).duplicates, 0)
    await store.close()
  }
})

test('a tally that was overwritten by one that had seen less is recounted', () =>
  using(async (store) => {
    await store.write(batchOf(makeRow()))
    assert.equal((await store.counts(always, anybody))[0]?.count, 1)
    const stale = await small.client.execute(
      'SELECT * FROM tallies WHERE slot = 144 ALLOW FILTERING',
    )
    const [slot] = stale.rows
    await store.write(batchOf(makeRow({ eventId: 'b', offset: 1 })))
    assert.equal((await store.counts(always, anybody))[0]?.count, 2)
    // A recounter that was paused since before the second row wakes up.
    await small.client.execute(
      'INSERT INTO tallies (day, slot, number, seen, counted_at, events, repeats, counts, items, parties) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
      [
        'day',
        'slot',
        'number',
        'seen',
        'counted_at',
        'events',
        'repeats',
        'counts',
        'items',
        'parties',
      ].map((name) => slot?.[name]),
      { prepare: true },
    )
    await store.write(
      batchOf(makeRow({ eventId: 'c', eventTime: noon + 60 * minuteMs, offset: 2 })),
    )
    assert.equal((await store.counts(always, anybody))[0]?.count, 3)
  }))

test('unique parties are estimated on an open day and exact on a closed one', () =>
  using(async (store) => {
    const rows = Array.from({ length: 6_000 }, (_, n) =>
      makeRow({ eventId: `e${n}`, partyId: `0:k${n % 3_000}:x`, eventTime: noon + n, offset: n }),
    )
    await store.write(batchOf(...rows))
    const parties = async (): Promise<number> =>
      (await store.uniques(always, anybody)).rows[0]?.parties ?? 0
    assert.ok(Math.abs((await parties()) - 3_000) <= 60)
    await store.closeDay(dayOf(noon))
    assert.equal(await parties(), 3_000)
  }))

test('a claim that another process made is known to who takes over its partition', async () => {
  const [before, after] = [await small.open(), await small.open()]
  const wrong = { clockSource: 'wrong', clientTime: 5 } as const
  await before.write(batchOf(makeRow(wrong)))
  await before.close()
  await after.positions(at(0).log, at(0).topic)
  await after.write(batchOf(makeRow({ ...wrong, receivedAt: noon + 7, eventTime: noon + 7 })))
  assert.deepEqual(
    (await readAll(after)).map(({ eventTime }) => eventTime),
    [noon],
  )
  await after.close()
})

test('deleting a day that was written with another retention takes its rows at once', () =>
  using(async (store) => {
    await store.write(batchOf(makeRow(), makeRow({ eventTime: noon + dayMs, offset: 1 })))
    assert.equal(await store.retain(1, noon + dayMs), 1)
    const { rows } = await small.client.execute('SELECT pk FROM click_stream')
    assert.deepEqual(
      rows.map((row) => row['pk']),
      ['2026-03-11'],
    )
    const { rows: keys } = await small.client.execute('SELECT pk FROM events_by_party')
    assert.equal(keys.length, 1)
  }))
