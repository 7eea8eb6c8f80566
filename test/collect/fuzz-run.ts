import { existsSync, readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { createFuzz, type FuzzKind, type FuzzRequest } from './fuzz-requests.ts'

/** Sends the requests of fuzz-requests.ts to a process and looks at what becomes of it. */

export interface FuzzOptions {
  readonly port: number
  /** Whose memory is read; none is read where /proc is not. */
  readonly pid?: number | undefined
  readonly seed: number
  readonly requests: number
  readonly connections?: number
  /** Ends the run early, with the figures so far. */
  readonly signal?: AbortSignal
  readonly onSample?: (sample: FuzzSample) => void
}

/** The process at one moment of the run. */
export interface FuzzSample {
  readonly requests: number
  /** MiB: resident, and without what is mapped from files. */
  readonly residentMiB: number
  readonly ownMiB: number
}

export interface FuzzVerdict {
  readonly sent: number
  /** Answers by status; `none` for those that need none and had none. */
  readonly statuses: Readonly<Record<string, number>>
  /** Answers of 2xx by the kind of the request. */
  readonly taken: Readonly<Partial<Record<FuzzKind, number>>>
  /** Statuses of 500 and above, and whole requests without an answer: the first few. */
  readonly faults: readonly string[]
  readonly faultCount: number
  readonly samples: readonly FuzzSample[]
}

const faultsShown = 20
const samplesMax = 40
/** How long a whole request may wait for its answer. */
const answerMs = 30_000
/** How long something that is no request waits for one. */
const patienceMs = 250

export async function runFuzz(options: FuzzOptions): Promise<FuzzVerdict> {
  const next = createFuzz(options.seed)
  const statuses: Record<string, number> = {}
  const taken: Partial<Record<FuzzKind, number>> = {}
  const faults: string[] = []
  const samples: FuzzSample[] = []
  let [given, faultCount] = [0, 0]
  const every = Math.max(1, Math.ceil(options.requests / samplesMax))

  const count = (request: FuzzRequest, status: string): void => {
    statuses[status] = (statuses[status] ?? 0) + 1
    if (status.startsWith('2')) taken[request.kind] = (taken[request.kind] ?? 0) + 1
    const isFault = status === 'none' ? request.isWhole : Number(status) >= 500
    if (!isFault) return
    faultCount++
    if (faults.length < faultsShown) {
      faults.push(`${status}: ${JSON.stringify(request.bytes.toString('latin1').slice(0, 500))}`)
    }
  }
  const look = (): void => {
    const memory = options.pid === undefined ? undefined : memoryOf(options.pid)
    if (memory === undefined) return
    const sample = { requests: given, ...memory }
    samples.push(sample)
    options.onSample?.(sample)
  }
  const send = async (): Promise<void> => {
    const connection = createConnection(options.port)
    while (given < options.requests && options.signal?.aborted !== true) {
      if (given++ % every === 0) look()
      const request = next()
      count(request, await connection.ask(request))
    }
    connection.close()
  }
  await Promise.all(Array.from({ length: options.connections ?? 32 }, send))
  look()
  return { sent: given, statuses, taken, faults, faultCount, samples }
}

/**
 * Whether memory has stopped growing: the median of the last quarter of the samples is not above
 * that of the second by more than `mib`. The first quarter is a process that is still warming up.
 */
export function growthMiB(samples: readonly FuzzSample[]): number {
  const quarter = Math.floor(samples.length / 4)
  const median = (from: number): number => {
    const sorted = samples.slice(from, from + quarter).map(({ ownMiB }) => ownMiB)
    return sorted.sort((a, b) => a - b)[Math.floor(sorted.length / 2)] ?? 0
  }
  return median(samples.length - quarter) - median(quarter)
}

function memoryOf(pid: number): Omit<FuzzSample, 'requests'> | undefined {
  const path = `/proc/${pid}/status`
  if (!existsSync(path)) return undefined
  const text = readFileSync(path, 'utf8')
  const read = (name: string): number =>
    Math.round(Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0) / 1024)
  return { residentMiB: read('VmRSS'), ownMiB: read('RssAnon') }
}

interface Connection {
  /** The status of the answer; `none` when there is none. */
  ask(request: FuzzRequest): Promise<string>
  close(): void
}

function createConnection(port: number): Connection {
  let socket: Socket | undefined
  return {
    async ask(request) {
      // The process may close a kept connection in the moment in which we write.
      for (let attempt = 0; ; attempt++) {
        const isFresh = socket === undefined || socket.destroyed
        if (isFresh) socket = connect(port, '127.0.0.1')
        const { status, mayGoOn } = await exchange(socket as Socket, request)
        if (!mayGoOn || !request.isWhole) socket?.destroy()
        if (status !== 'none' || isFresh || attempt > 2) return status
      }
    },
    close: () => socket?.destroy(),
  }
}

interface Exchange {
  readonly status: string
  /** The connection can carry another request. */
  readonly mayGoOn: boolean
}

function exchange(socket: Socket, request: FuzzRequest): Promise<Exchange> {
  return new Promise((resolve) => {
    let text = ''
    const end = (answer: Exchange): void => {
      clearTimeout(timer)
      socket.removeAllListeners()
      // Whatever still happens on it is nobody's concern.
      socket.on('error', () => {})
      resolve(answer)
    }
    const timer = setTimeout(
      () => end({ status: 'none', mayGoOn: false }),
      request.isWhole ? answerMs : patienceMs,
    )
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      const answer = readAnswer(text, request)
      if (answer !== undefined) end(answer)
    })
    socket.on('error', () => end(closedAfter(text)))
    socket.on('close', () => end(closedAfter(text)))
    socket.write(request.bytes)
  })
}

/** An answer of which only the end is missing counts by its status. */
function closedAfter(text: string): Exchange {
  const status = /^HTTP\/1\.1 ([2-5]\d\d)/.exec(text)?.[1]
  return { status: status ?? 'none', mayGoOn: false }
}

function readAnswer(text: string, request: FuzzRequest): Exchange | undefined {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return
  const head = text.slice(0, end)
  const status = /^HTTP\/1\.1 (\d\d\d)/.exec(head)?.[1] ?? 'none'
  if (status.startsWith('1')) return readAnswer(text.slice(end + 4), request)
  const isEmpty = !request.hasBodyInAnswer || status === '204' || status === '304'
  const length = isEmpty ? 0 : Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? Number.NaN)
  // Without a length the answer ends with the connection, or its last chunk.
  const isWhole = Number.isNaN(length)
    ? text.endsWith('\r\n0\r\n\r\n')
    : text.length >= end + 4 + length
  if (!isWhole) return
  return { status, mayGoOn: !/\r\nconnection: *close/i.test(head) }
}
