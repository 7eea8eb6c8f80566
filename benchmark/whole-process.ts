import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as processes from './process.ts'

/**
 * No claim, printed beside the collector's: `millrace start`, the whole way in one process, from the
 * request to the row in the store.
 */
const requests = 60_000
const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
const cli = new URL('../src/cli/millrace.ts', import.meta.url).pathname
const args = [cli, 'start', '--collect-port', '0', '--api-port', '0', '--data', folder]
const millrace = await processes.startNode(args, /Dashboard|Demo page/, {
  MILLRACE_COLLECT_REQUESTS_PER_SECOND_MAX: '0',
})
const port = Number(/:(\d+)/.exec(millrace.line)?.[1])
const { url } = (await import('../src/cli/owner.ts').then(({ readOwner }) =>
  readOwner(folder),
)) ?? { url: '' }

async function untilStored(): Promise<number> {
  const startedAt = performance.now()
  for (;;) {
    const { lag } = (await (await fetch(`${url}/api/health`)).json()) as { lag: number }
    if (lag === 0) return (performance.now() - startedAt) / 1_000
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

try {
  await processes.runLoad(port, { requests: 20_000 })
  await untilStored()
  const before = processes.cpuSeconds(millrace.pid)
  const load = await processes.runLoad(port, { requests })
  const behind = await untilStored()
  const micros = ((processes.cpuSeconds(millrace.pid) - before) * 1e6) / requests
  const paced = await processes.runLoad(port, { requests: 20_000, rate: 2_000 })
  process.stdout.write(
    `${processes.machine()}\nwhole process: ${micros.toFixed(1)} µs CPU an event, ` +
      `${Math.round(requests / load.seconds).toLocaleString('en')} requests/s (p99 ${load.p99Ms} ms), ` +
      `all stored ${behind.toFixed(1)} s after the last answer\n` +
      `at 2,000 requests/s: p50 ${paced.p50Ms} ms, p99 ${paced.p99Ms} ms; ` +
      `${processes.residentMiB(millrace.pid).toFixed(0)} MiB resident\n`,
  )
} finally {
  await processes.stopProcess(millrace)
  rmSync(folder, { recursive: true, force: true })
}
