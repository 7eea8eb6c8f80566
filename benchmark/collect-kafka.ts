import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startKafka } from '../script/services/kafka.ts'
import { compareWithBare } from './beside-bare.ts'
import { cpuSeconds } from './process.ts'

/**
 * Claim: the collector with Kafka, answering after `acks=all` of an idempotent producer, costs at
 * most 2.2 × a bare node:http server per request; p99 ≤ 25 ms at 10,000 requests/s.
 * Method: as collect.ts, with a real broker on this machine: one replica, so no other broker's disk
 * or network is in the figures. The broker's own CPU is printed at the end; it shares the cores.
 *
 *     node benchmark/collect-kafka.ts [rounds] [requests]
 */
const rounds = Number(process.argv[2] ?? 5)
const requests = Number(process.argv[3] ?? 60_000)
const folder = await mkdtemp(join(tmpdir(), 'millrace-bench-'))
const kafka = await startKafka({ folder })
try {
  const brokerSeconds = (): number =>
    kafka.brokers.reduce((sum, { pid }) => sum + cpuSeconds(pid ?? 0), 0)
  const before = brokerSeconds()
  await compareWithBare({
    rounds,
    requests,
    env: {
      MILLRACE_LOG: 'kafka',
      MILLRACE_KAFKA_BROKERS: kafka.address,
      MILLRACE_KAFKA_ALLOW_SINGLE_REPLICA: 'true',
    },
    claims: { single: 2.2, p99Ms: 25 },
  })
  process.stdout.write(`CPU of the broker: ${(brokerSeconds() - before).toFixed(0)} s in all\n`)
} finally {
  await kafka.kill()
  await rm(folder, { recursive: true, force: true })
}
