import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { compareStores } from '../../src/consume/compare.ts'
import {
  eraseCopied,
  expectedEvents,
  type MigrateOptions,
  migrateDays,
  migrateDeadLetters,
  migratePositions,
  prepareTarget,
} from '../../src/consume/migrate.ts'
import { MillraceError } from '../../src/event/error.ts'
import type { HistorySource, HistoryTarget } from '../../src/store/history.ts'
import type { Row, Store } from '../../src/store/store.ts'
import { readAll } from '../store/place.ts'
import { at, batchOf, createRandom, makeDeadLetter, makeRow, makeTraffic } from '../store/rows.ts'
import { openScene } from './moving-scene.ts'

/** Moving between two stores; both embedded here, into Cassandra in the test beside. */

const dayMs = 86_400_000
const today = Math.floor(Date.now() / dayMs) * dayMs
const clock = (): number => today + dayMs / 2

const options = (over: Partial<MigrateOptions> = {}): MigrateOptions => ({
  retryInitialMs: 1,
  retryMaxMs: 5,
  pageRows: 300,
  signal: new AbortController().signal,
  ...over,
})

async function openPair(t: TestContext): Promise<[Store & HistorySource, Store & HistorySource]> {
  const scene = await openScene(t)
  return [await scene.openStore('source'), await scene.openStore('target')]
}

/** Three days of events, some with several receipts, some with a wrong clock or none. */
async function fill(source: Store): Promise<number> {
  const rows: Row[] = []
  for (const [index, day] of [-2, -1, 0].entries()) {
    const from = { eventTime: today + day * dayMs, offset: index * 10_000, spanMs: dayMs / 3 }
    rows.push(...makeTraffic(700, from, createRandom(index)))
  }
  await source.write(batchOf(...rows))
  const again = rows
    .filter((_, index) => index % 10 === 0)
    .flatMap((row, index) => [
      { ...row, receivedAt: row.receivedAt + 60_000, position: at(50_000 + index) },
      { ...row, receivedAt: row.receivedAt + 90_000, position: at(60_000 + index) },
    ])
  await source.write(batchOf(...again))
  const wrong = { clockSource: 'wrong', clientTime: 5, eventId: 'wrong', partyId: 'p' } as const
  for (const [index, time] of [today - dayMs, today].entries()) {
    const place = { eventTime: time, receivedAt: time, offset: 70_000 + index }
    await source.write(batchOf(makeRow({ ...wrong, ...place })))
  }
  return rows.length + 1
}

test('events come with all their receipts, and the other store tells them apart as before', async (t) => {
  const [source, target] = await openPair(t)
  const events = await fill(source)
  const parts = { source, target, name: 'a' }
  const moved = await migrateDays(parts, options())
  const { duplicates } = await source.health()
  assert.deepEqual(moved, { events, repeats: duplicates, daysBefore: 0, days: 3 })
  assert.deepEqual(await readAll(target), await readAll(source))
  assert.equal((await target.health()).duplicates, duplicates)
  assert.equal(duplicates, 421)
  // A third receipt of an event whose clock was wrong meets the claim that the first two made.
  const wrong = { clockSource: 'wrong', clientTime: 5, eventId: 'wrong', partyId: 'p' } as const
  const third = makeRow({ ...wrong, eventTime: today + 9, receivedAt: today + 9, offset: 80_000 })
  assert.deepEqual(await target.write(batchOf(third)), { inserted: 0, repeated: 1 })
  const days = (await source.days()).map(({ day }) => day)
  const compared = await compareStores(source, target, days)
  assert.deepEqual([compared.missing, compared.more], [0, 0])
  assert.ok(compared.counts.every((count) => count.source === count.target))
  assert.equal(
    compared.counts.reduce((sum, count) => sum + count.source, 0),
    events,
  )
})

test('a second run goes on behind the last whole day, and copies again what has grown', async (t) => {
  const [source, target] = await openPair(t)
  const events = await fill(source)
  const parts = { source, target, name: 'a' }
  let written = 0
  const failing: Store = Object.assign(Object.create(target), {
    write: async (batch: Parameters<Store['write']>[0]) => {
      if (batch.rows.length > 0 && ++written > 8) stopping.abort()
      return target.write(batch)
    },
  })
  const stopping = new AbortController()
  const stopped = migrateDays({ ...parts, target: failing }, options({ signal: stopping.signal }))
  await assert.rejects(stopped, { code: 'migrate_stopped' })
  const resumed = await migrateDays(parts, options())
  assert.ok(resumed.daysBefore >= 1 && resumed.daysBefore < 3, `${resumed.daysBefore}`)
  assert.deepEqual(await readAll(target), await readAll(source))
  await source.write(
    batchOf(makeRow({ eventId: 'late', eventTime: today - dayMs, offset: 90_000 })),
  )
  const grown = await migrateDays(parts, options())
  assert.deepEqual([grown.events, grown.daysBefore], [events + 1, 2])
  assert.deepEqual(await readAll(target), await readAll(source))
})

