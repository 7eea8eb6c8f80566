import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  closeDueDays,
  createDayCloser,
  dueDays,
  type PartitionState,
  passedTime,
} from '../../src/consume/close.ts'
import { dayMs, dayOf } from '../../src/lib/clock.ts'
import type { Log, Offset, PartitionRange } from '../../src/log/log.ts'
import type { DayState, PartitionProgress, Store } from '../../src/store/store.ts'

/** When days close. */

const latenessMs = 7 * dayMs
const monday = Date.UTC(2026, 2, 9)
/** The first moment at which Monday is over. */
const over = monday + dayMs + latenessMs + 1

function stateOf(day: number, openRows = 1): DayState {
  return { day: dayOf(day), openRows, closedRows: 0, bytes: 0, version: 0 }
}

test('a day is due from the moment after its end and the lateness', () => {
  const states = [stateOf(monday), stateOf(monday + dayMs)]
  assert.deepEqual(dueDays(states, over - 1, latenessMs), [])
  assert.deepEqual(dueDays(states, over, latenessMs), states.slice(0, 1))
  assert.deepEqual(dueDays(states, over + dayMs, latenessMs), states)
  assert.deepEqual(dueDays([stateOf(monday, 0)], over, latenessMs), [])
})

test('the slowest partition decides: by its newest receipt, or by the clock at its end', () => {
  const behind = { first: 0, next: 10, progress: { offset: 5, receivedAt: 100 } }
  const atEnd = { first: 0, next: 5, progress: { offset: 5, receivedAt: 100 } }
  assert.equal(passedTime([behind], 900), 100)
  assert.equal(passedTime([atEnd], 900), 900)
  assert.equal(passedTime([atEnd, behind], 900), 100)
  assert.equal(passedTime([], 900), 900)
  // Never stored, with records waiting; and one that is empty.
  assert.equal(passedTime([{ ...behind, progress: undefined }], 900), Number.NEGATIVE_INFINITY)
  assert.equal(passedTime([{ first: 3, next: 3, progress: undefined }], 900), 900)
  // Only imports were stored of it so far.
  const imported = { ...behind, progress: { offset: 5, receivedAt: null } }
  assert.equal(passedTime([imported], 900), Number.NEGATIVE_INFINITY)
})

test('no day closes before a record that is still on the log could have been received for it', () => {
  const partition = fc.record({
    receipts: fc.array(fc.integer({ min: 0, max: 30 })),
    read: fc.nat(40),
  })
  fc.assert(
    fc.property(
      fc.array(partition, { maxLength: 4 }),
      fc.integer({ min: 0, max: 40 }),
      (drawn, clock) => {
        const partitions = drawn.map(({ receipts, read }) => {
          const sorted = receipts.toSorted((a, b) => a - b).filter((time) => time <= clock)
          return { sorted, offset: Math.min(read, sorted.length) }
        })
        const states = partitions.map(({ sorted, offset }): PartitionState => {
          const receivedAt = offset === 0 ? null : (sorted[offset - 1] as number)
          return { first: 0, next: sorted.length, progress: { offset, receivedAt } }
        })
        const passed = passedTime(states, clock)
        for (const { sorted, offset } of partitions) {
          for (const waiting of sorted.slice(offset)) assert.ok(waiting >= passed)
        }
        assert.ok(passed <= clock)
      },
    ),
  )
})

test('due days are closed one at a time, oldest first, with progress', async () => {
  const scene = makeScene([stateOf(monday), stateOf(monday + dayMs), stateOf(over)])
  const told: string[] = []
  const onProgress = ({ day, done, total }: { day: string; done: number; total: number }): void => {
    told.push(`${day} ${done}/${total}`)
  }
  const result = await closeDueDays(scene.parts(over + dayMs), { latenessMs, onProgress })
  assert.deepEqual(scene.closed, ['2026-03-09', '2026-03-10'])
  assert.deepEqual(told, ['2026-03-09 0/2', '2026-03-10 1/2', '2026-03-10 2/2'])
  assert.deepEqual(result, { days: 2, rows: 20, bytes: 200, complete: true })
})

test('an abort ends it between two days, and says so', async () => {
  const scene = makeScene([stateOf(monday), stateOf(monday + dayMs)])
  const ending = new AbortController()
  const options = { latenessMs, signal: ending.signal, onProgress: () => ending.abort() }
  const result = await closeDueDays(scene.parts(over + dayMs), options)
  assert.deepEqual(scene.closed, ['2026-03-09'])
  assert.equal(result.complete, false)
})

test('housekeeping leaves a day alone while rows still come to it', async () => {
  const scene = makeScene([stateOf(monday, 5)])
  const close = createDayCloser(scene.parts(over), { latenessMs })
  await close()
  assert.deepEqual(scene.closed, [])
  scene.states = [stateOf(monday, 9)]
  await close()
  assert.deepEqual(scene.closed, [])
  await close()
  assert.deepEqual(scene.closed, ['2026-03-09'])
})

/** A log of one partition that is stored to its end, and a store that notes what it is asked. */
function makeScene(states: readonly DayState[]) {
  const scene = {
    states,
    closed: [] as string[],
    parts: (now: number) => ({ events, store, clock: () => now }),
  }
  const ranges: readonly PartitionRange[] = [
    { partition: 0, first: 0 as Offset, next: 3 as Offset },
  ]
  const events = {
    identity: 'log',
    topic: 'events',
    partitions: async () => ranges,
  } as Partial<Log> as Log
  const progress = new Map<number, PartitionProgress>([[0, { offset: 3, receivedAt: 0 }]])
  const store = {
    progress: async () => progress,
    days: async () => scene.states,
    async closeDay(day: string) {
      scene.closed.push(day)
      return { isWritten: true, rows: 10, bytes: 100, version: 1 }
    },
  } as Partial<Store> as Store
  return scene
}
