import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startKafka } from '../../script/services/kafka.ts'
import { createAdmin } from '../../src/log/kafka/client.ts'
import { openKafkaLog } from '../../src/log/kafka/kafka.ts'
import { kafkaOptions } from './kafka-scene.ts'
import { readAll, recordOf, textsOf } from './log.suite.ts'

test('three brokers: the leader’s death loses nothing, with two dead nothing is promised', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-kafka-'))
  const kafka = await startKafka({ folder, brokers: 3 })
  t.after(async () => {
    await kafka.kill()
    await rm(folder, { recursive: true, force: true })
  })
  const connection = { brokers: kafka.address.split(','), timeoutMs: 8_000 }
  const options = {
    ...kafkaOptions(kafka.address, 'clicks'),
    connection,
    allowSingleReplica: false,
  }
  const log = await openKafkaLog({ ...options, partitions: 1 })
  t.after(() => log.close())
  const acknowledged: string[] = []
  const refused: unknown[] = []
  const attempted = new Set<string>()
  let isAppending = true
  const appending = (async () => {
    for (let index = 0; isAppending; index++) {
      attempted.add(`${index}`)
      await log.append([recordOf(`${index}`)]).then(
        () => acknowledged.push(`${index}`),
        (thrown) => refused.push(thrown.code),
      )
    }
  })()
  while (acknowledged.length < 50) await sleep(20)

  const admin = createAdmin(connection)
  t.after(() => admin.close())
  const leaderOf = async (): Promise<number> => {
    const metadata = await admin.metadata({ topics: ['clicks'], forceUpdate: true })
    return metadata.topics.get('clicks')?.partitions[0]?.leader as number
  }
  const leader = await leaderOf()
  await kafka.brokers[leader - 1]?.kill()
  const before = acknowledged.length
  while (acknowledged.length < before + 50) await sleep(20)
  assert.notEqual(await leaderOf(), leader)
  await log.check()

  // Two of three voters are gone too: no broker may lead anew, and one replica is not enough.
  const follower = kafka.brokers.find(({ pid }) => pid !== undefined)
  await follower?.kill()
  await sleep(1_000)
  const promised = acknowledged.length
  isAppending = false
  await appending
  assert.deepEqual(new Set(refused), new Set(['log_unavailable']))
  assert.equal(acknowledged.length, promised)
  await assert.rejects(log.check(), { code: 'log_unavailable' })

  await kafka.start()
  while (
    !(await log.append([recordOf('again')]).then(
      () => true,
      () => false,
    ))
  );
  const kept = new Set(textsOf(await readAll(log)))
  assert.deepEqual(
    acknowledged.filter((text) => !kept.has(text)),
    [],
  )
  kept.delete('again')
  assert.deepEqual(
    [...kept].filter((text) => !attempted.has(text)),
    [],
  )
})
