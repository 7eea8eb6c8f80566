import { parseArgs } from 'node:util'
import { sharedVariable } from '../test/services.ts'
import { compareStores, fill } from '../test/store/cassandra-compare.ts'
import { makeHistory } from '../test/store/cassandra-history.ts'
import { makeKeyspace } from '../test/store/cassandra-scene.ts'
import { inFolder } from '../test/store/embedded-scene.ts'
import { startScratchServices } from './services/scratch.ts'

/**
 * Gives the same history over ninety days to DuckDB and to a real Cassandra, closes the days that can
 * be closed, and compares every answer: `node script/compare-stores.ts [--events 200000] [--seed 1]
 * [--shards 3] [--cassandra HOST:PORT]`. Without an address it starts a node of its own (Java 17). Ends
 * with 1 when an answer differs. The same with fewer events is test/store/cassandra-same.test.ts.
 */
const { values } = parseArgs({
  options: {
    events: { type: 'string', default: '200000' },
    seed: { type: 'string', default: '1' },
    shards: { type: 'string', default: '3' },
    cassandra: { type: 'string' },
  },
})
const started =
  values.cassandra === undefined ? await startScratchServices(['cassandra']) : undefined
try {
  const address = values.cassandra ?? started?.addresses.cassandra ?? ''
  process.env[sharedVariable('cassandra')] = address
  // As many as make the layout have so many shards a day.
  const keyspace = await makeKeyspace({ expectedEventsPerDay: 100_000 * Number(values.shards) })
  try {
    await inFolder(async (embedded) => {
      const cassandra = await keyspace.open()
      try {
        await compare({ embedded, cassandra })
      } finally {
        await cassandra.close()
      }
    })
  } finally {
    await keyspace.drop()
  }
} finally {
  await started?.stop()
}

async function compare(pair: Parameters<typeof fill>[0]): Promise<void> {
  const history = makeHistory({
    events: Number(values.events),
    days: 90,
    seed: Number(values.seed),
    batchRows: 1_000,
  })
  say(`${history.receipts} receipts of about ${values.events} events over 90 days`)
  const closed = await fill(pair, history)
  say(`${closed.size} days are closed in both`)
  const { answers, events, differences } = await compareStores(pair, history, closed)
  say(`${answers} answers and ${events} events compared, ${differences.length} differ`)
  for (const difference of differences) say(`  ${difference}`)
  if (differences.length > 0) process.exitCode = 1
}

function say(text: string): void {
  process.stdout.write(`${(performance.now() / 1_000).toFixed(0).padStart(5)} s  ${text}\n`)
}
