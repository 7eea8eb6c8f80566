import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Kafka, type KafkaOptions, startKafka } from '../../script/services/kafka.ts'
import type { KafkaConnection } from '../../src/log/kafka/client.ts'
import { openKafkaLog } from '../../src/log/kafka/kafka.ts'
import type { Log, Offset } from '../../src/log/log.ts'
import { kafkaOptions, openTestLog } from './kafka-scene.ts'
import { readAll, recordOf, textsOf } from './log.suite.ts'

async function ownKafka(t: TestContext, options: Partial<KafkaOptions> = {}): Promise<Kafka> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-kafka-'))
  const kafka = await startKafka({ folder, ...options })
  t.after(async () => {
    await kafka.kill()
    await rm(folder, { recursive: true, force: true })
  })
  return kafka
}

/** A check repeats for a while what an append or the check before it has failed with. */
async function untilGood(log: Log): Promise<void> {
  const deadline = performance.now() + 60_000
  for (;;) {
    try {
      return await log.check()
    } catch (thrown) {
      if (performance.now() > deadline) throw thrown
      await sleep(100)
    }
  }
}

test('a broker that is killed and comes back: appends and a group’s reader go on, nothing acknowledged is lost', async (t) => {
  const kafka = await ownKafka(t)
  const topic = `restart-${randomUUID()}`
  const options = kafkaOptions(kafka.address, topic)
  const connection = { ...options.connection, timeoutMs: 60_000 }
  const log = await openKafkaLog({ ...options, connection })
  t.after(() => log.close())
  const acknowledged: string[] = []
  let isAppending = true
  const appending = (async () => {
    for (let index = 0; isAppending; index++) {
      await log.append([recordOf(`${index}`, `party ${index % 50}`)])
      acknowledged.push(`${index}`)
      await sleep(1)
    }
  })()
  const read = new Set<string>()
  const ending = new AbortController()
  const reading = (async () => {
    const from = async () => undefined
    const reader = { group: 'store', recordsMax: 100, from, signal: ending.signal }
    for await (const { partition, records, nextOffset } of log.read(reader)) {
      for (const text of textsOf(records)) read.add(text)
      await log.commit('store', partition, nextOffset)
    }
  })()
  const failures: unknown[] = []
  for (const work of [appending, reading]) work.catch((thrown) => failures.push(thrown))
  const until = async (isSo: () => boolean): Promise<void> => {
    while (!isSo()) {
      assert.deepEqual(failures, [])
      await sleep(20)
    }
  }

  await until(() => read.size > 100)
  await kafka.kill()
  const before = acknowledged.length
  await kafka.start()
  await until(() => acknowledged.length > before + 100)
  isAppending = false
  await appending
  await until(() => acknowledged.every((text) => read.has(text)))
  ending.abort()
  await reading

  const kept = textsOf(await readAll(log))
  assert.deepEqual(new Set(kept), new Set(acknowledged))
})

test('while the broker is away appends and checks are refused in time, and work again afterwards', async (t) => {
  const kafka = await ownKafka(t)
  const topic = `away-${randomUUID()}`
  const connection = { brokers: [kafka.address], timeoutMs: 5_000 }
  const log = await openTestLog(kafka.address, topic, { connection })
  t.after(() => log.close())
  await log.append([recordOf('before')])
  for (const broker of kafka.brokers) broker.pause()
  const startedAt = performance.now()
  const refused = await Promise.allSettled([
    log.append([recordOf('lost?')]),
    ...Array.from({ length: 50 }, () => sleep(200).then(() => log.append([recordOf('lost too?')]))),
  ])
  assert.ok(refused.every(({ status }) => status === 'rejected'))
  const codes = refused.map((one) => (one.status === 'rejected' ? one.reason.code : ''))
  assert.deepEqual(new Set(codes), new Set(['log_unavailable']))
  assert.ok(performance.now() - startedAt < 60_000)
  await assert.rejects(log.check(), { code: 'log_unavailable' })
  for (const broker of kafka.brokers) broker.resume()
  for (;;) {
    const appended = await log.append([recordOf('after')]).then(
      () => true,
      () => false,
    )
    if (appended) break
  }
  await untilGood(log)
  const texts = textsOf(await readAll(log))
  assert.equal(texts[0], 'before')
  // What was refused may be there all the same; what was promised must be.
  assert.ok(texts.includes('after'))
})

test('TLS and a password: the right ones are let in, others are told why not', async (t) => {
  const pem = (name: string) => readFile(join(import.meta.dirname, 'tls', name), 'utf8')
  const [certificate, key, other] = await Promise.all(
    ['broker.pem', 'broker-key.pem', 'other.pem'].map(pem),
  )
  assert.ok(certificate !== undefined && key !== undefined && other !== undefined)
  const login = { username: 'millrace', password: 'right' }
  const kafka = await ownKafka(t, { sasl: login, tls: { certificate, key } })
  const open = async (connection: Partial<KafkaConnection>): Promise<string[]> => {
    const options = kafkaOptions(kafka.address, `login-${randomUUID()}`)
    const brokers = [kafka.address]
    const log = await openKafkaLog({
      ...options,
      connection: { brokers, timeoutMs: 5_000, ...connection },
    })
    try {
      await log.append([recordOf('in')])
      const texts: string[] = []
      const reader = { group: 'store', recordsMax: 1, from: async () => 0 as Offset }
      for await (const { partition, records, nextOffset } of log.read(reader)) {
        texts.push(...textsOf(records))
        await log.commit('store', partition, nextOffset)
        return texts
      }
      return texts
    } finally {
      await log.close()
    }
  }
  const tls = { ca: certificate }
  const sasl = { mechanism: 'PLAIN', ...login } as const
  assert.deepEqual(await open({ tls, sasl }), ['in'])
  await assert.rejects(open({ tls, sasl: { ...sasl, password: 'wrong' } }), { code: 'log_refused' })
  await assert.rejects(open({ tls: { ca: other }, sasl }), { code: 'log_unavailable' })
  // To the client, a broker that hangs up on its login is one that refuses it.
  await assert.rejects(open({ sasl }), { code: 'log_refused' })
})
