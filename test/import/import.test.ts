import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { isMillraceError, MillraceError } from '../../src/event/error.ts'
import { createBatchBuilder, decodeBatch } from '../../src/import/batch.ts'
import { completeEvent } from '../../src/import/event.ts'
import { importTopic } from '../../src/import/identity.ts'
import {
  type ImportOptions,
  type ImportResult,
  identifySource,
  importSource,
} from '../../src/import/import.ts'
import type { ImportSource } from '../../src/import/source.ts'
import { createImportTarget, type ImportTarget } from '../../src/import/target.ts'
import { dayMs } from '../../src/lib/clock.ts'
import type { Store } from '../../src/store/store.ts'
import { openSmall } from '../store/embedded-scene.ts'
import { folderOf, sourceOf } from './scene.ts'

/** Imports into a real store: twice, stopped, refused, outside retention. */

const now = Date.UTC(2026, 2, 10, 15)
const table = { format: 'tsv', columns: 'session=s,time=t,item=i' } as const
const everything = { from: Date.UTC(1990, 0, 1), to: Date.UTC(2040, 0, 1) }
const bots = { bots: 'include' } as const

async function storeOf(t: TestContext): Promise<Store> {
  const folder = join(folderOf(t), 'store')
  mkdirSync(folder)
  const store = await openSmall(folder)
  t.after(() => store.close())
  return store
}

function targetOf(store: Store): ImportTarget {
  return createImportTarget({ store, clock: () => now, retentionDays: 92 })
}

function run(
  source: ImportSource,
  target: ImportTarget,
  over: Partial<ImportOptions> = {},
): Promise<ImportResult> {
  const { signal } = new AbortController()
  return importSource(source, target, { outsideRetention: false, again: false, signal, ...over })
}

/** Rows one second apart, from noon of the day that is `daysAgo`. */
function tableOf(rows: number, daysAgo = 1): string {
  const start = now / 1_000 - daysAgo * 86_400
  const lines = Array.from({ length: rows }, (_, row) => `s${row % 7}\t${start + row}\ti${row % 3}`)
  return `s\tt\ti\n${lines.join('\n')}\n`
}

/** All that the store answers of rows, without what a receipt leaves. */
async function answers(store: Store): Promise<unknown> {
  const rows = await store.events(everything, bots, { order: 'asc', limit: 100_000 })
  const { events, duplicates, deadLetters } = await store.health()
  const counts = await store.counts(everything, bots)
  return { rows, counts, events, duplicates, deadLetters }
}

function sum(counts: readonly { readonly count: number }[]): number {
  return counts.reduce((total, { count }) => total + count, 0)
}

test('a file imported twice, again from its start, and as another file is there once', async (t) => {
  const store = await storeOf(t)
  const target = targetOf(store)
  const text = tableOf(7_000)
  const source = sourceOf(t, text, table)
  const first = await run(source, target)
  assert.deepEqual([first.imported, first.present, first.refused], [7_000, 0, 0])
  assert.ok(first.complete)
  const before = await answers(store)
  const later = createImportTarget({ store, clock: () => now + 1, retentionDays: 92 })
  for (const again of [false, true]) {
    const result = await run(source, later, { again })
    assert.deepEqual([result.imported, result.present], [0, 7_000])
    assert.deepEqual(await answers(store), before)
  }
  // The file has grown: its old rows are known, although it is another file.
  const grown = await run(sourceOf(t, `${text}x\t${now / 1_000}\ti\n`, table), later)
  assert.deepEqual([grown.imported, grown.present], [1, 7_000])
})

test('rows keep their number and when they were imported, and no answer depends on either', async (t) => {
  const store = await storeOf(t)
  const { log } = await run(sourceOf(t, tableOf(3), table), targetOf(store))
  const rows = await store.events(everything, bots, { order: 'asc', limit: 10 })
  assert.deepEqual(
    rows.map(({ position, importedAt }) => [position, importedAt]),
    [0, 1, 2].map((offset) => [{ log, topic: importTopic, partition: 0, offset }, now]),
  )
  assert.deepEqual(await store.logs('events'), [], 'the log of events is not touched')
})

