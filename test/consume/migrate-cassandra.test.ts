import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { compareStores } from '../../src/consume/compare.ts'
import { eraseCopied, migrateDays, prepareTarget } from '../../src/consume/migrate.ts'
import type { PartyId } from '../../src/event/identifier.ts'
import { openHistoryTarget } from '../../src/store/cassandra/adopt.ts'
import { makeKeyspace } from '../store/cassandra-scene.ts'
import { readAll } from '../store/place.ts'
import { batchOf, makeRow } from '../store/rows.ts'
import { openScene } from './moving-scene.ts'

/** What a move into a real Cassandra does that was begun before a party was erased. */

const keyspace = await makeKeyspace()
after(() => keyspace.drop())

const dayMs = 86_400_000
const today = Math.floor(Date.now() / dayMs) * dayMs

test('a party that is erased between two runs is erased in Cassandra, and its name with it', async (t) => {
  const source = await (await openScene(t)).openStore('source')
  const rows = ['gone', 'kept', 'gone'].map((partyId, n) =>
    makeRow({ eventId: `e${n}`, partyId: partyId as PartyId, eventTime: today + n, offset: n }),
  )
  await source.write(batchOf(...rows))
  const signal = new AbortController().signal
  const options = { retryInitialMs: 10, retryMaxMs: 100, signal }
  const prepare = async (): Promise<void> => {
    const heir = await openHistoryTarget(keyspace.options)
    await prepareTarget({ source }, heir, 92, () => today + dayMs).finally(() => heir.close())
  }
  await prepare()
  const first = await keyspace.open()
  await migrateDays({ source, target: first, name: 'a' }, options)
  assert.deepEqual(await readAll(first), await readAll(source))
  await first.close()

  await source.erase('gone', today + dayMs / 2)
  await prepare()
  const target = await keyspace.open()
  try {
    const parts = { source, target, name: 'a' }
    await migrateDays(parts, options)
    const days = (await source.days()).map(({ day }) => day)
    const parties = new Set<string>()
    await compareStores(
      source,
      target,
      days,
      () => {},
      ({ partyId }) => void parties.add(partyId ?? ''),
    )
    assert.deepEqual([...parties], ['gone'])
    assert.equal(await eraseCopied(parts, parties, () => today + dayMs), 1)
    assert.deepEqual(await readAll(target), await readAll(source))
    const erasures = await keyspace.client.execute('SELECT party_id, final_at FROM erasures')
    assert.deepEqual(
      erasures.rows.map((row) => [row['party_id'], Number(row['final_at'])]),
      [[null, today + dayMs]],
    )
  } finally {
    await target.close()
  }
})
