import { Agent, request } from 'node:http'
import { jsonEvent, tagRequest } from '../../benchmark/requests.ts'
import { createRandom } from '../store/rows.ts'
import { createLedger, judge, type Ledger, type Verdict } from './ledger.ts'
import {
  freePort,
  type RunOptions,
  startMillrace,
  temporaryFolder,
  untilStored,
} from './process.ts'

export interface KillOptions {
  readonly seed: number
  readonly kills: number
  /** Events per second, half of them single requests of the tag, half in batches. */
  readonly rate: number
  /** Another program than `millrace start`. */
  readonly script?: string
  readonly onKill?: (kill: number, ledger: Ledger) => void
}

const batchEvents = 10
const tickMs = 10

/**
 * Sends events all the time and kills the process again and again, at moments that the seed decides,
 * starting it on the same folder each time; then counts every event of the ledger in the store.
 */
export async function killRun(options: KillOptions): Promise<Verdict> {
  const random = createRandom(options.seed)
  const folder = temporaryFolder()
  const ledger = createLedger()
  const run: RunOptions = {
    folder: folder.path,
    collectPort: await freePort(),
    apiPort: await freePort(),
    env: { MILLRACE_COLLECT_REQUESTS_PER_SECOND_MAX: '0' },
    ...(options.script === undefined ? {} : { script: options.script }),
  }
  try {
    for (let kill = 1; kill <= options.kills; kill++) {
      const running = await startMillrace(run)
      const sender = startSender(run.collectPort, options.rate, ledger)
      await new Promise((resolve) => setTimeout(resolve, 200 + random() * 1_300))
      await running.kill()
      await sender.stop()
      options.onKill?.(kill, ledger)
    }
    const { script: _, ...proper } = run
    const last = await startMillrace(proper)
    try {
      await untilStored(last)
      return await judge(ledger, last)
    } finally {
      await last.stop()
    }
  } finally {
    folder.remove()
  }
}

/** Sends on time, whatever comes back; an event counts as acknowledged only by its own 2xx. */
function startSender(port: number, rate: number, ledger: Ledger): { stop(): Promise<void> } {
  const agent = new Agent({ keepAlive: true, maxSockets: 128 })
  const open = new Set<Promise<void>>()
  const track = (work: Promise<void>): void => {
    open.add(work)
    void work.finally(() => open.delete(work))
  }
  let index = 0
  let due = 0
  let lastAt = performance.now()
  const timer = setInterval(() => {
    const now = performance.now()
    due += ((now - lastAt) * rate) / 1_000
    lastAt = now
    for (; due >= 2 * batchEvents; due -= 2 * batchEvents) {
      for (let single = 0; single < batchEvents; single++)
        track(sendSingle(agent, port, index++, ledger))
      track(sendBatch(agent, port, index, ledger))
      index += batchEvents
    }
  }, tickMs)
  return {
    async stop() {
      clearInterval(timer)
      await Promise.all(open)
      agent.destroy()
    },
  }
}

async function sendSingle(
  agent: Agent,
  port: number,
  index: number,
  ledger: Ledger,
): Promise<void> {
  const { path, partyId, eventId } = tagRequest(index)
  ledger.sent.add(`${partyId} ${eventId}`)
  const answer = await ask(agent, port, 'GET', path)
  if (answer?.status === 200) ledger.acknowledged.add(`${partyId} ${eventId}`)
}

async function sendBatch(agent: Agent, port: number, index: number, ledger: Ledger): Promise<void> {
  const events = Array.from({ length: batchEvents }, (_, at) => jsonEvent(index + at))
  for (const { partyId, eventId } of events) ledger.sent.add(`${partyId} ${eventId}`)
  const answer = await ask(agent, port, 'POST', '/events', JSON.stringify({ events }))
  if (answer?.status !== 200) return
  const { results } = JSON.parse(answer.body) as { results: { status: string }[] }
  for (const [at, { status }] of results.entries()) {
    const event = events[at]
    if (status === 'accepted' && event) ledger.acknowledged.add(`${event.partyId} ${event.eventId}`)
  }
}

interface Answer {
  readonly status: number
  readonly body: string
}

/** The whole answer, or undefined when the process died over it. */
function ask(
  agent: Agent,
  port: number,
  method: string,
  path: string,
  body?: string,
): Promise<Answer | undefined> {
  return new Promise((resolve) => {
    const headers = body === undefined ? {} : { 'Content-Type': 'application/json' }
    const asked = request({ agent, port, host: '127.0.0.1', method, path, headers }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk) => {
        text += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }))
      response.on('error', () => resolve(undefined))
      response.on('aborted', () => resolve(undefined))
    })
    asked.on('error', () => resolve(undefined))
    asked.end(body)
  })
}