test('an import that was stopped goes on where it was', async (t) => {
  const store = await storeOf(t)
  const source = sourceOf(t, tableOf(14_000), table)
  const stopping = new AbortController()
  const first = await run(source, targetOf(store), {
    signal: stopping.signal,
    onProgress: ({ phase }) => phase === 'importing' && stopping.abort(),
  })
  assert.equal(first.complete, false)
  assert.ok(
    Number(first.imported) >= 6_000 && Number(first.imported) < 14_000,
    `${first.imported} imported`,
  )
  const written: number[] = []
  const target = targetOf(store)
  const second = await run(source, {
    ...target,
    write: (body) => {
      written.push(decodeBatch(body).rows[0]?.row ?? -1)
      return target.write(body)
    },
  })
  assert.ok(second.complete)
  assert.equal(written[0], first.imported, 'what is stored is not sent')
  assert.equal(Number(first.imported) + Number(second.imported), 14_000)
  assert.equal(sum(await store.counts(everything, bots)), 14_000)
})

test('a store that is away for a moment is waited for; another error ends the import', async (t) => {
  const store = await storeOf(t)
  const target = targetOf(store)
  const source = sourceOf(t, tableOf(10), table)
  let left = 2
  const flaky: ImportTarget = {
    ...target,
    write: async (body) => {
      if (left-- > 0) throw new MillraceError('store_unavailable', 'a test')
      return target.write(body)
    },
  }
  assert.equal((await run(source, flaky)).imported, 10)
  const broken = { ...target, write: () => Promise.reject(new MillraceError('internal', 'a test')) }
  await assert.rejects(run(source, broken, { again: true }), { code: 'internal' })
})

test('refused rows are dead letters with their line, once, and the good ones are stored', async (t) => {
  const store = await storeOf(t)
  const text = `s\tt\ti\na\t${now / 1_000}\t1\nb\tnever\t2\nc\t${now / 1_000}\t3\nshort\n`
  const source = sourceOf(t, text, table)
  const first = await run(source, targetOf(store))
  assert.deepEqual([first.imported, first.refused], [2, 2])
  await run(source, targetOf(store), { again: true })
  const letters = await store.deadLetters({ limit: 10 })
  assert.deepEqual(
    letters.map(({ position, code, source: from, receivedAt, replayable, value }) => [
      position.offset,
      code,
      from,
      receivedAt,
      replayable,
      Buffer.from(value).toString(),
    ]),
    [
      [3, 'import_row', 'import', now, false, 'short'],
      [1, 'import_row', 'import', now, false, 'b\tnever\t2'],
    ],
  )
  assert.match(letters[1]?.message ?? '', /^line 3: .*"never" is no time/)
})

test('a file of which no row can be an event is refused before anything is written', async (t) => {
  const store = await storeOf(t)
  const read = run(sourceOf(t, 's\tt\ti\na\tnever\t1\n', table), targetOf(store))
  await assert.rejects(read, { code: 'import_refused', message: /1 of 1; the first: line 2/ })
  const none = run(sourceOf(t, 's\tt\ti\n', table), targetOf(store))
  await assert.rejects(none, { code: 'import_empty' })
  assert.equal((await store.health()).deadLetters, 0)
})

