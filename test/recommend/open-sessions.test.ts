import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type Click,
  createOpenSessions,
  type OpenSessions,
} from '../../src/recommend/open-sessions.ts'
import { createSessions, orderOf, type Sessions } from '../../src/recommend/sessions.ts'

const minute = 60_000

function scene(limits: { clicksMax?: number; itemsMax?: number; sessionsMax?: number } = {}): {
  sessions: Sessions
  open: OpenSessions
} {
  const { clicksMax = 1_000, itemsMax = 50_000, sessionsMax = 100 } = limits
  const sessions = createSessions({ clicksMax, itemsMax })
  const options = { gapMs: 30 * minute, sessionClicksMax: 200, sessionsMax }
  return { sessions, open: createOpenSessions(sessions, options) }
}

function click(key: string, itemId: string, timeMs: number, over: Partial<Click> = {}): Click {
  return { key, sessionId: `s-${key}`, itemId, timeMs, weight: 1, isBought: false, ...over }
}

test('a session ends after 30 minutes without a click, and is then learnt from once', () => {
  const { sessions, open } = scene()
  open.add(click('p', 'a', 0))
  open.add(click('p', 'b', 30 * minute))
  open.finish(60 * minute)
  assert.equal(sessions.size().sessions, 0)
  open.add(click('p', 'c', 60 * minute + 1))
  assert.deepEqual(sessions.size(), { sessions: 1, clicks: 2 })
  open.finish(91 * minute)
  assert.deepEqual(sessions.size(), { sessions: 2, clicks: 3 })
  assert.equal(open.size(), 0)
})

test('the click of now is known at once, by party and by session; a retry changes nothing', () => {
  const { open } = scene()
  open.add(click('p', 'a', 0))
  open.add(click('p', 'b', 1))
  open.add(click('p', 'a', 2))
  open.add(click('p', 'b', 1))
  open.add(click('p', 'c', 3, { isBought: true }))
  const expected = { items: ['b', 'a', 'c'], bought: ['c'] }
  assert.deepEqual(open.ofParty('p'), expected)
  assert.deepEqual(open.ofSession('s-p'), expected)
  assert.equal(open.ofSession('s-q'), undefined)
})

test('ten thousand items in one session teach nobody anything and take little memory', () => {
  const { sessions, open } = scene({ clicksMax: 100_000 })
  for (let n = 0; n < 10_000; n++) open.add(click('bot', `item-${n}`, n))
  open.add(click('p', 'a', 10_000))
  assert.ok((open.ofParty('bot')?.items.length ?? 0) <= 50)
  assert.deepEqual(open.unfinished().length, 1)
  open.finish(100 * minute)
  assert.deepEqual(sessions.size(), { sessions: 1, clicks: 1 })
})

test('a click that is older than the session under way does not end it', () => {
  const { open } = scene()
  open.add(click('p', 'a', 100 * minute))
  open.add(click('p', 'late', 10 * minute))
  assert.deepEqual(open.ofParty('p')?.items, ['a'])
})

test('an erased party leaves neither a session under way nor a finished one', () => {
  const { sessions, open } = scene()
  for (const key of ['p', 'q', 'p']) open.add(click(key, `of-${key}`, key === 'p' ? 0 : 1))
  open.add(click('p', 'of-p', 50 * minute))
  assert.deepEqual(sessions.size().sessions, 1)
  open.forget('p')
  assert.equal(open.ofParty('p'), undefined)
  assert.equal(open.ofSession('s-p'), undefined)
  assert.equal(sessions.size().sessions, 0)
  assert.deepEqual(open.ofParty('q')?.items, ['of-q'])
})

test('clicks, items and sessions under way have bounds; the oldest go, made-up items are left out', () => {
  const { sessions, open } = scene({ clicksMax: 40, itemsMax: 60, sessionsMax: 10 })
  for (let n = 0; n < 100; n++) open.add(click(`p${n}`, `item-${n % 70}`, n))
  assert.equal(open.size() <= 10, true)
  assert.ok(sessions.size().clicks <= 40)
  const { itemIds } = sessions.copy()
  assert.equal(itemIds.length, 60)
  assert.equal(open.ofParty('p99')?.items[0], 'item-29')
})

test('a copy has the sessions under way at its end, and leaves nothing of them behind', () => {
  const { sessions, open } = scene()
  open.add(click('p', 'a', 0))
  sessions.add({ items: [0], timeMs: 5_000, owner: 1 })
  assert.equal(sessions.copy(open.unfinished()).count, 2)
  assert.deepEqual(sessions.size(), { sessions: 1, clicks: 1 })
})

test('another revision comes with each click and each party that goes, not with time', () => {
  const { open } = scene()
  const before = open.revision()
  open.add(click('p', 'a', 0))
  const added = open.revision()
  assert.notEqual(added, before)
  open.finish(10 ** 9)
  assert.equal(open.revision(), added)
  open.forget('p')
  assert.notEqual(open.revision(), added)
})

test('sessions are ordered by time, those of one second as they came', async () => {
  const times = Uint32Array.of(70_000, 5, 4_000_000_000, 5, 0)
  assert.deepEqual([...(await orderOf(times, 5, () => undefined))], [4, 1, 3, 0, 2])
})