test('a store that is away is waited for; what one refuses is found missing, by name', async (t) => {
  const [source, target] = await openPair(t)
  await fill(source)
  let failures = 3
  const flaky: Store = Object.assign(Object.create(target), {
    write: async (batch: Parameters<Store['write']>[0]) => {
      if (failures-- > 0) throw new MillraceError('store_unavailable', 'away')
      if (batch.rows.some(({ eventId }) => eventId === 'wrong')) {
        throw new MillraceError('record_invalid', 'not this one')
      }
      return target.write(batch)
    },
  })
  await migrateDays({ source, target: flaky, name: 'a' }, options())
  const days = (await source.days()).map(({ day }) => day)
  const { missing, samples } = await compareStores(source, target, days)
  assert.equal(missing, 1)
  assert.deepEqual(
    samples.map(({ eventId }) => eventId),
    ['wrong'],
  )
})

test('events that only the target has are counted and are no fault', async (t) => {
  const [source, target] = await openPair(t)
  const rows = [1, 2].map((n) => makeRow({ eventId: `e${n}`, eventTime: today + n, offset: n }))
  await source.write(batchOf(...rows))
  const more = makeRow({ eventId: 'é', eventTime: today + 1, eventType: 'other', offset: 3 })
  await target.write(batchOf(...rows, more))
  const { missing, counts, ...found } = await compareStores(source, target, [
    new Date(today).toISOString().slice(0, 10),
  ])
  assert.deepEqual([missing, found.more], [0, 1])
  assert.deepEqual(
    counts.map(({ eventType, source: here, target: there }) => [eventType, here, there]),
    [
      ['other', 0, 1],
      ['pageView', 2, 2],
    ],
  )
})

test('a run after others finds what was erased meanwhile, and what came though the number is the same', async (t) => {
  const [source, target] = await openPair(t)
  await fill(source)
  const gone = Array.from({ length: 3 }, (_, n) =>
    makeRow({
      eventId: `gone-${n}`,
      partyId: 'gone' as never,
      eventTime: today + n,
      offset: 80_000 + n,
    }),
  )
  await source.write(batchOf(...gone))
  const parts = { source, target, name: 'a' }
  await migrateDays(parts, options())
  await source.erase('gone', clock())
  await source.settleErasures(clock(), clock())
  const late = gone.map((row, n) => ({
    ...row,
    eventId: `late-${n}` as never,
    partyId: 'late' as never,
    position: at(85_000 + n),
  }))
  await source.write(batchOf(...late))

  const days = (await source.days()).map(({ day }) => day)
  assert.equal((await migrateDays(parts, options())).daysBefore, days.length)
  const parties = new Set<string>()
  const found = await compareStores(
    source,
    target,
    days,
    () => {},
    ({ partyId }) => void parties.add(partyId ?? ''),
  )
  assert.deepEqual([found.missing, found.more, [...parties]], [3, 3, ['gone']])
  assert.deepEqual(found.incomplete, days.slice(-1))
  assert.equal(await eraseCopied(parts, parties, clock), 1)
  await migrateDays(parts, options({ again: found.incomplete }))
  assert.deepEqual(await readAll(target), await readAll(source))
  assert.deepEqual(
    (await target.erasures('gone')).map(({ at: erasedAt, finalAt }) => [erasedAt, finalAt]),
    [[clock(), clock()]],
  )
})

test('dead letters, those replayed too, and positions come along; a position is never set back', async (t) => {
  const [source, target] = await openPair(t)
  const letters = [1, 2, 3].map((offset) => makeDeadLetter(offset, { schema: `s${offset % 2}` }))
  const positions = [at(17), { ...at(5), log: 'import:1', topic: 'import' }]
  await source.write({ rows: [], deadLetters: letters, positions })
  await source.markReplayed(at(2), 1_000)
  const moved = await migrateDeadLetters({ source, target }, options())
  assert.deepEqual(moved, { letters: 3, schemas: new Set(['s0', 's1']) })
  const page = { limit: 10 }
  assert.deepEqual(await target.deadLetters(page), await source.deadLetters(page))
  await target.write({ rows: [], deadLetters: [], positions: [at(20)] })
  await migratePositions({ source, target }, ['events', 'import'])
  assert.deepEqual(await target.positions('log-1', 'events'), new Map([[0, 20]]))
  assert.deepEqual(await target.positions('import:1', 'import'), new Map([[0, 5]]))
})

test('days are laid out by what they have, and erasures go before rows', async (t) => {
  const [source] = await openPair(t)
  await fill(source)
  await source.erase('nobody', today)
  const told: unknown[] = []
  const heir: HistoryTarget = {
    layOut: async (expected) => void told.push([...expected.values()]),
    adoptErasures: async (salt, erasures) => void told.push([salt.length, erasures.length]),
    close: async () => {},
  }
  await prepareTarget({ source }, heir, 92, clock)
  assert.deepEqual(told, [
    [1_400, 1_402, 7_010],
    [64, 1],
  ])
  assert.equal((await source.erasures())[0]?.finalAt, clock())
  const refused = prepareTarget({ source }, heir, 2, clock)
  await assert.rejects(refused, { code: 'migrate_refused', message: /1 days .* older than 2 days/ })
})

test('a day that is over gets room for late events, one that is not for ten times the largest', () => {
  const days = [
    ['2026-03-08', 1_000],
    ['2026-03-09', 40],
    ['2026-03-10', 3],
  ] as const
  assert.deepEqual(
    [...expectedEvents(days, Date.UTC(2026, 2, 10, 1))],
    [
      ['2026-03-08', 2_000],
      ['2026-03-09', 80],
      ['2026-03-10', 10_000],
    ],
  )
})
