import { Producer } from '@platformatic/kafka'
import type { DeadLettersAnswer, HealthAnswer } from '../../../src/api/answer.ts'
import { everyRow } from './evidence.ts'
import { type Poison, poisonRecords } from './poison.ts'
import type { Attempt, FaultRow } from './run.ts'
import type { Scene } from './scene.ts'

/**
 * Row 20: what others put into the topic by mistake. What cannot be an event is a dead letter with
 * its offset, once, and the events beside it in the same batch are stored.
 */
export const poisonousTopic: FaultRow = {
  number: 20,
  title: 'poison records among good ones',
  async run(scene, attempt) {
    const { ledger, random, notes } = attempt
    const driver = attempt.drive({ port: scene.collectPort(), rate: 300 })
    await driver.untilAcknowledged(100)
    const producer = new Producer({
      clientId: 'poison',
      bootstrapBrokers: scene.servers.kafkaAddress.split(','),
    })
    try {
      for (const poison of poisonRecords(ledger.name, random)) {
        if (poison.identity !== undefined) ledger.sent.add(poison.identity)
        const place = await produce(producer, scene, poison, Math.floor(random() * partitions))
        if (poison.identity !== undefined) ledger.acknowledged.add(poison.identity)
        if (poison.code !== undefined) expectedIn(scene).set(place, poison)
        await new Promise((resolve) => setTimeout(resolve, random() * 2 * pauseMs))
      }
    } finally {
      await producer.close()
    }
    await driver.untilAcknowledged(100)
    await driver.stop()
    notes.push(`${expectedIn(scene).size} to be dead letters so far`)
  },
  check: checkDeadLetters,
  control: {
    title: 'nothing catches what a record throws',
    scene: {
      env: { TEST_WRONG_CONSUMER: 'uncaught' },
      consumeScript: new URL('wrong-consumer.ts', import.meta.url).pathname,
      settleMs: 10_000,
    },
  },
}

/** As many as the scene's topic has. */
const partitions = 3
const pauseMs = 100
const pageLetters = 7

/** What has to be a dead letter, by `PARTITION/OFFSET`, of all seeds of a scene. */
const expected = new WeakMap<Scene, Map<string, Poison>>()

function expectedIn(scene: Scene): Map<string, Poison> {
  const found = expected.get(scene) ?? new Map<string, Poison>()
  expected.set(scene, found)
  return found
}

/** Resolves with the place that Kafka has given it. */
async function produce(
  producer: Producer,
  { topic }: Scene,
  { value, schema }: Poison,
  partition: number,
): Promise<string> {
  const { offsets } = await producer.send({
    acks: -1,
    messages: [
      {
        topic,
        partition,
        key: Buffer.from('poison'),
        ...(value !== undefined && { value }),
        ...(schema !== undefined && {
          headers: new Map([[Buffer.from('millrace-schema'), Buffer.from(schema)]]),
        }),
      },
    ],
  })
  const offset = offsets?.[0]?.offset
  if (offset === undefined) throw new Error('Kafka has named no offset')
  return `${partition}/${offset}`
}

async function checkDeadLetters(scene: Scene, { broken }: Attempt): Promise<void> {
  const wanted = expectedIn(scene)
  const { client, keyspace } = scene
  const sql = `SELECT topic, log_partition, log_offset, code FROM ${keyspace}.dead_letters`
  const stored = new Map<string, string>()
  for (const row of await everyRow(client, sql)) {
    if (row.get('topic') !== 'events') continue
    stored.set(`${row.get('log_partition')}/${row.get('log_offset')}`, row.get('code'))
  }
  for (const [place, { kind, code }] of wanted) {
    if (stored.get(place) === code) continue
    broken.push(
      `${kind} at ${place} is ${stored.get(place) ?? 'no dead letter'} instead of ${code}`,
    )
  }
  for (const [place, code] of stored) {
    if (!wanted.has(place)) broken.push(`a good record at ${place} is a dead letter: ${code}`)
  }
  const answered = await answeredPlaces(scene)
  const once = new Set(answered)
  if (once.size !== answered.length) broken.push('a dead letter is twice in the answers')
  if ([...wanted.keys()].some((place) => !once.has(place)) || once.size !== wanted.size) {
    broken.push(`${once.size} dead letters in the answers instead of ${wanted.size}`)
  }
  const response = await fetch(`${scene.apiUrl}/api/health`)
  const { deadLetters } = (await response.json()) as HealthAnswer
  if (deadLetters !== wanted.size) broken.push(`health counts ${deadLetters} dead letters`)
}

/** Page for page, as somebody looks through them. */
async function answeredPlaces({ apiUrl }: Scene): Promise<string[]> {
  const places: string[] = []
  let next: string | null = null
  do {
    const query = new URLSearchParams({ limit: `${pageLetters}`, ...(next && { after: next }) })
    const response = await fetch(`${apiUrl}/api/dead-letters?${query}`)
    const page = (await response.json()) as DeadLettersAnswer
    for (const { position } of page.deadLetters) {
      if (position.topic === 'events') places.push(`${position.partition}/${position.offset}`)
    }
    next = page.next
  } while (next !== null)
  return places
}
