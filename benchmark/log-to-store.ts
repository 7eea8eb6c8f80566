import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLogs, openStore } from '../src/cli/backends.ts'
import { loadConfig } from '../src/config.ts'
import { openConsumer } from '../src/consume/consume.ts'
import { systemClock } from '../src/lib/clock.ts'
import { storeGroup } from '../src/log/log.ts'
import { fillLog } from './events.ts'
import { machine, median } from './process.ts'

/**
 * Claim: the consumer moves at least 50,000 events a second from the log into the store.
 * Method: a backlog of 500,000 events on the embedded log, then the consumer with its defaults into
 * an empty store; the median of the rounds.
 */
const rounds = Number(process.argv[2] ?? 3)
const total = 500_000

async function run(): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  const config = await loadConfig({ env: {}, folder, flags: { data: join(folder, 'data') } })
  const logs = await openLogs(config)
  const store = await openStore(config)

  try {
    await fillLog(logs.events, total)
    const cpuBefore = process.cpuUsage()
    const startedAt = performance.now()
    const consumer = await openConsumer(config.consume, { ...logs, store, clock: systemClock })
    for (;;) {
      const [lag] = await logs.events.lag(storeGroup)
      if (lag?.lag === 0) break
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    const seconds = (performance.now() - startedAt) / 1_000
    const { user, system } = process.cpuUsage(cpuBefore)
    await consumer.stop()
    const { events, bytes } = await store.health()
    if (events !== total) throw new Error(`${events} events are stored instead of ${total}`)
    process.stdout.write(
      `${Math.round(total / seconds).toLocaleString('en')} events/s, ` +
        `${((user + system) / total).toFixed(1)} µs CPU an event, ${(bytes / total).toFixed(0)} bytes a row in the open table\n`,
    )
    return total / seconds
  } finally {
    await store.close()
    await logs.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

process.stdout.write(`${machine()}\n`)
const speeds: number[] = []
for (let round = 1; round <= rounds; round++) speeds.push(await run())
process.stdout.write(
  `median ${Math.round(median(speeds)).toLocaleString('en')} events/s (claim ≥ 50,000)\n`,
)
