import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openConsumer } from '../../src/consume/consume.ts'
import { isCaughtUp } from '../../src/consume/erase.ts'
import {
  type MissingRecord,
  type Reconciled,
  type ReconcileOptions,
  reconcileLogs,
} from '../../src/consume/reconcile.ts'
import type { Event } from '../../src/event/event.ts'
import type { Store } from '../../src/store/store.ts'
import { makeRow } from '../store/rows.ts'
import { appendEvents, openScene, type Scene } from './moving-scene.ts'

/** What a comparison of log and store finds; over the embedded log and store. */

const dayMs = 86_400_000
const now = Date.now()
const clock = (): number => now

function eventOf(index: number, over: Partial<Event> = {}): Event {
  const time = now - 1_000_000 + index
  const ids = { eventId: `event-${index}`, partyId: `party-${index % 3}` }
  return { ...makeRow({ ...ids, eventTime: time }), ...over }
}

async function consumeAll(scene: Scene, store: Store): Promise<void> {
  const { events, rejected } = scene
  const timing = { retryInitialMs: 1, retryMaxMs: 10, writeIntervalMs: 0, drainTimeoutMs: 5_000 }
  const parts = { events, rejected, store, clock }
  const consumer = await openConsumer(
    { ...timing, batchRecords: 100, batchBytes: 1_000_000 },
    parts,
  )
  assert.ok(await isCaughtUp(parts, 20_000, new AbortController().signal))
  await consumer.stop()
}

async function reconcile(
  { events, rejected }: Scene,
  store: Store,
  over: Partial<ReconcileOptions> = {},
): Promise<{ result: Reconciled; missing: MissingRecord[] }> {
  const missing: MissingRecord[] = []
  const signal = new AbortController().signal
  const result = await reconcileLogs(
    { events, rejected, store, clock },
    { batchRecords: 7, retentionDays: 92, signal, ...over },
    (progress) => missing.push(...progress.missing),
  )
  return { result, missing }
}

/** A store like `store` that does not have these events. */
function without(store: Store, eventIds: readonly string[]): Store {
  const events: Store['events'] = async (...question) =>
    (await store.events(...question)).map((row) =>
      eventIds.includes(row.eventId) ? { ...row, eventId: 'other' as Event['eventId'] } : row,
    )
  return Object.assign(Object.create(store), { events })
}

async function filled(t: TestContext, events: readonly Event[]): Promise<[Scene, Store]> {
  const scene = await openScene(t)
  const store = await scene.openStore('store')
  await appendEvents(scene.events, events)
  await consumeAll(scene, store)
  return [scene, store]
}

const none = { row: 0, repeat: 0, deadLetter: 0, erased: 0, expired: 0, missing: 0, waiting: 0 }

test('every record is a row, a repeat or a dead letter; what waits is not missing', async (t) => {
  const wrong = { clockSource: 'wrong', clientTime: now - 90 * dayMs } as const
  const bare = { partyId: null, sessionId: null, clockSource: 'absent' } as const
  const [scene, store] = await filled(t, [
    ...Array.from({ length: 40 }, (_, index) => eventOf(index)),
    eventOf(3, { receivedAt: now }),
    // Receipts of one event at two times: only the claim leads from the second to the first.
    eventOf(50, { ...wrong, eventTime: now - 5_000, receivedAt: now - 5_000 }),
    eventOf(50, { ...wrong, eventTime: now - 1_000, receivedAt: now - 1_000 }),
    eventOf(51, { ...bare, eventTime: now - 5_000, receivedAt: now - 5_000 }),
    eventOf(51, { ...bare, eventTime: now - 3 * dayMs, receivedAt: now - 3 * dayMs }),
  ])
  await scene.events.append([{ key: '', value: new Uint8Array([1]), schema: 'nobody knows it' }])
  await scene.rejected.append([{ key: '', value: new Uint8Array([1]), schema: 'nor this' }])
  await consumeAll(scene, store)
  await appendEvents(scene.events, [eventOf(60)])
  // One by one, so that no neighbour in the batch leads to the right time by chance.
  const { result, missing } = await reconcile(scene, store, { batchRecords: 1 })
  assert.deepEqual(missing, [])
  const found = { row: 42, repeat: 3, deadLetter: 2, waiting: 1 }
  assert.deepEqual(result, { ...none, ...found, read: 47, complete: true })
})

test('what is not in the store is named, by position, event and party', async (t) => {
  const events = Array.from({ length: 30 }, (_, index) => eventOf(index))
  const [scene, store] = await filled(t, events)
  const { result, missing } = await reconcile(scene, without(store, ['event-4', 'event-29']))
  assert.equal(result.missing, 2)
  assert.equal(result.row, 28)
  assert.deepEqual(missing, [
    { topic: 'events', partition: 0, offset: 4, eventId: 'event-4', partyId: 'party-1' },
    { topic: 'events', partition: 0, offset: 29, eventId: 'event-29', partyId: 'party-2' },
  ])
})

test('a range of offsets is compared alone', async (t) => {
  const events = Array.from({ length: 30 }, (_, index) => eventOf(index))
  const [scene, store] = await filled(t, events)
  const lossy = without(store, ['event-4', 'event-29'])
  const late = await reconcile(scene, lossy, { from: 5 })
  assert.deepEqual([late.result.read, late.result.missing], [25, 1])
  const last = await reconcile(scene, lossy, { last: 2 })
  assert.deepEqual([last.result.read, last.result.missing], [2, 1])
  const nothing = await reconcile(scene, lossy, { from: 30 })
  assert.deepEqual(nothing.result, { ...none, read: 0, complete: true })
})

test('an erased party and a day that retention took are no loss', async (t) => {
  const old = eventOf(70, { eventTime: now - 5 * dayMs, receivedAt: now - 5 * dayMs })
  const [scene, store] = await filled(t, [eventOf(0), eventOf(1), eventOf(3), old])
  await store.erase('party-0', now)
  await store.retain(2, now)
  const { result } = await reconcile(scene, store, { retentionDays: 2 })
  assert.deepEqual(result, { ...none, row: 1, erased: 2, expired: 1, read: 4, complete: true })
})

test('it can be stopped', async (t) => {
  const [scene, store] = await filled(t, [eventOf(0)])
  const { result } = await reconcile(scene, store, { signal: AbortSignal.abort() })
  assert.equal(result.complete, false)
})
