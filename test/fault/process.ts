import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Millrace as a user runs it: a process, a data folder, two ports. */

const cli = new URL('../../src/cli/millrace.ts', import.meta.url).pathname

export function temporaryFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'millrace-test-'))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

/** Below those that a system gives to connections and to who listens on port 0: Linux from 32768. */
const ports = { from: 20_000, count: 10_000 }
/** Processes whose numbers are close begin far from each other. */
let nextPort = (process.pid * 6_181) % ports.count
let portsLeft = ports.count

/** A port that nothing listens on now; another one at each call. */
export async function freePort(): Promise<number> {
  while (portsLeft-- > 0) {
    const port = ports.from + (nextPort++ % ports.count)
    if (await isFree(port)) return port
  }
  throw new Error('no port is free')
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
      .on('error', () => resolve(false))
      .listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

export interface Running {
  readonly child: ChildProcess
  readonly collectorUrl: string
  readonly apiUrl: string
  readonly output: () => string
  /** SIGKILL, then waits for the end. */
  kill(): Promise<void>
  /** SIGTERM, then waits for the end; the exit code. */
  stop(): Promise<number | null>
}

export interface RunOptions {
  readonly folder: string
  readonly collectPort: number
  readonly apiPort: number
  /** Another program than the command line, for negative controls. */
  readonly script?: string
  readonly command?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

/** Options for a process with a folder of its own below `parent`. */
export async function optionsBelow(parent: string, name: string): Promise<RunOptions> {
  return {
    folder: join(parent, name),
    collectPort: await freePort(),
    apiPort: await freePort(),
  }
}

/** The environment by which a command means the process of `options`. */
export function environmentOf(options: RunOptions): Record<string, string> {
  return {
    MILLRACE_DATA: options.folder,
    MILLRACE_COLLECT_PORT: String(options.collectPort),
    MILLRACE_API_PORT: String(options.apiPort),
  }
}

/** Starts `millrace start` (or `command`) and waits until both ports answer. */
export async function startMillrace(options: RunOptions): Promise<Running> {
  const { collectPort, apiPort, script = cli, command = ['start'], env = {} } = options
  const child = spawn(process.execPath, [script, ...command], {
    env: {
      ...process.env,
      ...environmentOf(options),
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output += String(chunk)
    })
  }
  const ended = once(child, 'exit')
  const running: Running = {
    child,
    collectorUrl: `http://127.0.0.1:${collectPort}`,
    apiUrl: `http://127.0.0.1:${apiPort}`,
    output: () => output,
    async kill() {
      child.kill('SIGKILL')
      await ended
    },
    async stop() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
      await ended
      return child.exitCode
    },
  }
  const ready =
    command[0] === 'collect' ? `${running.collectorUrl}/ping` : `${running.apiUrl}/api/health`
  const awaited = [ready, ...(command[0] === 'start' ? [`${running.collectorUrl}/ping`] : [])]
  for (const url of awaited) await untilAnswers(url, running)
  return running
}

async function untilAnswers(url: string, running: Running): Promise<void> {
  const deadline = performance.now() + 180_000
  while (performance.now() < deadline) {
    if (running.child.exitCode !== null) break
    const answered = await fetch(url).then(
      (response) => response.ok,
      () => false,
    )
    if (answered) return
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  await running.kill()
  throw new Error(`${url} does not answer:\n${running.output()}`)
}

/** Runs one command to its end. */
export async function runCommand(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> {
  const child = spawn(process.execPath, [cli, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk) => {
    stdout += String(chunk)
  })
  child.stderr.on('data', (chunk) => {
    stderr += String(chunk)
  })
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stdout, stderr }
}

/** The run token of the process that owns the folder, for requests that change something. */
export function runToken(folder: string): string {
  return (JSON.parse(readFileSync(join(folder, 'owner.json'), 'utf8')) as { token: string }).token
}

/** Waits until a dead letter is stored, which the lag says nothing of. */
export async function untilDeadLetter(running: Running): Promise<void> {
  const deadline = performance.now() + 60_000
  for (;;) {
    const answer = await fetch(`${running.apiUrl}/api/dead-letters`)
    const { deadLetters } = (await answer.json()) as { deadLetters: unknown[] }
    if (deadLetters.length > 0) return
    if (performance.now() > deadline) throw new Error('there is no dead letter')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** Waits until nothing on the log waits to be stored. */
export async function untilStored(running: Running): Promise<void> {
  const deadline = performance.now() + 60_000
  for (;;) {
    const health = (await (await fetch(`${running.apiUrl}/api/health`)).json()) as { lag: number }
    if (health.lag === 0) return
    if (performance.now() > deadline) throw new Error(`lag is still ${health.lag}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
