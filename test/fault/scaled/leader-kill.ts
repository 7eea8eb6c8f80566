import { ConfigResourceTypes, IncrementalAlterConfigOperationTypes } from '@platformatic/kafka'
import { createAdmin } from '../../../src/log/kafka/client.ts'
import type { Attempt, FaultRow } from './run.ts'
import type { Scene } from './scene.ts'

/**
 * Row 3: the broker that leads the topic is killed, in every second run after its followers stood
 * still for a second, so that it alone has what came last.
 */
export const leaderKill: FaultRow = {
  number: 3,
  title: 'Kafka leader kill -9',
  needs: { kafka: { brokers: 3 } },
  scene: { env: { MILLRACE_KAFKA_PARTITIONS: '1' } },
  run: (scene, attempt) => killLeader(scene, attempt, attempt.random() < 0.5 ? 0 : stillMs),
  control: {
    title: 'acks=1, unclean election',
    scene: {
      env: { MILLRACE_KAFKA_PARTITIONS: '1', MILLRACE_KAFKA_ALLOW_SINGLE_REPLICA: 'true' },
      collectScript: new URL('one-ack-collect.ts', import.meta.url).pathname,
    },
    prepare: allowUncleanElection,
    run: (scene, attempt) => killLeader(scene, attempt, stillMs),
  },
}

const stillMs = 1_000
const healMs = 60_000

async function killLeader(scene: Scene, attempt: Attempt, followersStillMs: number): Promise<void> {
  const kafka = scene.servers.kafka()
  const driver = attempt.drive({ port: scene.collectPort(), rate: 200 })
  await driver.untilAcknowledged(100)
  await waitFor(attempt.random() * 1_500)
  const leaderId = (await stateOf(scene)).leader
  const leader = kafka.brokers[leaderId - 1]
  if (leader === undefined) throw new Error(`broker ${leaderId} leads, which there is not`)
  const followers = kafka.brokers.filter((broker) => broker !== leader)
  attempt.notes.push(`broker ${leaderId} killed`)
  if (followersStillMs > 0) attempt.notes.push(`after its followers stood ${followersStillMs} ms`)
  try {
    if (followersStillMs > 0) for (const follower of followers) follower.pause()
    await waitFor(followersStillMs)
    await leader.kill()
  } finally {
    for (const follower of followers) follower.resume()
  }
  await driver.untilAcknowledged(100)
  await leader.start()
  await untilInSync(scene, kafka.brokers.length)
  await driver.untilAcknowledged(100)
  await driver.stop()
}

/** The only partition of the topic. */
async function stateOf(
  scene: Scene,
): Promise<{ readonly leader: number; readonly inSync: number }> {
  const { kafkaAddress } = scene.servers
  const admin = createAdmin({ brokers: kafkaAddress.split(','), timeoutMs: 5_000 })
  try {
    const metadata = await admin.metadata({ topics: [scene.topic], forceUpdate: true })
    const partition = metadata.topics.get(scene.topic)?.partitions[0]
    return { leader: partition?.leader ?? -1, inSync: partition?.isr.length ?? 0 }
  } finally {
    await admin.close()
  }
}

async function untilInSync(scene: Scene, count: number): Promise<void> {
  const deadline = performance.now() + healMs
  for (;;) {
    const state = await stateOf(scene).catch(() => undefined)
    if (state !== undefined && state.leader > 0 && state.inSync === count) return
    if (performance.now() > deadline) throw new Error('the replicas are not in sync again')
    await waitFor(100)
  }
}

async function allowUncleanElection(scene: Scene): Promise<() => Promise<void>> {
  const { kafkaAddress } = scene.servers
  const admin = createAdmin({ brokers: kafkaAddress.split(','), timeoutMs: 5_000 })
  const configs = [
    ['unclean.leader.election.enable', 'true'],
    ['min.insync.replicas', '1'],
  ].map(([name = '', value = '']) => {
    return { name, value, configOperation: IncrementalAlterConfigOperationTypes.SET }
  })
  try {
    await admin.incrementalAlterConfigs({
      resources: [{ resourceType: ConfigResourceTypes.TOPIC, resourceName: scene.topic, configs }],
    })
  } finally {
    await admin.close()
  }
  return async () => {}
}

function waitFor(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
