import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { DuckDBInstance } from '@duckdb/node-api'
import {
  freePort,
  type Running,
  runCommand,
  startMillrace,
  temporaryFolder,
  untilStored,
} from '../fault/process.ts'

/** `millrace reconcile` as a user runs it, with an owner of the data folder and without. */

const folder = temporaryFolder()
after(() => folder.remove())
const env = { MILLRACE_DATA: folder.path }

async function run(work: (running: Running) => Promise<void>): Promise<void> {
  const ports = { collectPort: await freePort(), apiPort: await freePort() }
  const running = await startMillrace({ folder: folder.path, ...ports })
  try {
    await work(running)
  } finally {
    await running.stop()
  }
}

test('a row that is gone is named with its position, event and party; a replay brings it back', async () => {
  const events = [1, 2, 3].map((index) => ({
    eventId: `event-${index}`,
    partyId: `party\u202e-${index}`,
    eventType: 'pageView',
  }))
  await run(async (running) => {
    const body = JSON.stringify({ events })
    const headers = { 'Content-Type': 'application/json' }
    const answer = await fetch(`${running.collectorUrl}/events`, { method: 'POST', headers, body })
    assert.equal(answer.status, 200)
    await untilStored(running)
    const asked = await runCommand(['reconcile'], env)
    assert.equal(asked.code, 0, asked.stderr)
    assert.match(asked.stdout, /^3 records: 3 rows, 0 repeats/)
  })
  const instance = await DuckDBInstance.create(join(folder.path, 'store', 'store.duckdb'))
  const connection = await instance.connect()
  await connection.run(`DELETE FROM events WHERE event_id = 'event-2'`)
  connection.closeSync()
  instance.closeSync()
  const alone = await runCommand(['reconcile'], env)
  assert.equal(alone.code, 1)
  assert.match(alone.stdout, /^missing events\/0\/1: event event-2 of party party\S-2\n/)
  assert.match(alone.stdout, /^3 records: 2 rows.* 1 missing$/m)
  const last = await runCommand(['reconcile', '--last', '1'], env)
  assert.equal(last.code, 0, last.stdout)
  const invalid = await runCommand(['reconcile', '--from', 'x'], env)
  assert.equal(invalid.code, 2)
  await run(async () => {
    const asked = await runCommand(['reconcile'], env)
    assert.equal(asked.code, 1)
    assert.match(asked.stdout, /missing events\/0\/1: event event-2/)
    await runCommand(['replay', '--from', 'earliest'], env)
    assert.equal((await runCommand(['reconcile'], env)).code, 0)
  })
})
