import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as processes from './process.ts'

/** Claim: `millrace start` with nothing to do takes at most 250 MiB of memory, and hardly any CPU. */
const seconds = 20
const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
const cli = new URL('../src/cli/millrace.ts', import.meta.url).pathname
const args = [cli, 'start', '--collect-port', '0', '--api-port', '0', '--data', folder]
const millrace = await processes.startNode(args, /Ctrl\+C/)
try {
  await new Promise((resolve) => setTimeout(resolve, 3_000))
  const before = processes.cpuSeconds(millrace.pid)
  await new Promise((resolve) => setTimeout(resolve, seconds * 1_000))
  const cpu = processes.cpuSeconds(millrace.pid) - before
  process.stdout.write(
    `${processes.machine()}\nidle: ${processes.residentMiB(millrace.pid).toFixed(0)} MiB resident (claim ≤ 250), ` +
      `${((cpu / seconds) * 100).toFixed(1)} % of a core\n`,
  )
} finally {
  await processes.stopProcess(millrace)
  rmSync(folder, { recursive: true, force: true })
}
