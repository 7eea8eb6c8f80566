import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { EventsAnswer } from '../../src/api/answer.ts'
import {
  environmentOf,
  optionsBelow,
  type Running,
  runCommand,
  startMillrace,
  temporaryFolder,
  untilStored,
} from '../fault/process.ts'
import { sharedKafka } from '../services.ts'

/** The embedded store, backed up and restored, beside a log in a real Kafka that goes on. */

const topic = `restored-${randomUUID()}`
const env = {
  MILLRACE_LOG: 'kafka',
  MILLRACE_KAFKA_BROKERS: await sharedKafka(),
  MILLRACE_KAFKA_TOPIC: topic,
  MILLRACE_KAFKA_GROUP: topic,
  MILLRACE_KAFKA_ALLOW_SINGLE_REPLICA: 'true',
}
const folder = temporaryFolder()
after(() => folder.remove())

async function send(running: Running, ...eventIds: string[]): Promise<void> {
  const answer = await fetch(`${running.collectorUrl}/events`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(eventIds.map((eventId) => ({ eventId, eventType: 'look' }))),
  })
  assert.equal(answer.status, 200)
  await untilStored(running)
}

async function stored(running: Running): Promise<readonly string[]> {
  const answer = await fetch(`${running.apiUrl}/api/events?last=1d`)
  return ((await answer.json()) as EventsAnswer).events.map(({ eventId }) => eventId).toSorted()
}

test('a restored store reads on in Kafka where the backup stood, nothing missing or twice', async () => {
  const options = { ...(await optionsBelow(folder.path, 'first')), env }
  const file = join(folder.path, 'backup.tar')
  const first = await startMillrace(options)
  try {
    await send(first, 'before')
    const backup = await runCommand(['backup', file], { ...env, ...environmentOf(options) })
    assert.equal(backup.code, 0, backup.stderr)
    await send(first, 'after')
  } finally {
    await first.stop()
  }
  const again = { ...(await optionsBelow(folder.path, 'second')), env }
  const restored = await runCommand(['restore', file], { ...env, ...environmentOf(again) })
  assert.equal(restored.code, 0, restored.stderr)
  assert.match(restored.stdout, /holds 1 event and 0 dead letters/)
  const second = await startMillrace(again)
  try {
    // What the group has committed is beyond what the store has: for a moment nothing seems to wait.
    for (let tries = 0; tries < 600 && (await stored(second)).length < 2; tries++) await sleep(100)
    assert.deepEqual(await stored(second), ['after', 'before'])
    await send(second, 'later')
    assert.deepEqual(await stored(second), ['after', 'before', 'later'])
  } finally {
    await second.stop()
  }
})
