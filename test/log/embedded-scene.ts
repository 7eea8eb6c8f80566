import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type EmbeddedLogOptions, openEmbeddedLog } from '../../src/log/embedded/embedded.ts'
import type { Log } from '../../src/log/log.ts'

export const topic = 'events'
const MiB = 1024 * 1024

export async function temporaryFolder(): Promise<{ folder: string; remove(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-log-'))
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) }
}

export function embeddedOptions(
  folder: string,
  options: Partial<EmbeddedLogOptions> = {},
): EmbeddedLogOptions {
  return {
    folder,
    topic,
    retentionDays: 7,
    maxBytes: 256 * MiB,
    segmentBytes: 16 * MiB,
    ...options,
  }
}

type End = () => Promise<unknown>

/** Ends those who use the folder of a test, which goes last. */
const endsOf = new WeakMap<TestContext, End[]>()

/** A folder of its own for one test, and logs in it that are closed when the test ends. */
export async function sceneOf(t: TestContext) {
  const { folder, remove } = await temporaryFolder()
  const ends: End[] = []
  endsOf.set(t, ends)
  t.after(async () => {
    for (const end of ends.reverse()) await end()
    await remove()
  })
  const partition = (number = 0) => join(folder, topic, String(number))
  return {
    folder,
    partition,
    async open(options: Partial<EmbeddedLogOptions> = {}): Promise<Log> {
      const log = await openEmbeddedLog(embeddedOptions(folder, options))
      ends.push(() => log.close())
      return log
    },
    /** The names of the segments of a partition, oldest first. */
    async segments(number = 0): Promise<string[]> {
      const names = await readdir(partition(number)).catch(() => [])
      return names.filter((name) => name.endsWith('.mdb')).sort()
    },
  }
}

/** A process that writes to a log and prints a line for each record that is acknowledged. */
export interface WriterProcess {
  readonly pid: number
  /** The whole lines printed so far. */
  readonly lines: string[]
  /** Resolves when so many lines have come. */
  printed(count: number): Promise<void>
  /** Kills it with SIGKILL, or waits for its own end. */
  kill(): Promise<void>
  ended(): Promise<void>
}

const writerScript = new URL('embedded-writer.ts', import.meta.url).pathname

/** Starts a writer's script; `command` stands before node, as `strace` does. */
export function startWriter(
  t: TestContext,
  arguments_: readonly string[],
  command: readonly string[] = [],
  script: string = writerScript,
): WriterProcess {
  const [file = '', ...rest] = [...command, process.execPath, script, ...arguments_]
  const child = spawn(file, rest, { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  const closed = once(child, 'close')
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL')
    await closed
  }
  const ends = endsOf.get(t)
  if (ends === undefined) t.after(kill)
  else ends.push(kill)
  const lines: string[] = []
  let wake: () => void = () => undefined
  // A line that a kill has cut is no line.
  let text = ''
  child.stdout.setEncoding('utf8')
  child.stdout.on('data', (piece: string) => {
    text += piece
    const parts = text.split('\n')
    text = parts.pop() ?? ''
    lines.push(...parts)
    wake()
  })
  return {
    pid: child.pid ?? 0,
    lines,
    async printed(count) {
      while (lines.length < count && child.exitCode === null && child.signalCode === null) {
        await new Promise<void>((resolve) => {
          wake = resolve
          void exited.then(() => resolve())
        })
      }
      if (lines.length < count) throw new Error(`the writer ended after ${lines.length} lines`)
    },
    kill,
    async ended() {
      await closed
    },
  }
}

/** Random numbers from 0 to 1 that a seed decides (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}
