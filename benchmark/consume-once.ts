import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { openLogs, openStore } from '../src/cli/backends.ts'
import { loadConfig } from '../src/config.ts'
import { openConsumer } from '../src/consume/consume.ts'
import { systemClock } from '../src/lib/clock.ts'
import { keepHeapSmall } from '../src/lib/heap.ts'
import type { Store } from '../src/store/store.ts'
import { openOneTable } from './one-table.ts'

/**
 * The consumer as a process of its own, for a benchmark that measures it: stores the first --records
 * events of the topic that the environment names, then ends. `--tables all` is what `millrace
 * consume` runs, without its API; `--tables one` is the same consumer over `one-table.ts`. Prints
 * one JSON line.
 */
const { values } = parseArgs({
  options: { records: { type: 'string' }, tables: { type: 'string' } },
})
const total = Number(values.records)
keepHeapSmall()
const config = await loadConfig({ folder: import.meta.dirname })
const logs = await openLogs(config)
const store = values.tables === 'one' ? await openOneTable(config) : await openStore(config)

let events = 0
const stored = Promise.withResolvers<void>()
const write: Store['write'] = async (batch) => {
  const result = await store.write(batch)
  events += batch.rows.length
  if (events >= total) stored.resolve()
  return result
}
// The consumer asks a store for nothing but these.
const counted = {
  logs: (topic: string) => store.logs(topic),
  positions: (log: string, topic: string) => store.positions(log, topic),
  write,
} as Store

const cpuBefore = process.cpuUsage()
const startedAt = performance.now()
const consumer = await openConsumer(config.consume, {
  ...logs,
  store: counted,
  clock: systemClock,
  onRetry: (error) => process.stderr.write(`${error.message}\n`),
})
await Promise.race([stored.promise, consumer.done])
const seconds = (performance.now() - startedAt) / 1_000
const { user, system } = process.cpuUsage(cpuBefore)
await consumer.stop()
await store.close()
await logs.close()
const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
const figures = { events, seconds, cpuSeconds: (user + system) / 1e6, peakMiB: Number(peak) / 1024 }
process.stdout.write(`${JSON.stringify(figures)}\n`)
