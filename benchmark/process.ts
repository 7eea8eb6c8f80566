import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { createInterface } from 'node:readline'

/** Processes under measurement. */

const ticksPerSecond = 100

/** User and system CPU seconds of a process and all its threads, from the kernel's own account. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
}

/** Resident memory in MiB. */
export function residentMiB(pid: number): number {
  const pages = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(pages) / 1024
}

export interface Started {
  readonly child: ChildProcess
  readonly pid: number
  /** The line of its output that said it was ready. */
  readonly line: string
}

/** Starts a script of this project with the Node that runs now and waits for a line that matches. */
export async function startNode(
  args: readonly string[],
  ready: RegExp,
  env: Readonly<Record<string, string>> = {},
): Promise<Started> {
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: child.stdout })
  const line = await new Promise<string>((resolve, reject) => {
    lines.on('line', (text) => ready.test(text) && resolve(text))
    child.once('exit', (code) => reject(new Error(`${args.join(' ')} ended with ${code}`)))
  })
  return { child, pid: child.pid ?? 0, line }
}

/** SIGTERM, then waits for the end. */
export async function stopProcess({ child }: Started): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  await ended
}

export interface LoadFigures {
  readonly requests: number
  readonly refused: number
  readonly seconds: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  /** Of the CPU time that this machine wanted meanwhile, the percentage that its host gave to others. */
  readonly stolenPercent: number
}

/** Runs the load generator against a port of this machine. */
export async function runLoad(
  port: number,
  flags: Readonly<Record<string, number>>,
): Promise<LoadFigures> {
  const args = Object.entries({ port, ...flags }).flatMap(([name, value]) => [
    `--${name}`,
    String(value),
  ])
  const before = machineTicks()
  const load = spawn(process.execPath, [new URL('load.ts', import.meta.url).pathname, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let text = ''
  load.stdout.on('data', (chunk) => {
    text += String(chunk)
  })
  const [code] = (await once(load, 'close')) as [number]
  if (code !== 0) throw new Error(`the load generator ended with ${code}`)
  const after = machineTicks()
  const stolen = after.stolen - before.stolen
  const wanted = after.busy - before.busy + stolen
  const stolenPercent = Math.round((100 * stolen) / Math.max(1, wanted))
  return { ...(JSON.parse(text) as Omit<LoadFigures, 'stolenPercent'>), stolenPercent }
}

/** Clock ticks since the machine started: at work, and waiting for the host to let it work. */
function machineTicks(): { readonly busy: number; readonly stolen: number } {
  const line = /^cpu +(.*)$/m.exec(readFileSync('/proc/stat', 'utf8'))?.[1] ?? ''
  const [user = 0, nice = 0, system = 0, , , irq = 0, softIrq = 0, stolen = 0] = line
    .split(' ')
    .map(Number)
  return { busy: user + nice + system + irq + softIrq, stolen }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[sorted.length >> 1] ?? Number.NaN
}

/** What machine this was. */
export function machine(): string {
  return `${cpus().length} × ${cpus()[0]?.model.trim()}, Node ${process.version}`
}
