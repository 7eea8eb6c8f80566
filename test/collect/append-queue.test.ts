import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAppendQueue } from '../../src/collect/append-queue.ts'
import { MillraceError } from '../../src/event/error.ts'
import type { AppendRecord, Log } from '../../src/log/log.ts'

/** What the queue makes of a log's refusal; with real logs it is in the tests of the collector. */

const recordOf = (text: string): AppendRecord => ({
  key: '',
  value: Buffer.from(text),
  schema: 'schema',
})

test('a record that is too large is the failure of its request alone', async () => {
  const kept: string[] = []
  const log = {
    async append(records: readonly AppendRecord[]) {
      if (records.some(({ value }) => value.length > 5)) {
        throw new MillraceError('record_too_large', '5')
      }
      kept.push(...records.map(({ value }) => Buffer.from(value).toString()))
    },
  } as Log
  const queue = createAppendQueue(log, {
    queueEventsMax: 100,
    queueBytesMax: 1e6,
    onAppend: () => {},
  })
  const push = (...texts: string[]) =>
    new Promise<string | undefined>((resolve) => {
      queue.push(texts.map(recordOf), (failure) => resolve(failure?.code))
    })
  const requests = [push('a', 'b'), push('c', 'too large'), push('d'), push('e')]
  assert.equal(queue.waitingEvents(), 6)
  const answers = await Promise.all(requests)
  assert.deepEqual(answers, [undefined, 'record_too_large', undefined, undefined])
  assert.deepEqual(kept, ['a', 'b', 'd', 'e'])
  assert.deepEqual([queue.waitingEvents(), queue.waitingBytes()], [0, 0])
  assert.equal(await push('too large'), 'record_too_large')
})
