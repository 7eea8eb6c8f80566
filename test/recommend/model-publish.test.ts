import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dayMs, hourMs, secondMs } from '../../src/lib/clock.ts'
import { readClickRules } from '../../src/recommend/clicks.ts'
import { buildModel, writeModel } from '../../src/recommend/model-build.ts'
import { followModel } from '../../src/recommend/model-follower.ts'
import { publishModel } from '../../src/recommend/model-publish.ts'
import { countModel, type ModelItem } from '../../src/store/models.ts'
import type { Row, Store } from '../../src/store/store.ts'
import { inFolder } from '../store/embedded-scene.ts'
import { batchOf, makeRow, noon } from '../store/rows.ts'
import { modelOf } from '../store/store-models.suite.ts'
import { ask } from './scene.ts'

const rules = readClickRules(['pageView'], [])
const options = { clicksMax: 1_000_000, itemsMax: 1_000, sessionClicksMax: 200, isForced: false }
const days = { firstDay: '2026-03-05', lastDay: '2026-03-10' }

/** Sessions on 20 groups of 5 items, in the order 0 1 2 3 4 of the group: easy to foresee. */
function shop(sessions: number): Row[] {
  return Array.from({ length: sessions }, (_, session) => {
    const group = (session * 7) % 20
    const start = noon - 4 * dayMs + Math.floor((session / sessions) * 4 * dayMs)
    return [0, 1, 2, 3, 4].map((place) =>
      makeRow({
        eventId: `s${session}-${place}`,
        partyId: `0:p${session}`,
        itemId: `g${group}-${(place + session) % 5}`,
        eventTime: start + place * secondMs,
        offset: 5 * session + place,
      }),
    )
  }).flat()
}

/** A model that knows every item and recommends the wrong ones. */
function wrongItems(): ModelItem[] {
  return Array.from({ length: 100 }, (_, item) => ({
    itemId: `g${Math.floor(item / 5)}-${item % 5}`,
    sessions: 50,
    neighbours: [{ itemId: `g${(Math.floor(item / 5) + 1) % 20}-0`, sessions: 9 }],
  }))
}

async function written(
  store: Store,
  version: string,
  items: readonly ModelItem[],
): Promise<string> {
  await writeModel(store.models, modelOf(version), items, () => noon)
  return version
}

async function withShop(body: (store: Store, good: string) => Promise<void>): Promise<void> {
  await inFolder(async (store) => {
    await store.write(batchOf(...shop(600)))
    const { version } = await buildModel(store, days, rules, options, () => noon)
    await body(store, version)
  })
}

test('a model takes the place of none, of a worse one, and of an equal one; a worse one is kept out', () =>
  withShop(async (store, good) => {
    const wrong = await written(store, 'wrong', wrongItems())
    const publish = (version: string, isForced = false) =>
      publishModel(store, version, rules, { ...options, isForced }, noon)
    assert.equal((await publish(wrong)).isPublished, true)
    const better = await publish(good)
    assert.ok(better.isPublished && better.predictions >= 500)
    assert.ok(better.model.hr20 > 0.9 && (better.served?.hr20 ?? 1) < 0.1, JSON.stringify(better))
    const { version: equal } = await buildModel(store, days, rules, options, () => noon + 1)
    assert.equal((await publish(equal)).isPublished, true)
    const worse = await publish(wrong)
    assert.equal(worse.isPublished, false)
    assert.match(worse.reason, /^worse: HR@20 \+ MRR@20 0\.\d+, in service 1\.\d+/)
    assert.equal(await store.models.served(), equal)
    assert.equal((await publish(wrong, true)).isPublished, true)
    assert.equal(await store.models.served(), wrong)
  }))

test('a model does not foresee a session because it has learnt from it', () =>
  inFolder(async (store) => {
    // Every item is in one session only: nothing is to be learnt that helps with another.
    const rows = Array.from({ length: 300 }, (_, session) =>
      [0, 1].map((place) =>
        makeRow({
          eventId: `s${session}-${place}`,
          partyId: `0:p${session}`,
          itemId: `i${session}-${place}`,
          eventTime: noon - hourMs + session * secondMs + place,
          offset: 2 * session + place,
        }),
      ),
    ).flat()
    await store.write(batchOf(...rows))
    const { version } = await buildModel(store, days, rules, options, () => noon)
    const result = await publishModel(store, version, rules, options, noon)
    assert.deepEqual([result.predictions, result.model.hr20], [300, 0])
  }))

test('a half-written model, and one that lost items, are not published, also not by force', () =>
  withShop(async (store, good) => {
    await publishModel(store, good, rules, options, noon)
    await store.models.begin(modelOf('half'))
    await store.models.put('half', 0, wrongItems())
    await store.models.begin(modelOf('lossy'))
    await store.models.put('lossy', 0, wrongItems().slice(1))
    await store.models.complete('lossy', countModel(wrongItems()), noon)
    for (const version of ['half', 'lossy']) {
      const forced = publishModel(store, version, rules, { ...options, isForced: true }, noon)
      await assert.rejects(forced, { code: 'model_incomplete' })
    }
    const unknown = publishModel(store, 'nobody', rules, options, noon)
    await assert.rejects(unknown, { code: 'model_unknown' })
    assert.equal(await store.models.served(), good)
  }))

test('publishing drops old versions, and half-written ones of days ago', () =>
  withShop(async (store) => {
    const old = ['o1', 'o2', 'o3', 'o4', 'o5', 'o6', 'o7', 'o8']
    for (const version of old) await written(store, version, wrongItems())
    await store.models.begin({ ...modelOf('a-half'), startedAt: noon - 3 * dayMs })
    await store.models.begin({ ...modelOf('b-half'), startedAt: noon - hourMs })
    await publishModel(store, 'o1', rules, options, noon)
    const left = (await store.models.list()).map(({ version }) => version)
    assert.deepEqual(left, ['o8', 'o7', 'o6', 'o5', 'o4', 'o1', 'b-half'])
  }))

test('what is published is followed; one that cannot be read leaves the one before', () =>
  withShop(async (store, good) => {
    const lines: string[] = []
    const follower = followModel(store.models, {
      refreshSeconds: 10_000,
      onLine: (line) => lines.push(line),
    })
    try {
      await follower.look()
      assert.equal(follower.recommender(), undefined)
      await publishModel(store, good, rules, options, noon)
      await follower.look()
      const items = follower.recommender()?.recommend({ ...ask(['g3-0']), limit: 3 }) ?? []
      assert.ok(items.length === 3 && items.every(({ itemId }) => itemId.startsWith('g3-')))
      assert.match(items[0]?.reason ?? '', new RegExp(`as g3-0, by model ${good}$`))
      // Whoever writes the table by hand can name a model that is not whole.
      await store.models.begin(modelOf('half'))
      assert.equal(await store.models.serve('half', good), true)
      await assert.rejects(follower.look(), { code: 'model_incomplete' })
      await assert.rejects(follower.look(), { code: 'model_incomplete' })
      assert.equal(lines.length, 1)
      assert.match(lines[0] ?? '', /model half is not served, .* stays/)
      assert.ok(follower.recommender())
    } finally {
      await follower.stop()
    }
  }))
