import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as processes from './process.ts'

/**
 * Claim: the collector, answering after the sync, costs at most 2.1 × a bare node:http server per
 * single request and at most 0.9 × per event in batches of 20; p99 ≤ 15 ms at 10,000 requests/s.
 * Method: `millrace collect` with all defaults but rate limits and the bare server in turn, same
 * requests, CPU seconds of the server process from the kernel; median of the rounds' ratios.
 */
const rounds = Number(process.argv[2] ?? 5)
const requests = 60_000
const batch = 20

const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
const cli = new URL('../src/cli/millrace.ts', import.meta.url).pathname
const bareServer = new URL('bare-server.ts', import.meta.url).pathname

const collector = await processes.startNode(
  [cli, 'collect', '--collect-port', '0', '--data', folder],
  /^collector at/,
  { MILLRACE_COLLECT_REQUESTS_PER_SECOND_MAX: '0' },
)
const collectorPort = Number(/:(\d+)/.exec(collector.line)?.[1])
const bare = await processes.startNode([bareServer], /^\d+$/)
const barePort = Number(bare.line)

async function cpuMicros(
  pid: number,
  port: number,
  flags: Record<string, number>,
): Promise<number> {
  const before = processes.cpuSeconds(pid)
  const { refused } = await processes.runLoad(port, flags)
  if (refused > 0) throw new Error(`${refused} requests were refused`)
  const items = (flags['requests'] ?? 0) * Math.max(1, flags['batch'] ?? 0)
  return ((processes.cpuSeconds(pid) - before) * 1e6) / items
}

try {
  process.stdout.write(`${processes.machine()}\n`)
  // Warm both up: the first thousands of requests run uncompiled.
  await cpuMicros(collector.pid, collectorPort, { requests: 30_000 })
  await cpuMicros(bare.pid, barePort, { requests: 30_000 })
  const singles: number[] = []
  const batches: number[] = []
  for (let round = 1; round <= rounds; round++) {
    const floor = await cpuMicros(bare.pid, barePort, { requests })
    const single = await cpuMicros(collector.pid, collectorPort, { requests })
    const batched = await cpuMicros(collector.pid, collectorPort, {
      requests: requests / batch,
      batch,
    })
    singles.push(single / floor)
    batches.push(batched / floor)
    process.stdout.write(
      `round ${round}: bare ${floor.toFixed(1)} µs, single ${single.toFixed(1)} µs (${(single / floor).toFixed(2)} ×), ` +
        `in batches of ${batch} ${batched.toFixed(1)} µs an event (${(batched / floor).toFixed(2)} ×)\n`,
    )
  }
  // The same load on the bare server shows how much of the tail is the machine and the sender.
  const paced = { requests: 40_000, rate: 10_000, connections: 256 }
  const p99s: { readonly bare: number[]; readonly collector: number[] } = {
    bare: [],
    collector: [],
  }
  for (let round = 1; round <= rounds; round++) {
    const floor = await processes.runLoad(barePort, paced)
    const latency = await processes.runLoad(collectorPort, paced)
    p99s.bare.push(floor.p99Ms)
    p99s.collector.push(latency.p99Ms)
    process.stdout.write(
      `round ${round} at 10,000 requests/s offered: bare p50 ${floor.p50Ms} ms, p99 ${floor.p99Ms} ms; ` +
        `collector p50 ${latency.p50Ms} ms, p99 ${latency.p99Ms} ms, max ${latency.maxMs} ms\n`,
    )
  }
  process.stdout.write(
    `median: single ${processes.median(singles).toFixed(2)} × bare (claim ≤ 2.1), ` +
      `batched ${processes.median(batches).toFixed(2)} × bare per event (claim ≤ 0.9)\n` +
      `at 10,000 requests/s: median p99 ${processes.median(p99s.collector)} ms (claim ≤ 15), bare ${processes.median(p99s.bare)} ms\n` +
      `resident memory of the collector: ${processes.residentMiB(collector.pid).toFixed(0)} MiB\n`,
  )
} finally {
  await processes.stopProcess(collector)
  await processes.stopProcess(bare)
  rmSync(folder, { recursive: true, force: true })
}
