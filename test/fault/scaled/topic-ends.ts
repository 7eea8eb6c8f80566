import { Admin, ListOffsetTimestamps } from '@platformatic/kafka'
import type { Scene } from './scene.ts'

/** The offsets after the last record of each partition, as Kafka says: topic → by partition. */
export async function topicEnds({ servers, topic }: Scene): Promise<Map<string, number[]>> {
  const admin = new Admin({
    clientId: 'faults',
    bootstrapBrokers: servers.kafkaAddress.split(','),
  })
  try {
    const topics = [topic, `${topic}.rejected`]
    const found = await admin.metadata({ topics, forceUpdate: true })
    const answers = await admin.listOffsets({
      topics: topics.map((name) => ({
        name,
        partitions: Array.from(
          { length: found.topics.get(name)?.partitionsCount ?? 0 },
          (_, partitionIndex) => ({ partitionIndex, timestamp: ListOffsetTimestamps.LATEST }),
        ),
      })),
    })
    return new Map(
      answers.map(({ name, partitions }) => {
        const ends: number[] = []
        for (const { partitionIndex, offset } of partitions) ends[partitionIndex] = Number(offset)
        return [name, ends]
      }),
    )
  } finally {
    await admin.close()
  }
}
