import { spawn } from 'node:child_process'
import { closeSync, existsSync, openSync } from 'node:fs'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** How to run one server: in Java, unless it says otherwise. */
export interface ServerOptions {
  readonly name: string
  /** Holds `NAME.pid`, `NAME.log` and whatever the server writes. */
  readonly folder: string
  /** What follows `java`, or `program`. */
  readonly args: readonly string[]
  /** Run below a shell, which keeps the mark of its folder where a program changes its own title. */
  readonly program?: string
  readonly env?: Readonly<Record<string, string>>
  /** Asked again and again after the start; may throw while the answer is no. */
  readonly isReady: () => Promise<boolean>
  /** Goes on when this process ends; only `endServers` ends it then. */
  readonly detached?: boolean
}

/** One server that can be stopped, killed and started again in the same place. */
export interface Server {
  readonly name: string
  /** Of the running process; undefined when there is none. */
  readonly pid: number | undefined
  /** Resolves when the server answers. */
  start(): Promise<void>
  /** SIGTERM, and SIGKILL to one that takes longer than 30 s. */
  stop(): Promise<void>
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>
  /** SIGSTOP: the process is there and does nothing. */
  pause(): void
  /** SIGCONT. */
  resume(): void
}

const startTimeoutMs = 300_000
const stopTimeoutMs = 30_000
/** Hands the end on to the program; the second wait is for it, the first ends with the signal. */
const passOn = `trap 'kill "$child"' TERM; "$@" & child=$!; wait "$child"; wait "$child"`

export function createServerProcess(options: ServerOptions): Server {
  const { name, folder } = options
  const pidFile = join(folder, `${name}.pid`)
  let pid: number | undefined
  let exited: Promise<unknown> = Promise.resolve()

  async function start(): Promise<void> {
    await mkdir(folder, { recursive: true })
    await endServer(pidFile, 'SIGKILL')
    const log = openSync(join(folder, `${name}.log`), 'a')
    // A group of its own: Ctrl-C in the terminal is for this process, which then stops the server.
    const { program = 'java', args } = options
    const mark = markOf(folder)
    const below = ['-c', passOn, mark, program, ...args]
    const [file, line] = program === 'java' ? ['java', [mark, ...args]] : ['/bin/sh', below]
    const child = spawn(file, line, {
      stdio: ['ignore', log, log],
      detached: true,
      env: { ...process.env, MALLOC_ARENA_MAX: '4', ...options.env },
    })
    closeSync(log)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    child.once('exit', () => resolve()).once('error', reject)
    exited = promise
    exited.catch(() => {})
    child.unref()
    if (child.pid === undefined) return exited.then(() => {})
    pid = child.pid
    child.once('exit', () => {
      pid = undefined
    })
    if (options.detached !== true) endWithThisProcess(child.pid, exited)
    await writeFile(pidFile, `${child.pid}`)
    await ready()
  }

  async function ready(): Promise<void> {
    const deadline = Date.now() + startTimeoutMs
    while (pid !== undefined && Date.now() < deadline) {
      if (await options.isReady().catch(() => false)) return
      await sleep(50)
    }
    const log = await readFile(join(folder, `${name}.log`), 'utf8')
    const reason = pid === undefined ? 'ended' : `did not answer in ${startTimeoutMs / 1_000} s`
    await end('SIGKILL')
    throw new Error(`${name} ${reason}:\n${log.split('\n').slice(-30).join('\n')}`)
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    if (pid === undefined) return
    process.kill(pid, signal)
    // A paused process takes its signal only when it goes on.
    process.kill(pid, 'SIGCONT')
    const late = setTimeout(() => pid !== undefined && process.kill(pid, 'SIGKILL'), stopTimeoutMs)
    await exited
    clearTimeout(late)
    await rm(pidFile, { force: true })
  }

  return {
    name,
    get pid() {
      return pid
    },
    start,
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
    pause: () => void (pid !== undefined && process.kill(pid, 'SIGSTOP')),
    resume: () => void (pid !== undefined && process.kill(pid, 'SIGCONT')),
  }
}

/**
 * However this process ends, by `process.exit` or by SIGKILL, the server ends with it: a shell holds
 * the other end of a pipe, and reading from it ends when nobody can write any more.
 */
function endWithThisProcess(pid: number, exited: Promise<unknown>): void {
  const script = 'read -r _; kill -9 "$0"'
  const guard = spawn('/bin/sh', ['-c', script, `${pid}`], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  guard.unref()
  // A pipe of a child is a socket, which has `unref`; the types say Writable.
  const pipe = guard.stdin as typeof guard.stdin & { unref(): void }
  pipe.unref()
  const dismiss = (): void => void guard.kill('SIGKILL')
  exited.then(dismiss, dismiss)
}

/** What a folder's servers are known by: a process id alone may belong to another program by now. */
function markOf(folder: string): string {
  return `-Dmillrace.service=${folder}`
}

/** The servers of a folder that run now, whoever started them: name → process id. */
export async function runningServers(folder: string): Promise<Map<string, number>> {
  const running = new Map<string, number>()
  if (!existsSync(folder)) return running
  for (const file of await readdir(folder)) {
    if (!file.endsWith('.pid')) continue
    const pid = await runningPid(join(folder, file))
    if (pid !== undefined) running.set(file.slice(0, -'.pid'.length), pid)
  }
  return running
}

/** Ends what runs in a folder, whoever started it: all at once, as brokers need each other to stop. */
export async function endServers(folder: string): Promise<readonly string[]> {
  const names = [...(await runningServers(folder)).keys()]
  await Promise.all(names.map((name) => endServer(join(folder, `${name}.pid`), 'SIGTERM')))
  return names
}

async function endServer(pidFile: string, signal: NodeJS.Signals): Promise<void> {
  const pid = await runningPid(pidFile)
  if (pid !== undefined) process.kill(pid, signal)
  const deadline = Date.now() + stopTimeoutMs
  while ((await runningPid(pidFile)) !== undefined) {
    if (pid !== undefined && Date.now() > deadline) process.kill(pid, 'SIGKILL')
    await sleep(50)
  }
  await rm(pidFile, { force: true })
}

async function runningPid(pidFile: string): Promise<number | undefined> {
  const text = await readFile(pidFile, 'utf8').catch(() => '')
  const pid = Number(text)
  if (!Number.isInteger(pid) || pid <= 1) return undefined
  const folder = join(pidFile, '..')
  return (await commandLineOf(pid)).includes(markOf(folder)) ? pid : undefined
}

/** Empty for a process that is gone, also for one that nobody has waited for yet. */
async function commandLineOf(pid: number): Promise<string[]> {
  if (process.platform === 'linux') {
    const text = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    return text.split('\0')
  }
  const ps = spawn('ps', ['-ww', '-o', 'args=', '-p', `${pid}`], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  return (await ps.stdout.toArray()).join('').split(/\s+/)
}

/** Ports of this machine that nobody listens on now. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer())
  const ports = servers.map(async (server) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    server.once('error', reject).listen(0, '127.0.0.1', resolve)
    await promise
    return (server.address() as { port: number }).port
  })
  try {
    return await Promise.all(ports)
  } finally {
    for (const server of servers) server.close()
  }
}
