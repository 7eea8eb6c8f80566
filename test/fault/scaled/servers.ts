import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type Cassandra,
  type CassandraOptions,
  startCassandra,
} from '../../../script/services/cassandra.ts'
import { type Kafka, type KafkaOptions, startKafka } from '../../../script/services/kafka.ts'

/** Real servers for fault runs: shared ones while they are not harmed, otherwise a row's own. */

/** What a row harms it needs for itself; what is left out may be shared with others. */
export interface ServerNeeds {
  readonly kafka?: Omit<KafkaOptions, 'folder'>
  readonly cassandra?: Omit<CassandraOptions, 'folder'>
}

export interface Servers {
  /** `HOST:PORT,…` */
  readonly kafkaAddress: string
  /** `HOST:PORT` */
  readonly cassandraAddress: string
  /** How many brokers there are. */
  readonly brokers: 1 | 3
  /** To be harmed. @throws Error when the row has not asked for one of its own */
  kafka(): Kafka
  /** To be harmed. @throws Error when the row has not asked for one of its own */
  cassandra(): Cassandra
}

/** Where servers that nobody harms answer. */
export interface SharedAddresses {
  kafka(): Promise<string>
  cassandra(): Promise<string>
}

/** Starts what is needed, runs `work` with it, and ends and removes what was started. */
export async function withServers<T>(
  needs: ServerNeeds,
  shared: SharedAddresses,
  work: (servers: Servers) => Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-faults-'))
  const remove = (): void => rmSync(folder, { recursive: true, force: true })
  // A run that is interrupted; its servers end with it.
  process.once('exit', remove)
  const kafka = needs.kafka && startKafka({ ...needs.kafka, folder: join(folder, 'kafka') })
  const cassandra =
    needs.cassandra && startCassandra({ ...needs.cassandra, folder: join(folder, 'cassandra') })
  try {
    const [ownKafka, ownCassandra] = await Promise.all([kafka, cassandra])
    return await work({
      kafkaAddress: ownKafka?.address ?? (await shared.kafka()),
      cassandraAddress: ownCassandra?.address ?? (await shared.cassandra()),
      brokers: needs.kafka?.brokers ?? 1,
      kafka: () => ownOf('Kafka', ownKafka),
      cassandra: () => ownOf('Cassandra', ownCassandra),
    })
  } finally {
    // One that did not start has told so above, and has ended.
    const settled = await Promise.allSettled([kafka, cassandra])
    for (const one of settled) if (one.status === 'fulfilled') await one.value?.kill()
    process.off('exit', remove)
    remove()
  }
}

function ownOf<Server>(name: string, server: Server | undefined): Server {
  if (server !== undefined) return server
  throw new Error(`this row harms ${name}, so its \`needs\` must name it`)
}
