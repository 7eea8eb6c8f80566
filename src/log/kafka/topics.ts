import { type Admin, ConfigResourceTypes } from '@platformatic/kafka'
import { MillraceError } from '../../event/error.ts'
import { waitMs } from '../../lib/retry.ts'
import { hasError, toLogError } from './client.ts'

/** What a topic has to be. */
export interface TopicPlan {
  readonly name: string
  /** Of a topic that is made; one that exists keeps its own. */
  readonly partitions: number
  /** At most as many as there are brokers. */
  readonly replicas: number
  /** A trial: one broker may be all that keeps the records. */
  readonly allowSingleReplica: boolean
  /** `compact` keeps the last record of each key for ever. */
  readonly keep: { readonly days: number } | 'compact'
  /** It must exist, and its settings are somebody else's. */
  readonly isForeign: boolean
}

/** A topic as it is. */
export interface Topic {
  readonly name: string
  readonly id: string
  readonly clusterId: string
  readonly partitions: number
  /** Replicas that must have a record before it counts as durable. */
  readonly inSyncMin: number
}

/** The least that a topic must take in one batch: what the appender sends at once. */
const batchBytesMin = 1_000_000
const dayMs = 86_400_000
const createTimeoutMs = 10_000
const segmentMs = 12 * 3_600_000
/** Brokers look for old segments every 5 minutes and delete their files a minute later. */
const cleanupMs = 6 * 60_000

/** When a topic of ours has let go of every record that it was given until `at`, ms since 1970. */
export function topicExpiresAt(retentionDays: number, at: number): number {
  return at + segmentMs + retentionDays * dayMs + cleanupMs
}

/**
 * Makes the topic if there is none, and checks that what it says about durability holds.
 * @throws MillraceError `log_replicas`, `log_topic`, `log_unavailable`, `log_refused`
 */
export async function prepareTopic(admin: Admin, plan: TopicPlan): Promise<Topic> {
  try {
    if (!(await admin.listTopics()).includes(plan.name)) await createTopic(admin, plan)
    const topic = await describeTopic(admin, plan.name)
    const settings = await topicSettings(admin, plan.name)
    const inSyncMin = Number(settings.get('min.insync.replicas'))
    if (!plan.isForeign) {
      checkReplicas(plan, topic.replicas, inSyncMin)
      checkSettings(plan, settings)
    }
    const { id, clusterId, partitions } = topic
    return { name: plan.name, id, clusterId, partitions, inSyncMin }
  } catch (thrown) {
    throw toLogError(thrown)
  }
}

async function createTopic(admin: Admin, plan: TopicPlan): Promise<void> {
  if (plan.isForeign) throw new MillraceError('log_topic', `there is no topic ${plan.name}`)
  const brokers = (await admin.metadata({ forceUpdate: true })).brokers.size
  const replicas = Math.min(plan.replicas, brokers)
  const inSyncMin = Math.min(2, replicas)
  checkReplicas(plan, replicas, inSyncMin)
  const settings = { ...wantedSettings(plan), 'min.insync.replicas': `${inSyncMin}` }
  const configs = Object.entries(settings).map(([name, value]) => ({ name, value }))
  try {
    await admin.createTopics({
      topics: [plan.name],
      partitions: plan.partitions,
      replicas,
      configs,
    })
  } catch (thrown) {
    // Another process was faster; what it made is checked like any other.
    if (!hasError(thrown, 'apiId', 'TOPIC_ALREADY_EXISTS')) throw thrown
  }
}

function wantedSettings({ keep }: TopicPlan): Record<string, string> {
  if (keep === 'compact') return { 'cleanup.policy': 'compact' }
  return {
    'cleanup.policy': 'delete',
    'retention.ms': `${keep.days * dayMs}`,
    // By the client's time, a record of last week that is appended today would be deleted at birth.
    'message.timestamp.type': 'LogAppendTime',
    // Kafka deletes whole segments: this is how much longer than `retention.ms` a record may stay.
    'segment.ms': `${segmentMs}`,
  }
}

interface TopicShape {
  readonly id: string
  readonly clusterId: string
  readonly partitions: number
  /** Of the partition that has the fewest. */
  readonly replicas: number
}

/** A topic that was just made is not known to every broker at once, nor has it leaders. */
async function describeTopic(admin: Admin, name: string): Promise<TopicShape> {
  const deadline = performance.now() + createTimeoutMs
  for (;;) {
    const metadata = await admin
      .metadata({ topics: [name], forceUpdate: true, retries: 0 })
      .catch((thrown: unknown) => {
        if (performance.now() > deadline) throw thrown
      })
    const topic = metadata?.topics.get(name)
    const hasLeaders = topic?.partitions.every(({ leader }) => leader >= 0) ?? false
    if (
      metadata !== undefined &&
      topic !== undefined &&
      (hasLeaders || performance.now() > deadline)
    ) {
      const replicas = Math.min(...topic.partitions.map((partition) => partition.replicas.length))
      const { id, partitionsCount: partitions } = topic
      return { id, clusterId: metadata.id, partitions, replicas }
    }
    await waitMs(50)
  }
}

async function topicSettings(admin: Admin, name: string): Promise<ReadonlyMap<string, string>> {
  const resource = { resourceType: ConfigResourceTypes.TOPIC, resourceName: name }
  const described = await admin.describeConfigs({ resources: [resource] })
  const configs = described.flatMap(({ configs }) => configs)
  return new Map(configs.map(({ name, value }) => [name, value ?? '']))
}

function checkReplicas(plan: TopicPlan, replicas: number, inSyncMin: number): void {
  if (plan.allowSingleReplica || (replicas >= 2 && inSyncMin >= 2)) return
  const has = `${replicas} replica${replicas === 1 ? '' : 's'}, min.insync.replicas ${inSyncMin}`
  throw new MillraceError('log_replicas', `${plan.name} has ${has}`)
}

function checkSettings(plan: TopicPlan, settings: ReadonlyMap<string, string>): void {
  const faults: string[] = []
  for (const [name, wanted] of Object.entries(wantedSettings(plan))) {
    const is = settings.get(name)
    if (is !== wanted) faults.push(`${name} is ${is} instead of ${wanted}`)
  }
  if (settings.get('unclean.leader.election.enable') === 'true' && !plan.allowSingleReplica) {
    faults.push('unclean.leader.election.enable is true: a broker that missed records may lead')
  }
  const batchBytesMax = Number(settings.get('max.message.bytes'))
  if (batchBytesMax < batchBytesMin) {
    faults.push(`max.message.bytes is ${batchBytesMax}, less than ${batchBytesMin}`)
  }
  if (faults.length > 0) throw new MillraceError('log_topic', `${plan.name}: ${faults.join('; ')}`)
}
