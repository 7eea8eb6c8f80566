import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as processes from './process.ts'

/**
 * `millrace collect` in turn with a bare node:http server that answers the GIF: the same requests,
 * CPU seconds of the server process from the kernel, median of the rounds' ratios. The collector has
 * all defaults but rate limits, which the one sender would meet at once.
 */
export interface BesideBare {
  readonly rounds: number
  /** Requests of each round and kind. */
  readonly requests: number
  /** Over the defaults: where the log is. */
  readonly env?: Readonly<Record<string, string>>
  readonly claims: BareClaims
}

export interface BareClaims {
  /** CPU of a single request, in bare ones. */
  readonly single: number
  /** CPU of an event in batches of 20, likewise; absent, it is printed only. */
  readonly batched?: number
  /** At 10,000 requests a second, ms. */
  readonly p99Ms: number
}

const batch = 20
const cli = new URL('../src/cli/millrace.ts', import.meta.url).pathname
const bareServer = new URL('bare-server.ts', import.meta.url).pathname

interface Servers {
  readonly collector: processes.Started
  readonly bare: processes.Started
}

/** Prints a line for each round and the medians beside the claims. */
export async function compareWithBare(options: BesideBare): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  const collector = await processes.startNode(
    [cli, 'collect', '--collect-port', '0', '--data', folder],
    /^collector at/,
    { MILLRACE_COLLECT_REQUESTS_PER_SECOND_MAX: '0', ...options.env },
  )
  const bare = await processes.startNode([bareServer], /^\d+$/)
  const servers = { collector, bare }
  try {
    say(processes.machine())
    // Warm both up: the first thousands of requests run uncompiled.
    const requests = Math.ceil(options.requests / 2)
    await cpuMicros(collector, { requests })
    await cpuMicros(bare, { requests })
    await compareCost(servers, options)
    await compareTail(servers, options)
    const memory = processes.residentMiB(collector.pid).toFixed(0)
    say(`resident memory of the collector: ${memory} MiB`)
  } finally {
    await processes.stopProcess(collector)
    await processes.stopProcess(bare)
    rmSync(folder, { recursive: true, force: true })
  }
}

async function compareCost({ collector, bare }: Servers, options: BesideBare): Promise<void> {
  const { requests, rounds, claims } = options
  const singles: number[] = []
  const batches: number[] = []
  for (let round = 1; round <= rounds; round++) {
    const floor = await cpuMicros(bare, { requests })
    const single = await cpuMicros(collector, { requests })
    const batched = await cpuMicros(collector, { requests: Math.ceil(requests / batch), batch })
    singles.push(single / floor)
    batches.push(batched / floor)
    say(
      `round ${round}: bare ${floor.toFixed(1)} µs, single ${single.toFixed(1)} µs (${(single / floor).toFixed(2)} ×), ` +
        `in batches of ${batch} ${batched.toFixed(1)} µs an event (${(batched / floor).toFixed(2)} ×)`,
    )
  }
  const claimed = claims.batched === undefined ? '' : ` (claim ≤ ${claims.batched})`
  say(
    `median: single ${processes.median(singles).toFixed(2)} × bare (claim ≤ ${claims.single}), ` +
      `batched ${processes.median(batches).toFixed(2)} × bare per event${claimed}`,
  )
}

/** The same load on the bare server shows how much of the tail is the machine and the sender. */
async function compareTail({ collector, bare }: Servers, options: BesideBare): Promise<void> {
  const rate = 10_000
  const paced = { requests: Math.ceil((options.requests * 2) / 3), rate, connections: 256 }
  const p99s = { bare: [] as number[], collector: [] as number[] }
  for (let round = 1; round <= options.rounds; round++) {
    const floor = await processes.runLoad(portOf(bare), paced)
    const latency = await processes.runLoad(portOf(collector), paced)
    p99s.bare.push(floor.p99Ms)
    p99s.collector.push(latency.p99Ms)
    say(
      `round ${round} at 10,000 requests/s offered: bare p50 ${floor.p50Ms} ms, p99 ${floor.p99Ms} ms; ` +
        `collector p50 ${latency.p50Ms} ms, p99 ${latency.p99Ms} ms, max ${latency.maxMs} ms, ` +
        `${Math.round(paced.requests / latency.seconds).toLocaleString('en')} answered a second, ${latency.refused} refused; ` +
        `stolen by the host ${floor.stolenPercent} and ${latency.stolenPercent} % of the CPU time`,
    )
  }
  say(
    `at 10,000 requests/s: median p99 ${processes.median(p99s.collector)} ms (claim ≤ ${options.claims.p99Ms}), ` +
      `bare ${processes.median(p99s.bare)} ms`,
  )
}

async function cpuMicros(
  server: processes.Started,
  flags: Readonly<Record<string, number>>,
): Promise<number> {
  const before = processes.cpuSeconds(server.pid)
  const { refused } = await processes.runLoad(portOf(server), flags)
  if (refused > 0) throw new Error(`${refused} requests were refused`)
  const events = (flags['requests'] ?? 0) * Math.max(1, flags['batch'] ?? 0)
  return ((processes.cpuSeconds(server.pid) - before) * 1e6) / events
}

/** Both say their port in the line that says they are ready. */
function portOf({ line }: processes.Started): number {
  return Number(/(\d+)(?:,|$)/.exec(line)?.[1])
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
