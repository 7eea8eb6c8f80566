import { type Admin, FetchIsolationLevels, ListOffsetTimestamps } from '@platformatic/kafka'
import type { Offset, PartitionLag, PartitionRange } from '../log.ts'
import { toLogError } from './client.ts'
import type { Membership } from './membership.ts'
import type { Topic } from './topics.ts'

/** What a topic holds and what groups have committed in it. */
export class Offsets {
  readonly #admin: Admin
  readonly #topic: Topic
  readonly #memberships = new Map<string, Membership>()
  /** The highest that this process knows of, by group and partition. */
  readonly #commits = new Map<string, number>()

  constructor(admin: Admin, topic: Topic) {
    this.#admin = admin
    this.#topic = topic
  }

  /** Until the returned function is called, commits of the group are made by this member. */
  joined(group: string, membership: Membership): () => void {
    this.#memberships.set(group, membership)
    return () => {
      if (this.#memberships.get(group) === membership) this.#memberships.delete(group)
    }
  }

  /** @throws MillraceError `log_unavailable`, `log_refused` */
  async ranges(): Promise<readonly PartitionRange[]> {
    try {
      const count = await this.#partitionCount()
      const [firsts, nexts] = await Promise.all([
        this.#list(count, ListOffsetTimestamps.EARLIEST),
        this.#list(count, ListOffsetTimestamps.LATEST),
      ])
      return Array.from({ length: count }, (_, partition) => ({
        partition,
        first: (firsts.get(partition) ?? 0) as Offset,
        next: (nexts.get(partition) ?? 0) as Offset,
      }))
    } catch (thrown) {
      throw toLogError(thrown)
    }
  }

  /** Offsets only rise: a commit that was overtaken changes nothing. */
  async commit(group: string, partition: number, nextOffset: Offset): Promise<void> {
    const key = `${group}/${partition}`
    const known =
      this.#commits.get(key) ?? (await this.#committed(group, [partition])).get(partition)
    if (known !== undefined && known >= nextOffset) return
    const membership = this.#memberships.get(group)
    if (membership === undefined) await this.#commitAlone(group, partition, nextOffset)
    // The partition may come back to us, and has to be committed then.
    else if (!(await membership.commit(partition, nextOffset))) return
    this.#commits.set(key, nextOffset)
  }

  /** What Kafka lets anybody do while the group has no members. */
  async #commitAlone(group: string, partition: number, nextOffset: Offset): Promise<void> {
    const partitionOffsets = [{ partition, offset: BigInt(nextOffset) }]
    const topics = [{ name: this.#topic.name, partitionOffsets }]
    try {
      await this.#admin.alterConsumerGroupOffsets({ groupId: group, topics })
    } catch (thrown) {
      throw toLogError(thrown)
    }
  }

  async lag(group: string): Promise<readonly PartitionLag[]> {
    const ranges = await this.ranges()
    const numbers = ranges.map(({ partition }) => partition)
    const committed = await this.#committed(group, numbers)
    return ranges.map(({ partition, first, next }) => {
      const done = (committed.get(partition) ?? first) as Offset
      return { partition, committed: done, next, lag: Math.max(0, next - Math.max(done, first)) }
    })
  }

  async #committed(group: string, partitions: number[]): Promise<ReadonlyMap<number, number>> {
    const { name } = this.#topic
    try {
      const [answer] = await this.#admin.listConsumerGroupOffsets({
        groups: [{ groupId: group, topics: [{ name, partitionIndexes: partitions }] }],
      })
      const found = answer?.topics.find((topic) => topic.name === name)?.partitions ?? []
      const known = found.filter(({ committedOffset }) => committedOffset >= 0n)
      return new Map(known.map((one) => [one.partitionIndex, Number(one.committedOffset)]))
    } catch (thrown) {
      throw toLogError(thrown)
    }
  }

  async #partitionCount(): Promise<number> {
    const { name, partitions } = this.#topic
    const metadata = await this.#admin.metadata({ topics: [name] })
    return metadata.topics.get(name)?.partitionsCount ?? partitions
  }

  async #list(count: number, timestamp: bigint): Promise<ReadonlyMap<number, number>> {
    const partitions = Array.from({ length: count }, (_, partitionIndex) => ({
      partitionIndex,
      timestamp,
    }))
    const [answer] = await this.#admin.listOffsets({
      topics: [{ name: this.#topic.name, partitions }],
      // Up to where readers see: the last offset that no open transaction holds back.
      isolationLevel: FetchIsolationLevels.READ_COMMITTED,
    })
    const offsets = answer?.partitions ?? []
    return new Map(offsets.map(({ partitionIndex, offset }) => [partitionIndex, Number(offset)]))
  }
}
