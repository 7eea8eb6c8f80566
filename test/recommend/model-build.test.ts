import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dayMs, minuteMs, secondMs } from '../../src/lib/clock.ts'
import { readClickRules } from '../../src/recommend/clicks.ts'
import { buildModel } from '../../src/recommend/model-build.ts'
import { readModel } from '../../src/recommend/model-read.ts'
import type { Row, Store } from '../../src/store/store.ts'
import { inFolder } from '../store/embedded-scene.ts'
import { batchOf, makeRow, noon } from '../store/rows.ts'

const rules = readClickRules(['pageView', 'purchase=3'], ['purchase'])
const options = { clicksMax: 1_000_000, itemsMax: 1_000, sessionClicksMax: 20 }
const days = { firstDay: '2026-03-09', lastDay: '2026-03-10' }

interface Visit {
  readonly partyId: string | null
  readonly sessionId?: string
  readonly at?: number
  readonly items: readonly string[]
  readonly bot?: string
  readonly eventType?: string
}

let events = 0

function visit({ partyId, items, at = noon, bot, eventType, sessionId }: Visit): Row[] {
  return items.map((itemId, place) =>
    makeRow({
      eventId: `e${events++}`,
      partyId,
      sessionId: sessionId ?? null,
      itemId,
      eventType: eventType ?? 'pageView',
      eventTime: at + place * secondMs,
      bot: bot ?? null,
      offset: events,
    }),
  )
}

async function built(store: Store, ...visits: readonly Visit[]): Promise<Record<string, string>> {
  const rows = visits.flatMap(visit)
  await store.write(batchOf(...rows.toSorted((a, b) => a.eventTime - b.eventTime)))
  const { version } = await buildModel(store, days, rules, options, () => noon)
  const { items } = await readModel(store.models, version)
  return Object.fromEntries(
    [...items].map(([itemId, { sessions, neighbours }]) => [
      itemId,
      `${sessions}: ${neighbours.map((each) => `${each.itemId} ${each.sessions}`).join(', ')}`,
    ]),
  )
}

test('a model has of each item the others of its sessions, most sessions first', () =>
  inFolder(async (store) => {
    const found = await built(
      store,
      { partyId: 'p1', items: ['a', 'b', 'a'] },
      { partyId: 'p2', items: ['a', 'b', 'c'] },
      { partyId: 'p3', items: ['ü', 'a'] },
      { partyId: 'p4', items: ['z', 'a'] },
      { partyId: 'p5', items: ['alone'] },
    )
    assert.deepEqual(found, {
      a: '4: b 2, c 1, z 1, ü 1',
      b: '2: a 2, c 1',
      c: '1: a 1, b 1',
      ü: '1: a 1',
      z: '1: a 1',
    })
  }))

test('a gap of 30 minutes ends a session; without a party the session stands for it', () =>
  inFolder(async (store) => {
    const found = await built(
      store,
      { partyId: 'p1', items: ['a'] },
      { partyId: 'p1', at: noon + 30 * minuteMs, items: ['b'] },
      { partyId: 'p1', at: noon + 60 * minuteMs + 1, items: ['c'] },
      { partyId: null, sessionId: 's1', items: ['d', 'e'] },
      { partyId: null, items: ['f', 'g'] },
    )
    assert.deepEqual(found, { a: '1: b 1', b: '1: a 1', d: '1: e 1', e: '1: d 1' })
  }))

test('bots, other types, other days and sessions of too many clicks teach nothing', () =>
  inFolder(async (store) => {
    const many = Array.from({ length: 10_000 }, (_, at) => `many-${at % 30}`)
    const found = await built(
      store,
      { partyId: 'p1', items: ['a', 'b'] },
      { partyId: 'p2', items: ['a', 'c'], bot: 'crawler' },
      { partyId: 'p3', items: ['a', 'd'], eventType: 'search' },
      { partyId: 'p4', items: ['a', 'e'], at: noon - 2 * dayMs },
      { partyId: 'p5', items: ['a', 'f'], at: noon + dayMs },
      { partyId: 'p6', items: ['a', 'b', ...many] },
      { partyId: 'p7', items: ['a', 'b'], eventType: 'purchase' },
    )
    assert.deepEqual(found, { a: '2: b 2', b: '2: a 2' })
  }))

test('nothing to learn from is said, and leaves no model', () =>
  inFolder(async (store) => {
    const building = buildModel(store, days, rules, options, () => noon)
    await assert.rejects(building, { code: 'model_empty' })
    await store.write(batchOf(...visit({ partyId: 'p1', items: ['a', 'a'] })))
    const again = buildModel(store, days, rules, options, () => noon)
    await assert.rejects(again, { code: 'model_empty' })
    assert.deepEqual(await store.models.list(), [])
  }))
