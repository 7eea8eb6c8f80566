import { Admin, Producer } from '@platformatic/kafka'
import {
  freePort,
  type Running,
  startMillrace,
  temporaryFolder,
  untilStored,
} from '../fault/process.ts'

/** A topic of others, read by `millrace consume` as its users start it. */

export const always = { from: -62_135_596_800_000, to: Date.UTC(10_000, 0, 1) }

export interface Message {
  readonly timestamp?: number
  readonly key?: string
  readonly value: Buffer
}

/** A topic as Divolte's users make one: one replica, the producer's time, none of our settings. */
export async function produce(
  broker: string,
  topic: string,
  messages: readonly Message[],
): Promise<void> {
  const admin = new Admin({ clientId: 'test', bootstrapBrokers: [broker] })
  const producer = new Producer({ clientId: 'test', bootstrapBrokers: [broker] })
  try {
    await admin.createTopics({ topics: [topic], partitions: 1, replicas: 1 })
    await producer.send({
      acks: -1,
      messages: messages.map(({ timestamp, key, value }) => ({
        topic,
        value,
        ...(key !== undefined && { key: Buffer.from(key) }),
        ...(timestamp !== undefined && { timestamp: BigInt(timestamp) }),
      })),
    })
  } finally {
    await Promise.all([admin.close(), producer.close()])
  }
}

export interface ConsumeRun {
  readonly broker: string
  readonly topic: string
  readonly env: Readonly<Record<string, string>>
  readonly flags?: readonly string[]
}

/** Runs `millrace consume` until all is stored; calls `work` then, and `finish` when it has ended. */
export async function runConsume<Result>(
  { broker, topic, env, flags = [] }: ConsumeRun,
  work: (env: Readonly<Record<string, string>>, running: Running) => Promise<void>,
  finish: (folder: string) => Promise<Result>,
): Promise<Result> {
  const folder = temporaryFolder()
  try {
    const all = {
      MILLRACE_LOG: 'kafka',
      MILLRACE_KAFKA_BROKERS: broker,
      MILLRACE_KAFKA_TOPIC: topic,
      MILLRACE_KAFKA_GROUP: topic,
      MILLRACE_KAFKA_ALLOW_SINGLE_REPLICA: 'true',
      ...env,
    }
    const running = await startMillrace({
      folder: folder.path,
      collectPort: await freePort(),
      apiPort: await freePort(),
      command: ['consume', ...flags],
      env: all,
    })
    try {
      await untilStored(running)
      await work({ ...all, MILLRACE_DATA: folder.path }, running)
    } finally {
      await running.stop()
    }
    return await finish(folder.path)
  } finally {
    folder.remove()
  }
}