test('days outside retention are refused before anything is written, or kept until forgotten', async (t) => {
  const store = await storeOf(t)
  const target = targetOf(store)
  const source = sourceOf(t, `${tableOf(10)}old\t930218797\t1\nolder\t930132397\t1\n`, table)
  await assert.rejects(run(source, target), {
    code: 'import_outside_retention',
    message: /2 days from 1999-06-23 to 1999-06-24/,
  })
  assert.equal((await store.health()).events, 0)
  await run(source, target, { outsideRetention: true })
  await run(source, target, { outsideRetention: true, again: true })
  assert.equal(await store.retain(92, now), 0)
  assert.equal(sum(await store.counts(everything, bots)), 12)
  // What was not imported with it goes, also on a day beside.
  const other = completeEvent({
    eventId: 'x' as never,
    eventType: 'pageView',
    eventTime: 930_218_797_000 - 3 * dayMs,
  })
  const position = { log: 'l', topic: 'events', partition: 0, offset: 0 }
  await store.write({
    rows: [{ ...other, position, importedAt: null }],
    deadLetters: [],
    positions: [],
  })
  assert.equal(await store.retain(92, now), 1)
  const log = await identifySource(source)
  await target.forget(log)
  assert.equal(await store.retain(92, now), 2)
  assert.equal(sum(await store.counts(everything, bots)), 10)
  // And comes back when it is asked for.
  const back = await run(source, target, { outsideRetention: true })
  assert.deepEqual([back.imported, back.present], [2, 10])
})

test('rows that retention deleted since come back when their days are asked to be kept', async (t) => {
  const store = await storeOf(t)
  const source = sourceOf(t, tableOf(10), table)
  await run(source, targetOf(store))
  const later = now + 200 * dayMs
  assert.equal(await store.retain(92, later), 10)
  const target = createImportTarget({ store, clock: () => later, retentionDays: 92 })
  const back = await run(source, target, { outsideRetention: true })
  assert.deepEqual([back.imported, back.present], [10, 0])
  assert.equal(await store.retain(92, later), 0)
})

test('a day that two files keep is kept until both are forgotten', async (t) => {
  const store = await storeOf(t)
  const target = targetOf(store)
  const sources = ['a', 'b'].map((name) => sourceOf(t, `s\tt\ti\n${name}\t930218797\t1\n`, table))
  for (const source of sources) await run(source, target, { outsideRetention: true })
  const [first, second] = await Promise.all(sources.map(identifySource))
  await target.forget(first ?? '')
  assert.equal(await store.retain(92, now), 0)
  await target.forget(second ?? '')
  assert.equal(await store.retain(92, now), 2)
})

test('a row that the store refuses harms no neighbour', async (t) => {
  const store = await storeOf(t)
  const builder = createBatchBuilder(`import:${'0'.repeat(40)}`, true)
  for (let row = 0; row < 9; row++) {
    const event = completeEvent({
      eventId: `e${row}` as never,
      eventType: 'pageView',
      eventTime: now,
      ...(row === 4 && { source: 'telegraph' as never }),
    })
    assert.equal(builder.add({ row, event }), undefined)
  }
  const { inserted, refused } = await targetOf(store).write(builder.end()?.body ?? Buffer.of())
  assert.equal(inserted, 8)
  assert.deepEqual(
    refused.map(({ row }) => row),
    [4],
  )
  const [letter] = await store.deadLetters({ limit: 10 })
  assert.equal(letter?.position.offset, 4)
  assert.match(letter?.message ?? '', /telegraph/)
})

test('the owner takes no batch that is none, nor the position of another log', async (t) => {
  const store = await storeOf(t)
  const target = targetOf(store)
  const days = ['2026-03-10']
  const begin = (log: string, on = days): Promise<unknown> =>
    target.begin({ log, days: on, outsideRetention: false })
  await assert.rejects(begin('log-1'), { code: 'import_invalid' })
  await assert.rejects(begin(`import:${'0'.repeat(40)}`, ['2026-13-10']), {
    code: 'import_invalid',
  })
  await assert.rejects(target.forget('log-1'), { code: 'import_invalid' })
  await assert.rejects(target.write(Buffer.from('no batch')), { code: 'import_invalid' })
  await assert.rejects(target.write(Buffer.of()), { code: 'import_invalid' })
  const builder = createBatchBuilder('log-1', true)
  builder.add({ row: 0, reason: 'a test', text: '' })
  await assert.rejects(target.write(builder.end()?.body ?? Buffer.of()), (thrown) =>
    isMillraceError(thrown, 'import_invalid'),
  )
})
