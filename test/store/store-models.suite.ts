import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dayMs } from '../../src/lib/clock.ts'
import { countModel, type ModelItem, modelParts, type NewModel } from '../../src/store/models.ts'
import type { Store } from '../../src/store/store.ts'
import { type StorePlace, withStore } from './place.ts'
import { noon } from './rows.ts'

/** The part of the suite about models that are kept in the store. */
export function describeModels(makePlace: () => StorePlace): void {
  test('a model comes back as it was put, item by item, also after opening again', () =>
    withStore(makePlace, async (store, place) => {
      await writeWhole(store, modelOf('m1'), items)
      await store.close()
      const again = await place.open()
      try {
        const [stored] = await again.models.list()
        assert.deepEqual(stored, {
          ...modelOf('m1'),
          completedAt: noon + 1,
          counts: { items: 4, pairs: 5, together: 19 },
        })
        assert.deepEqual(byId(await readItems(again, 'm1')), byId(items))
      } finally {
        await again.close()
      }
    }))

  test('the same items again change nothing; what was not begun is refused', () =>
    withStore(makePlace, async (store) => {
      await store.models.begin(modelOf('m1'))
      for (const _ of [1, 2]) await store.models.put('m1', 3, items)
      assert.deepEqual(byId(await readItems(store, 'm1')), byId(items))
      await assert.rejects(store.models.put('m2', 0, items), { code: 'model_unknown' })
      const counts = countModel(items)
      await assert.rejects(store.models.complete('m2', counts, noon), { code: 'model_unknown' })
      assert.equal((await store.models.list()).length, 1)
    }))

  test('a half-written model says so, and models are listed newest first', () =>
    withStore(makePlace, async (store) => {
      assert.deepEqual(await store.models.list(), [])
      await writeWhole(store, modelOf('20260310T120000-embedded-a'), items)
      await store.models.begin(modelOf('20260311T120000-spark-b'))
      const states = (await store.models.list()).map(({ version, completedAt, counts }) => [
        version.slice(0, 8),
        completedAt,
        counts?.items,
      ])
      assert.deepEqual(states, [
        ['20260311', null, undefined],
        ['20260310', noon + 1, 4],
      ])
    }))

  test('a version is served in the place of the one that was expected, of no other', () =>
    withStore(makePlace, async (store, place) => {
      assert.equal(await store.models.served(), undefined)
      for (const version of ['a', 'b', 'c']) await writeWhole(store, modelOf(version), items)
      assert.equal(await store.models.serve('a', undefined), true)
      assert.equal(await store.models.serve('b', undefined), false)
      assert.equal(await store.models.serve('c', 'b'), false)
      assert.equal(await store.models.served(), 'a')
      assert.equal(await store.models.serve('b', 'a'), true)
      await store.close()
      const again = await place.open()
      assert.equal(await again.models.served(), 'b')
      await again.close()
    }))

  test('a dropped model is gone with all its parts; the one that is served stays', () =>
    withStore(makePlace, async (store) => {
      for (const version of ['a', 'b']) await writeWhole(store, modelOf(version), items)
      await store.models.serve('b', undefined)
      assert.equal(await store.models.drop('a'), true)
      assert.equal(await store.models.drop('b'), false)
      assert.deepEqual(await readItems(store, 'a'), [])
      assert.deepEqual(
        (await store.models.list()).map(({ version }) => version),
        ['b'],
      )
      assert.deepEqual(byId(await readItems(store, 'b')), byId(items))
    }))
}

/** Ids that a store might take for something else. */
const items: readonly ModelItem[] = [
  itemOf('a', 9, ['b', 7], ['ü🎉', 7]),
  itemOf('__proto__', 2, ['a', 2]),
  itemOf("'; DROP TABLE models; --", 2, ['1', 2]),
  itemOf('1', 1, ['constructor', 1]),
]

function itemOf(itemId: string, sessions: number, ...pairs: [string, number][]): ModelItem {
  const neighbours = pairs.map(([other, together]) => ({ itemId: other, sessions: together }))
  return { itemId, sessions, neighbours }
}

export function modelOf(version: string): NewModel {
  const firstDay = new Date(noon - 30 * dayMs).toISOString().slice(0, 10)
  return { version, engine: 'embedded', firstDay, lastDay: '2026-03-09', startedAt: noon }
}

async function writeWhole(
  { models }: Store,
  model: NewModel,
  written: readonly ModelItem[],
): Promise<void> {
  await models.begin(model)
  for (const [at, item] of written.entries()) {
    await models.put(model.version, at % modelParts, [item])
  }
  await models.complete(model.version, countModel(written), noon + 1)
}

async function readItems({ models }: Store, version: string): Promise<ModelItem[]> {
  const parts = Array.from({ length: modelParts }, (_, part) => models.part(version, part))
  return (await Promise.all(parts)).flat()
}

function byId(of: readonly ModelItem[]): ModelItem[] {
  return of.toSorted((a, b) => (a.itemId < b.itemId ? -1 : 1))
}
