import { Consumer } from '@platformatic/kafka'
import { waitMs } from '../../lib/retry.ts'
import type { Offset } from '../log.ts'
import { clientOptions, hasError, type KafkaConnection, persist } from './client.ts'

export interface MembershipOptions {
  readonly connection: KafkaConnection
  readonly group: string
  readonly topic: string
  /** How long a member that is silent keeps its partitions. */
  readonly sessionTimeoutMs: number
}

const leaveMs = 1_000
/** What says that the partition is somebody else's by now; whoever that is will commit. */
const takenAway = ['ILLEGAL_GENERATION', 'UNKNOWN_MEMBER_ID', 'REBALANCE_IN_PROGRESS'] as const

/** Being one of a consumer group: which partitions are ours now, and commits in that right. */
export class Membership {
  readonly #options: MembershipOptions
  readonly #client: Consumer
  readonly #onChange: () => void
  #isLost = true

  /** @param onChange called when partitions may have come or gone */
  constructor(options: MembershipOptions, onChange: () => void) {
    this.#options = options
    this.#onChange = onChange
    const { sessionTimeoutMs } = options
    this.#client = new Consumer({
      ...clientOptions(options.connection),
      groupId: options.group,
      sessionTimeout: sessionTimeoutMs,
      // A member that does not come back within it is left out of the next assignment.
      rebalanceTimeout: Math.max(sessionTimeoutMs, 60_000),
      heartbeatInterval: Math.max(100, Math.floor(sessionTimeoutMs / 5)),
      autocommit: false,
      // With retries, a commit that came too late would be made again in a right that is not ours.
      retries: 0,
    })
    this.#client.topics.track(options.topic)
    this.#client.on('consumer:group:join', () => {
      this.#isLost = false
      onChange()
    })
    // It failed to join again: there are no heartbeats any more until somebody calls `join`.
    this.#client.on('error', () => this.#lose())
    this.#client.on('consumer:heartbeat:stalled', () => this.#lose())
  }

  /** Changes when this is no longer the member that it was: others may have had its partitions. */
  get member(): string | null {
    return this.#client.memberId
  }

  /** The partitions that are ours. */
  get assigned(): readonly number[] {
    const { topic } = this.#options
    const assignment = this.#client.assignments?.find((one) => one.topic === topic)
    return this.#isLost ? [] : (assignment?.partitions ?? [])
  }

  /**
   * Joins the group unless we are in it.
   * @throws MillraceError `log_unavailable` after `timeoutMs`, `log_refused`
   */
  async join(signal: AbortSignal): Promise<void> {
    const join = async (): Promise<void> => {
      // The group's coordinator answers when all members are there or given up: it may take long.
      await Promise.race([this.#client.joinGroup({}), aborted(signal)])
      if (!signal.aborted) this.#isLost = false
    }
    if (this.#isLost) await persist(this.#options.connection.timeoutMs, join, signal)
  }

  /** Does nothing, and returns false, when the partition is somebody else's by now. */
  async commit(partition: number, nextOffset: Offset): Promise<boolean> {
    if (!this.assigned.includes(partition)) return false
    let isDone = true
    const { topic } = this.#options
    const offset = { topic, partition, offset: BigInt(nextOffset), leaderEpoch: -1 }
    await persist(this.#options.connection.timeoutMs, async () => {
      try {
        await this.#client.commit({ offsets: [offset] })
      } catch (thrown) {
        if (!takenAway.some((name) => hasError(thrown, 'apiId', name))) throw thrown
        isDone = false
      }
    })
    return isDone
  }

  async close(): Promise<void> {
    this.#isLost = true
    // To leave, it has to wait for an answer to a join that is under way; the others need not.
    const left = this.#client.close(true).catch(() => {})
    await Promise.race([left, waitMs(leaveMs)])
  }

  #lose(): void {
    this.#isLost = true
    this.#onChange()
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
