import assert from 'node:assert/strict'
import { globSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { DuckDBInstance } from '@duckdb/node-api'
import { dayMs, dayOf } from '../../src/lib/clock.ts'
import {
  environmentOf,
  optionsBelow,
  runCommand,
  startMillrace,
  temporaryFolder,
} from '../fault/process.ts'
import { makeKeyspace } from './cassandra-scene.ts'
import { batchOf, createRandom, makeTraffic } from './rows.ts'

/** A day of Cassandra taken along as a file, by the command and a process that consumes. */

const keyspace = await makeKeyspace({ expectedEventsPerDay: 250_000 })
const folder = temporaryFolder()
after(async () => {
  folder.remove()
  await keyspace.drop()
})

test('millrace export writes the days of Cassandra as Parquet, every event of them', async () => {
  const yesterday = Math.floor(Date.now() / dayMs - 1) * dayMs
  const span = { eventTime: yesterday - dayMs, offset: 0, spanMs: 2 * dayMs }
  const rows = makeTraffic(12_000, span, createRandom(5))
  const store = await keyspace.open()
  for (let from = 0; from < rows.length; from += 2_000) {
    await store.write(batchOf(...rows.slice(from, from + 2_000)))
  }
  await store.close()

  const options = await optionsBelow(folder.path, 'data')
  const { contactPoints, keyspace: name } = keyspace.options
  const env = {
    MILLRACE_STORE: 'cassandra',
    MILLRACE_CASSANDRA_CONTACT_POINTS: contactPoints.join(','),
    MILLRACE_CASSANDRA_KEYSPACE: name,
  }
  // The rows are of another log than the one of its data folder.
  const running = await startMillrace({ ...options, command: ['consume', '--accept-log'], env })
  const out = join(folder.path, 'exported')
  try {
    const { code, stderr } = await runCommand(
      ['export', '--format', 'parquet', '--last', '3d', '--out', out],
      { ...environmentOf(options), ...env },
    )
    assert.equal(code, 0, stderr)
    assert.match(stderr, /12,000 events of 2 days/)
  } finally {
    await running.stop()
  }
  const days = [yesterday - dayMs, yesterday].map(dayOf)
  assert.deepEqual(
    globSync('**/*.parquet', { cwd: out }).sort(),
    days.map((day) => join(`day=${day}`, 'part-0.parquet')),
  )
  const wanted = rows.map(({ eventId, itemId, parameters }) => [eventId, itemId, parameters])
  assert.deepEqual(await readFiles(join(out, '*', '*.parquet')), wanted)
})

/** Id, item and parameters of all events in these files, in the order of time. */
async function readFiles(pattern: string): Promise<unknown[]> {
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  try {
    const reader = await connection.runAndReadAll(
      `SELECT eventId, itemId, parameters FROM read_parquet('${pattern}') ORDER BY eventTime, eventId`,
    )
    return reader.getRowsJson() as unknown[]
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}
