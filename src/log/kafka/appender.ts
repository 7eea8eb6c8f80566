import { compatibilityPartitioner, type MessageToProduce, Producer } from '@platformatic/kafka'
import { MillraceError } from '../../event/error.ts'
import { backoffMs, waitMs } from '../../lib/retry.ts'
import { clientOptions, hasError, type KafkaConnection, toLogError } from './client.ts'

export interface AppenderOptions extends KafkaConnection {
  /** Shortest time between two sends: under load records share one, alone they do not wait. */
  readonly intervalMs: number
}

/** Messages that go together, with the promise of those who wait for them. */
interface Piece {
  readonly messages: readonly MessageToProduce[]
  readonly bytes: number
  readonly deadline: number
  readonly resolve: () => void
  readonly reject: (error: MillraceError) => void
}

/** A batch of one partition has to stay below the topic's `max.message.bytes`, see topics.ts. */
const sendBytesMax = 900_000
/** A record of so many bytes, key and value together, can be sent, whatever its frame and headers. */
export const recordBytesMax: number = sendBytesMax - 1_000
/** What a message costs beside key and value, roughly. */
const messageOverheadBytes = 60
/** Not for ever: a collector that nobody asks any more has to find out that all is well again. */
const troubleMs = 5_000
const retryBackoff = { initialMs: 50, maxMs: 1_000 }

/**
 * Appends to topics by one idempotent producer with `acks=all`. One send is under way at a time and
 * takes along what came in the meantime. That is enough for a core (a send carries up to 2,000
 * records), keeps the order of a key through every retry, and needs none of the client's own queues,
 * of which version 1.35 lost acknowledged records.
 */
export class Appender {
  readonly #options: AppenderOptions
  readonly #queue: Piece[] = []
  #producer: Producer | undefined
  #running: Promise<void> | undefined
  #lastSendAt = Number.NEGATIVE_INFINITY
  #trouble: MillraceError | undefined
  #troubleAt = 0
  #isClosed = false

  constructor(options: AppenderOptions) {
    this.#options = options
  }

  /** Why the last send failed, for a while; undefined when it did not. */
  get trouble(): MillraceError | undefined {
    return performance.now() - this.#troubleAt < troubleMs ? this.#trouble : undefined
  }

  /**
   * Resolves when every in-sync replica has all of them; messages of one key keep their order. When
   * it rejects, some may be in the topic all the same, now or a little later.
   * @throws MillraceError `log_unavailable`, `log_refused`, `record_too_large`
   */
  async append(messages: readonly MessageToProduce[]): Promise<void> {
    if (this.#isClosed) throw new MillraceError('log_unavailable', 'it is closed')
    const deadline = performance.now() + this.#options.timeoutMs
    const appended = cut(messages).map((part) => {
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      this.#queue.push({ ...part, deadline, resolve, reject })
      return promise
    })
    this.#running ??= this.#run()
    await (appended.length === 1 ? appended[0] : Promise.all(appended))
  }

  /** Waits for what is under way. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.#running
    await this.#producer?.close(true).catch(() => {})
  }

  async #run(): Promise<void> {
    // Not in the caller's turn: appends of one turn go together.
    await Promise.resolve()
    while (this.#queue.length > 0) {
      const restMs = this.#lastSendAt + this.#options.intervalMs - performance.now()
      if (restMs > 0) await waitMs(restMs)
      this.#lastSendAt = performance.now()
      const pieces = this.#take()
      try {
        await this.#sendUntilDeadline(pieces)
        this.#trouble = undefined
        for (const { resolve } of pieces) resolve()
      } catch (thrown) {
        const error = toLogError(thrown)
        this.#trouble = error
        this.#troubleAt = performance.now()
        for (const { reject } of pieces) reject(error)
      }
    }
    this.#running = undefined
  }

  /** As many pieces as fit into one send, at least one. */
  #take(): Piece[] {
    let bytes = 0
    let count = 0
    for (const piece of this.#queue) {
      if (count > 0 && bytes + piece.bytes > sendBytesMax) break
      bytes += piece.bytes
      count++
    }
    return this.#queue.splice(0, count)
  }

  async #sendUntilDeadline(pieces: readonly Piece[]): Promise<void> {
    const deadline = Math.min(...pieces.map((piece) => piece.deadline))
    const messages = pieces.flatMap((piece) => piece.messages)
    // What waited behind a send that ran out of time has run out of it too: no try of its own, or
    // a thousand waiting requests would each take `timeoutMs`.
    if (performance.now() >= deadline) throw this.#trouble ?? timeout()
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#send(messages, deadline)
        return
      } catch (thrown) {
        const restMs = deadline - performance.now()
        const delayMs = backoffMs(attempt, retryBackoff)
        if (restMs <= delayMs || !isWorthRetrying(thrown)) throw thrown
        await waitMs(delayMs)
      }
    }
  }

  /** A send that takes longer than the deadline is left behind with its producer. */
  async #send(messages: MessageToProduce[], deadline: number): Promise<void> {
    this.#producer ??= this.#openProducer()
    const producer = this.#producer
    const { promise: late, reject } = Promise.withResolvers<never>()
    const timer = setTimeout(() => reject(timeout()), Math.max(0, deadline - performance.now()))
    try {
      await Promise.race([producer.send({ messages }), late])
    } catch (thrown) {
      // A new producer has a new id, sequences from 0 and no request under way.
      this.#producer = undefined
      producer.close(true).catch(() => {})
      throw thrown
    } finally {
      clearTimeout(timer)
    }
  }

  #openProducer(): Producer {
    const producer = new Producer({
      ...clientOptions(this.#options),
      idempotent: true,
      // Its own retries keep the sequence numbers, so they cannot write twice; ours can.
      retries: 2,
      retryDelay: 100,
      compression: 'lz4',
      // The Java client's: the client's own default differs from it in the highest bit.
      partitioner: compatibilityPartitioner,
    })
    producer.on('error', () => {})
    return producer
  }
}

type Part = Pick<Piece, 'messages' | 'bytes'>

/** Parts that each fit into one send. @throws MillraceError `record_too_large` */
function cut(messages: readonly MessageToProduce[]): Part[] {
  const parts: Part[] = []
  let part: MessageToProduce[] = []
  let bytes = 0
  for (const message of messages) {
    const { key, value, headers } = message
    const size = messageOverheadBytes + (key?.length ?? 0) + (value?.length ?? 0) + bytesOf(headers)
    if (size > sendBytesMax) throw new MillraceError('record_too_large', `${sendBytesMax}`)
    if (bytes + size > sendBytesMax) {
      parts.push({ messages: part, bytes })
      part = []
      bytes = 0
    }
    part.push(message)
    bytes += size
  }
  if (part.length > 0) parts.push({ messages: part, bytes })
  return parts
}

/** The one header that every record has is in the overhead. */
function bytesOf(headers: MessageToProduce['headers']): number {
  if (!(headers instanceof Map) || headers.size <= 1) return 0
  let bytes = 0
  for (const [name, value] of headers) bytes += name.length + value.length + 2
  return bytes
}

function timeout(): MillraceError {
  return new MillraceError('log_unavailable', 'no answer in time')
}

function isWorthRetrying(thrown: unknown): boolean {
  if (hasError(thrown, 'code', 'PLT_KFK_AUTHENTICATION')) return false
  return toLogError(thrown).code === 'log_unavailable'
}
