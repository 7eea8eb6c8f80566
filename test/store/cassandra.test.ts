import { after } from 'node:test'
import fc from 'fast-check'
import { makeKeyspace, placesIn } from './cassandra-scene.ts'
import { runStoreSuite } from './store.suite.ts'

// Each run takes a second: looking for a smaller failing one would take hours.
fc.configureGlobal({ endOnFailure: true })

// Days of one bucket, and of three shards.
const keyspaces = [
  await makeKeyspace({ expectedEventsPerDay: 1_000 }),
  await makeKeyspace({ expectedEventsPerDay: 250_000 }),
]
after(async () => {
  for (const keyspace of keyspaces) await keyspace.drop()
})

runStoreSuite('cassandra', placesIn(keyspaces), 0.2)
