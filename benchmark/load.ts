import { connect, type Socket } from 'node:net'
import { parseArgs } from 'node:util'
import { batchRequestBytes, recommendRequestBytes, tagRequestBytes } from './requests.ts'

/**
 * A load generator as a process of its own, on raw sockets so that it costs less than what it
 * measures. Closed loop: each connection sends its next request when the answer is there. With
 * --rate it is an open loop: requests leave on time, and latency counts from when they were due.
 * Prints one JSON line: { requests, refused, seconds, p50Ms, p99Ms, maxMs }.
 */
const { values } = parseArgs({
  options: {
    port: { type: 'string' },
    requests: { type: 'string', default: '50000' },
    connections: { type: 'string', default: '64' },
    rate: { type: 'string', default: '0' },
    batch: { type: 'string', default: '0' },
    recommend: { type: 'string', default: '0' },
  },
})
const port = Number(values.port)
const total = Number(values.requests)
const connections = Number(values.connections)
const rate = Number(values.rate)
const batch = Number(values.batch)

// Made before the clock runs: the sender's own work must not be what is measured.
const payloads = Array.from({ length: total }, (_, index) => {
  if (values.recommend !== '0') return recommendRequestBytes()
  return batch > 0 ? batchRequestBytes(index, batch) : tagRequestBytes(index)
})

interface Line {
  readonly socket: Socket
  dueAt: number
  rest: Buffer
}

const latencies = new Float64Array(total)
let sent = 0
let answered = 0
let refused = 0
/** Times of requests that wait for a connection, and connections that wait for a request. */
const waiting: number[] = []
/** In turn, so that none is idle for as long as a server would keep it. */
let free: Line[] = []
const finished = Promise.withResolvers<void>()

function sendNext(line: Line, dueAt: number): void {
  line.dueAt = dueAt
  line.socket.write(payloads[sent++] as Buffer)
}

function onAnswer(line: Line, status: number): void {
  latencies[answered++] = performance.now() - line.dueAt
  if (status !== 200) refused++
  if (answered === total) finished.resolve()
  else if (rate === 0 && sent < total) sendNext(line, performance.now())
  else {
    const dueAt = waiting.shift()
    if (dueAt === undefined) free.push(line)
    else sendNext(line, dueAt)
  }
}

/** Takes whole answers off the line; every answer here has a Content-Length. */
function onBytes(line: Line, chunk: Buffer): void {
  let bytes = line.rest.length === 0 ? chunk : Buffer.concat([line.rest, chunk])
  for (;;) {
    const end = bytes.indexOf('\r\n\r\n')
    if (end < 0) break
    const head = bytes.toString('latin1', 0, end)
    const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0)
    if (bytes.length < end + 4 + length) break
    bytes = bytes.subarray(end + 4 + length)
    onAnswer(line, Number(head.slice(9, 12)))
  }
  line.rest = bytes
}

const lines = await Promise.all(
  Array.from({ length: connections }, async (): Promise<Line> => {
    const socket = connect(port, '127.0.0.1').setNoDelay()
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
    const line: Line = { socket, dueAt: 0, rest: Buffer.alloc(0) }
    socket.on('data', (chunk) => onBytes(line, chunk))
    socket.on('error', (error) => finished.reject(error))
    socket.on('close', () => finished.reject(new Error('the server closed a connection')))
    return line
  }),
)

const startedAt = performance.now()
free = rate === 0 ? [] : [...lines]
if (rate === 0) for (const line of lines) sendNext(line, performance.now())
else {
  let due = 0
  const timer = setInterval(() => {
    const now = performance.now()
    for (; due < total && startedAt + (due * 1_000) / rate <= now; due++) {
      const dueAt = startedAt + (due * 1_000) / rate
      const line = free.shift()
      if (line === undefined) waiting.push(dueAt)
      else sendNext(line, dueAt)
    }
    if (due >= total) clearInterval(timer)
  }, 1)
}
await finished.promise
const seconds = (performance.now() - startedAt) / 1_000
for (const { socket } of lines) socket.removeAllListeners('close').destroy()
latencies.sort()
const at = (share: number): number =>
  Number((latencies[Math.ceil(total * share) - 1] ?? 0).toFixed(2))
const figures = { requests: total, refused, seconds, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) }
process.stdout.write(`${JSON.stringify(figures)}\n`)
