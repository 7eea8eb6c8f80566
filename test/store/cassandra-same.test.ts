import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { compareStores, fill } from './cassandra-compare.ts'
import { makeHistory } from './cassandra-history.ts'
import { makeKeyspace } from './cassandra-scene.ts'
import { inFolder } from './embedded-scene.ts'

// Days of three shards.
const keyspace = await makeKeyspace({ expectedEventsPerDay: 250_000 })
after(() => keyspace.drop())

test('both stores give the same answers about the same history', () =>
  inFolder(async (embedded) => {
    const history = makeHistory({ events: 5_000, days: 90, seed: 20_260_302, batchRows: 500 })
    const cassandra = await keyspace.open()
    try {
      const pair = { embedded, cassandra }
      const closed = await fill(pair, history)
      assert.ok(closed.size > 70 && closed.size < 90, `${closed.size} days are closed`)
      const { differences, answers, events } = await compareStores(pair, history, closed)
      assert.deepEqual(differences, [])
      assert.ok(answers > 390 && events > 9_000, `${answers} answers, ${events} events`)
    } finally {
      await cassandra.close()
    }
  }))
