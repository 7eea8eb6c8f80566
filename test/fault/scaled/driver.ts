import { Agent, request } from 'node:http'
import { jsonEvent, tagRequest } from '../../../benchmark/requests.ts'
import { type FaultLedger, identityOf } from './checker.ts'

/** What to send, how fast, and where. */
export interface DriverOptions {
  readonly port: number
  /** Events a second, half of them single requests of the tag, half in batches. */
  readonly rate: number
  /** Send a request that got no 2xx again, under the same ids, until it gets one. */
  readonly isPersistent?: boolean
  /** Members of the events that are sent in batches, over those that every event has. */
  readonly eventOf?: (index: number) => Readonly<Record<string, unknown>>
}

/** Clients that send all the time. */
export interface Driver {
  /** Resolves when so many more events are acknowledged than now. @throws Error after 60 s */
  untilAcknowledged(count: number): Promise<void>
  /** Sends no more, and waits for every answer that is still due. */
  stop(): Promise<void>
}

/** One request, and the identities that its 2xx speaks for. */
interface Sending {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly body?: string
  readonly identities: readonly string[]
}

const batchEvents = 10
const tickMs = 10
const itemCount = 40
/** Each has a connection at once: none waits here, and a slow machine is not buried. */
const requestsOpenMax = 256
/** A request that is neither answered nor closed after so long was answered by silence. */
const silenceMs = 60_000
const againMs = 50
const waitMaxMs = 60_000

/**
 * Sends events on time, whatever comes back. An identity is written down as sent before its request
 * leaves, and as acknowledged only by a 2xx of its own. The event type is the ledger's name.
 */
export function startDriver(options: DriverOptions, ledger: FaultLedger): Driver {
  const agent = new Agent({ keepAlive: true, maxSockets: requestsOpenMax })
  const open = new Set<Promise<void>>()
  const stopping = new AbortController()
  const send = (sending: Sending): void => {
    for (const identity of sending.identities) ledger.sent.add(identity)
    const work = sendUntilDone(agent, options, sending, ledger, stopping.signal)
    open.add(work)
    void work.finally(() => open.delete(work))
  }
  let index = 0
  let due = 0
  let lastAt = performance.now()
  const timer = setInterval(() => {
    const now = performance.now()
    // At most a second's worth: what a slow machine could not send is not made up for later.
    due = Math.min(options.rate, due + ((now - lastAt) * options.rate) / 1_000)
    lastAt = now
    for (
      ;
      due >= 2 * batchEvents && open.size < requestsOpenMax - batchEvents;
      due -= 2 * batchEvents
    ) {
      for (let single = 0; single < batchEvents; single++) send(tagSending(index++, ledger.name))
      send(batchSending(index, ledger.name, options))
      index += batchEvents
    }
  }, tickMs)
  return {
    async untilAcknowledged(count) {
      const deadline = performance.now() + waitMaxMs
      const enough = ledger.acknowledged.size + count
      while (ledger.acknowledged.size < enough) {
        if (performance.now() > deadline) {
          const missing = enough - ledger.acknowledged.size
          throw new Error(`${missing} of ${count} events were not acknowledged in ${waitMaxMs} ms`)
        }
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    },
    async stop() {
      clearInterval(timer)
      stopping.abort()
      await Promise.all(open)
      agent.destroy()
    },
  }
}

function tagSending(index: number, eventType: string): Sending {
  const { path, partyId, eventId } = tagRequest(index % itemCount, eventType)
  return { method: 'GET', path, identities: [identityOf(partyId, eventId)] }
}

function batchSending(first: number, eventType: string, { eventOf }: DriverOptions): Sending {
  const events = Array.from({ length: batchEvents }, (_, at) => {
    const index = first + at
    return { ...jsonEvent(index % itemCount, eventType), ...eventOf?.(index) }
  })
  return {
    method: 'POST',
    path: '/events',
    body: JSON.stringify({ events }),
    identities: events.map(({ partyId, eventId }) => identityOf(partyId, eventId)),
  }
}

async function sendUntilDone(
  agent: Agent,
  { port, isPersistent = false }: DriverOptions,
  sending: Sending,
  ledger: FaultLedger,
  stopping: AbortSignal,
): Promise<void> {
  for (;;) {
    const answer = await ask(agent, port, sending)
    if (answer === 'silence') ledger.silent++
    else if (answer === 'closed') ledger.closed++
    else if (answer.status === 200) {
      acknowledge(sending, answer.body, ledger)
      return
    } else ledger.statuses.set(answer.status, (ledger.statuses.get(answer.status) ?? 0) + 1)
    if (!isPersistent || stopping.aborted) return
    await new Promise((resolve) => setTimeout(resolve, againMs))
    for (const identity of sending.identities) ledger.resent.add(identity)
  }
}

/** The 2xx of a batch says of each event whether it was taken. */
function acknowledge({ method, identities }: Sending, body: string, ledger: FaultLedger): void {
  if (method === 'GET') {
    for (const identity of identities) ledger.acknowledged.add(identity)
    return
  }
  const { results } = JSON.parse(body) as { results: { status: string }[] }
  for (const [at, { status }] of results.entries()) {
    const identity = identities[at]
    if (status === 'accepted' && identity !== undefined) ledger.acknowledged.add(identity)
  }
}

interface Answer {
  readonly status: number
  readonly body: string
}

/** The whole answer, or how there was none. */
function ask(
  agent: Agent,
  port: number,
  { method, path, body }: Sending,
): Promise<Answer | 'closed' | 'silence'> {
  return new Promise((resolve) => {
    const headers = body === undefined ? {} : { 'Content-Type': 'application/json' }
    const signal = AbortSignal.timeout(silenceMs)
    const end = (): void => resolve(signal.aborted ? 'silence' : 'closed')
    const options = { agent, port, host: '127.0.0.1', method, path, headers, signal }
    const asked = request(options, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk) => {
        text += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }))
      response.on('error', end)
      response.on('aborted', end)
    })
    asked.on('error', end)
    asked.end(body)
  })
}
