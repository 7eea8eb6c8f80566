import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { isMillraceError } from '../../src/event/error.ts'
import { compareModels } from '../../src/recommend/compare.ts'
import { createScored, keyOf, readScores } from '../../src/recommend/scores.ts'
import type { FileSession } from '../../src/recommend/session-file.ts'
import { splitAt } from '../../src/recommend/split.ts'

const folder = mkdtempSync(join(tmpdir(), 'millrace-scores-'))
after(() => rmSync(folder, { recursive: true, force: true }))

function file(name: string, content: string): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

function sessionOf(startMs: number, ...items: string[]): FileSession {
  return { items, times: items.map((_, at) => startMs + at) }
}

test('the answers of another program are a row beside ours, in both protocols by one line', async () => {
  const scores = await readScores(file('a.tsv', 'a\ta c b\na b\tb c\n\n'))
  const training = [sessionOf(0, 'a', 'b'), sessionOf(1, 'b', 'c'), sessionOf(2, 'a', 'c')]
  const test = [sessionOf(10, 'a', 'a', 'b', 'c')]
  const { rows } = await compareModels({ training, test, protocols: ['keep', 'nodup'], scores })
  const als = rows.filter(({ model }) => model === 'als')
  assert.deepEqual(
    als.map(({ protocol, predictions, hr20, mrr20 }) => [protocol, predictions, hr20, mrr20]),
    [
      // a → a (1st), aa → b (3rd), aab → c (2nd)
      ['keep', 3, 1, (1 + 1 / 3 + 1 / 2) / 3],
      // a → b (2nd, as a itself is not returned), ab → c (1st, as b is not)
      ['nodup', 2, 1, (1 / 2 + 1) / 2],
    ],
  )
  const without = await compareModels({ training, test, protocols: ['nodup'] })
  assert.deepEqual(
    without.rows.map(({ model }) => model),
    ['popularity', 'item-to-item', 'item-knn', 'session-knn'],
  )
})

test('a prefix that the file does not have has no answer', () => {
  const { recommend } = createScored(new Map([['a', ['b']]]))
  const asked = { at: 0, limit: 20, isAllowed: () => true }
  assert.deepEqual(recommend({ ...asked, items: ['c'] }), [])
  assert.equal(recommend({ ...asked, items: ['a', 'a'] })[0]?.itemId, 'b')
  assert.equal(keyOf(['a', 'a', 'b', 'a']), 'a b a')
})

for (const [name, content, message] of [
  ['empty.tsv', '', /no line/],
  ['half.tsv', 'a\tb\na b', /line 2 is no prefix/],
  ['columns.tsv', 'a\tb\tc\n', /line 1 is no prefix/],
  ['cut.tsv.gz', 'no gzip', /incorrect header check/],
] as const) {
  test(`a file of scores is refused and named: ${name}`, async () => {
    await assert.rejects(
      readScores(file(name, content)),
      (thrown) =>
        isMillraceError(thrown, 'evaluate_invalid') &&
        message.test(thrown.message) &&
        thrown.message.includes(name),
    )
  })
}

test('sessions are split at a moment, and one across it is in neither part', () => {
  const sessions = [sessionOf(0, 'a', 'b'), sessionOf(99, 'b', 'c'), sessionOf(100, 'd', 'e')]
  const { training, test } = splitAt(sessions, 100)
  assert.deepEqual(training, [sessions[0]])
  assert.deepEqual(test, [sessions[2]])
  assert.throws(
    () => splitAt(sessions, 1_000),
    (thrown) => isMillraceError(thrown, 'evaluate_invalid') && /and 0 after/.test(thrown.message),
  )
})
