import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { Agent, get } from 'node:http'
import { join } from 'node:path'
import { tagRequest } from '../../benchmark/requests.ts'
import { freePort, temporaryFolder } from './process.ts'

/**
 * `kill -9` spares the page cache, so it cannot show that an answer waited for the disk. A trace of
 * the system calls can: the event's bytes are written to the log's file, a sync of that file ends,
 * and only then the answer is written to the socket.
 */

export interface TraceVerdict {
  readonly answered: number
  /** Answers that were written before the sync that covers their event had ended. */
  readonly early: number
}

/** Runs `script` (the command line, with `args`) under strace, sends `events` one at a time on several connections. */
export async function traceRun(
  script: string,
  args: readonly string[],
  events: number,
): Promise<TraceVerdict> {
  const folder = temporaryFolder()
  const port = await freePort()
  const file = join(folder.path, 'trace')
  const calls = 'trace=write,writev,pwrite64,pwritev,pwritev2,fdatasync,fsync,sendto,sendmsg'
  // -D: the tracer is the grandchild, so that a signal to the child reaches Millrace.
  const strace = ['-D', '-f', '-y', '-s', '4096', '-o', file, '-e', calls, '-e', 'signal=none']
  const child = spawn('strace', [...strace, process.execPath, script, ...args], {
    env: {
      ...process.env,
      MILLRACE_DATA: join(folder.path, 'data'),
      MILLRACE_COLLECT_PORT: String(port),
      MILLRACE_COLLECT_REQUESTS_PER_SECOND_MAX: '0',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    await once(child.stdout, 'data')
    const sent = await sendAll(port, events)
    child.kill('SIGTERM')
    await once(child, 'exit')
    return judgeTrace(await wholeTrace(file), sent)
  } finally {
    if (child.exitCode === null) child.kill('SIGKILL')
    folder.remove()
  }
}

/** The tracer writes its last lines after the process has ended. */
async function wholeTrace(file: string): Promise<string> {
  const deadline = performance.now() + 60_000
  while (performance.now() < deadline) {
    const text = readFileSync(file, 'latin1')
    if (/\+\+\+ exited with \d+ \+\+\+\s*$/.test(text)) return text
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  throw new Error('the trace has no end')
}

/** Four connections, each with one request under way: an answer belongs to the last request of its socket. */
async function sendAll(port: number, events: number): Promise<string[]> {
  const sent: string[] = []
  const connection = async (): Promise<void> => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    while (sent.length < events) {
      const { path, eventId } = tagRequest(sent.length)
      sent.push(eventId)
      const status = await new Promise<number>((resolve, reject) => {
        get({ agent, port, host: '127.0.0.1', path }, (response) => {
          response.resume().on('end', () => resolve(response.statusCode ?? 0))
        }).on('error', reject)
      })
      if (status !== 200) throw new Error(`answered ${status}`)
    }
    agent.destroy()
  }
  await Promise.all([connection(), connection(), connection(), connection()])
  return sent
}

/**
 * Reads the calls in the order in which they ended. An answer is safe when, before its write began,
 * at least as many events were covered by a sync as answers have been given: with n requests open at
 * once, the k-th answer needs k synced events.
 */
export function judgeTrace(text: string, sent: readonly string[]): TraceVerdict {
  const unsynced = new Map<string, Set<string>>()
  let synced = 0
  let answered = 0
  let early = 0
  const syncing = new Map<string, Set<string>>()
  for (const line of text.split('\n')) {
    const thread = line.slice(0, line.indexOf(' '))
    const file = /<([^>]*\.mdb)>/.exec(line)?.[1]
    if (/ (?:pwrite|write)/.test(line) && file !== undefined) {
      const found = sent.filter((eventId) => line.includes(eventId))
      const waiting = unsynced.get(file) ?? new Set()
      for (const eventId of found) waiting.add(eventId)
      unsynced.set(file, waiting)
    } else if (/ f(?:data)?sync\(/.test(line) && file !== undefined) {
      // A sync covers what was written before it began, and only once it has ended.
      const covered = unsynced.get(file) ?? new Set()
      unsynced.set(file, new Set())
      if (line.includes('<unfinished')) syncing.set(thread, covered)
      else synced += covered.size
    } else if (/<\.\.\. f(?:data)?sync resumed/.test(line)) {
      synced += syncing.get(thread)?.size ?? 0
      syncing.delete(thread)
    } else if (line.includes('HTTP/1.1 200') && line.includes('image/gif')) {
      answered += line.split('HTTP/1.1 200').length - 1
      if (answered > synced) early++
    }
  }
  return { answered, early }
}
