import { join } from 'node:path'
import type { Config } from '../config.ts'
import { eventRecordSchema, rejectionRecordSchema } from '../event/record.ts'
import { dayMs } from '../lib/clock.ts'
import { openEmbeddedLog } from '../log/embedded/embedded.ts'
import { segmentAgeMs } from '../log/embedded/retention.ts'
import { openConfiguredLog } from '../log/kafka/settings.ts'
import { topicExpiresAt } from '../log/kafka/topics.ts'
import type { Log } from '../log/log.ts'
import { openConfiguredStore, prepareConfiguredKeyspace } from '../store/cassandra/settings.ts'
import { openEmbeddedStore } from '../store/embedded/embedded.ts'
import type { Store } from '../store/store.ts'

/** The only place that knows which backend is in use. */

/** The two topics. */
export interface Logs {
  readonly events: Log
  readonly rejected: Log
  close(): Promise<void>
}

type Topic = 'events' | 'rejected'

/** The share of the log's bytes that refused requests may take. */
const rejectedShare = 0.1

/**
 * Opens both topics. A log that is opened to write takes a partition of its own at its first append.
 * @throws MillraceError `log_corrupt`, `log_version`, `log_unwritable`; with Kafka `log_unavailable`,
 *   `log_refused`, `log_replicas`, `log_topic`, `registry_unavailable`, `registry_refused`
 */
export async function openLogs(config: Config): Promise<Logs> {
  const { maxBytes } = config.log
  const events = await openLog(config, 'events', maxBytes * (1 - rejectedShare))
  try {
    await events.addSchema(eventRecordSchema.text)
    const rejected = await openLog(config, 'rejected', maxBytes * rejectedShare)
    await rejected.addSchema(rejectionRecordSchema.text)
    return {
      events,
      rejected,
      async close() {
        await Promise.all([events.close(), rejected.close()])
      },
    }
  } catch (thrown) {
    await events.close()
    throw thrown
  }
}

async function openLog(config: Config, topic: Topic, maxBytes: number): Promise<Log> {
  const { data, log, kafka } = config
  switch (log.backend) {
    case 'kafka':
      return openConfiguredLog(kafka, log, topic)
    case 'embedded':
      return openEmbeddedLog({
        ...log,
        folder: join(data, 'log'),
        topic,
        maxBytes,
        // Retention frees whole segments, so a small log needs small ones.
        segmentBytes: Math.min(log.segmentBytes, Math.floor(maxBytes / 4)),
      })
  }
}

/**
 * When the log has let go of every record that was received until `at`, in ms since 1970: a segment
 * that is begun with such a record is ended at a certain age and freed by the next look after its
 * newest record is old enough. A log without room lets go earlier.
 */
export function logExpiresAt({ log, consume }: Config, at: number): number {
  switch (log.backend) {
    case 'kafka':
      return topicExpiresAt(log.retentionDays, at)
    case 'embedded':
      return (
        at +
        segmentAgeMs(log.retentionDays) +
        log.retentionDays * dayMs +
        2 * consume.housekeepingMs
      )
  }
}

/**
 * @throws MillraceError `store_locked`, `store_corrupt`, `store_version`; with Cassandra
 *   `store_unavailable`, `store_unauthorized`, `store_unprepared`, `store_version`
 */
export async function openStore({ data, store, cassandra }: Config): Promise<Store> {
  switch (store.backend) {
    case 'cassandra':
      return openConfiguredStore(cassandra, store)
    case 'embedded':
      return openEmbeddedStore({ ...store, folder: join(data, 'store') })
  }
}

/** Makes what has to be there before the store can be opened, where that is not done by opening it. */
export async function prepareStore({ store, cassandra }: Config): Promise<void> {
  switch (store.backend) {
    case 'cassandra':
      return prepareConfiguredKeyspace(cassandra)
    case 'embedded':
      return
  }
}
