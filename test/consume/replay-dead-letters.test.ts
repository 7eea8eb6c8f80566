import assert from 'node:assert/strict'
import { test } from 'node:test'
import { replayDeadLetters } from '../../src/consume/replay-dead-letters.ts'
import { encodeRejection, rejectionRecordSchema } from '../../src/event/record.ts'
import { at, makeDeadLetter } from '../store/rows.ts'
import { eventLike } from './events.ts'
import { openScene } from './moving-scene.ts'

/** Dead letters tried again over the real embedded logs and store. */

test('a letter that fails in a way that nobody foresaw is named, and those behind it are replayed', async (t) => {
  const { events, rejected, openStore } = await openScene(t)
  const store = await openStore('store')
  const rejection = {
    receivedAt: 1_700_000_000_000,
    code: 'event_invalid',
    message: '',
    source: 'json',
    body: '{}',
    truncated: false,
    remoteAddress: '',
    userAgent: null,
    privacy: null,
    country: null,
  } as const
  const deadLetters = ['odd', 'sound'].map((body, offset) =>
    makeDeadLetter(offset, {
      position: { ...at(offset), log: rejected.identity, topic: rejected.topic },
      source: 'json',
      value: encodeRejection({ ...rejection, body }),
      schema: rejectionRecordSchema.fingerprint,
    }),
  )
  await store.write({ rows: [], deadLetters, positions: [] })
  const replay = {
    events,
    rejected,
    store,
    clock: Date.now,
    eventOf: ({ body }: { readonly body: string }) => {
      if (body === 'odd') throw new SyntaxError('not foreseen')
      return eventLike(1)
    },
  }
  const { replayed, failures } = await replayDeadLetters('all', replay)
  assert.equal(replayed, 1)
  assert.deepEqual(
    failures.map(({ position, error }) => [position.offset, error.code, error.message]),
    [[0, 'internal', 'Something went wrong: not foreseen']],
  )
  const states = (await store.deadLetters({ limit: 9 })).map((letter) => letter.replayedAt !== null)
  assert.deepEqual(states.toSorted(), [false, true])
  assert.equal(
    (await events.partitions()).reduce((sum, one) => sum + one.next - one.first, 0),
    1,
  )
})
