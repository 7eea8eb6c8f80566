import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Config } from '../config.ts'
import type { ForeignRecords } from '../consume/foreign.ts'
import type { MillraceError } from '../event/error.ts'
import { rejectionRecordSchema } from '../event/record.ts'
import { dayMs } from '../lib/clock.ts'
import { type EmbeddedLogOptions, openEmbeddedLog } from '../log/embedded/embedded.ts'
import { segmentAgeMs } from '../log/embedded/retention.ts'
import { listSlots, slotOwner, takeSlot } from '../log/embedded/slots.ts'
import { topicBytes } from '../log/embedded/space.ts'
import { recordBytesMax } from '../log/kafka/appender.ts'
import { openConfiguredLog } from '../log/kafka/settings.ts'
import { topicExpiresAt } from '../log/kafka/topics.ts'
import type { Log } from '../log/log.ts'
import type { SpooledLog } from '../log/spool.ts'
import {
  openConfiguredHistory,
  openConfiguredStore,
  prepareConfiguredKeyspace,
} from '../store/cassandra/settings.ts'
import { openEmbeddedStore } from '../store/embedded/embedded.ts'
import type { HistorySource, HistoryTarget } from '../store/history.ts'
import type { Store } from '../store/store.ts'
import { schemaTopicsOf, writtenSchemasOf } from './mappings.ts'
import { foreignRecordsOf } from './record-schema.ts'

/** The only place that knows which backend is in use. */

/** The two topics. */
export interface Logs {
  readonly events: Log
  readonly rejected: Log
  /** How records of the topic `events` become rows, when others write them. */
  readonly foreign?: ForeignRecords | undefined
  /** What stands before logs on other machines, in a process that collects. */
  readonly spooling?: Spooling
  close(): Promise<void>
}

/** A process's spools at work. */
export interface Spooling {
  readonly number: number
  readonly events: SpooledLog
  readonly rejected: SpooledLog
  /** Why records go to the spool now; undefined while they go to the log. */
  readonly trouble: MillraceError | undefined
  /** Of the spool's files, records that are moved and not freed yet included. */
  bytes(): number
}

/** The two spools of one process, in `DATA/spool/NUMBER`. */
export interface Spools {
  readonly number: number
  readonly events: Log
  readonly rejected: Log
  bytes(): number
  close(): Promise<void>
}

export type Topic = 'events' | 'rejected'

/** The share of the log's bytes that refused requests may take. */
const rejectedShare = 0.1

/**
 * Opens both topics. A log that is opened to write takes a partition of its own at its first append.
 * @throws MillraceError `log_corrupt`, `log_version`, `log_unwritable`; with Kafka `log_unavailable`,
 *   `log_refused`, `log_replicas`, `log_topic`, `registry_unavailable`, `registry_refused`
 */
export async function openLogs(config: Config): Promise<Logs> {
  const { maxBytes } = config.log
  const foreign = foreignRecordsOf(config)
  const events = await openLog(config, 'events', maxBytes * (1 - rejectedShare), foreign)
  try {
    // A registry has the schemas of others under the topic's name: ours would be one of theirs.
    if (foreign?.schemaText === undefined) {
      for (const text of writtenSchemasOf(config)) await events.addSchema(text)
    }
    const rejected = await openLog(config, 'rejected', maxBytes * rejectedShare)
    await rejected.addSchema(rejectionRecordSchema.text)
    return {
      events,
      rejected,
      foreign,
      async close() {
        await Promise.all([events.close(), rejected.close()])
      },
    }
  } catch (thrown) {
    await events.close()
    throw thrown
  }
}

/** One of the two topics; see `openLogs`. */
export async function openLog(
  config: Config,
  topic: Topic,
  maxBytes: number = config.log.maxBytes,
  foreign?: ForeignRecords,
): Promise<Log> {
  const { data, log, kafka } = config
  switch (log.backend) {
    case 'kafka':
      return openConfiguredLog(kafka, log, topic, foreign?.schemaText, schemaTopicsOf(config))
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

/** The largest record that a log with a spool before it takes. */
export const spooledBytesMax: number = recordBytesMax

/** True when the log may be away while this machine is well. */
export function needsSpool({ log, spool }: Config): boolean {
  return log.backend === 'kafka' && spool.enabled
}

/** The numbers of the spools of this data folder. */
export function listSpools({ data }: Config): Promise<number[]> {
  return listSlots(join(data, 'spool'))
}

/** The process that spools belong to, dead or alive. */
export function spoolOwner({ data }: Config, number: number): number | undefined {
  return slotOwner(join(data, 'spool'), number)
}

/**
 * The spools with this number, to be drained, and to be written too if `write` is set. Undefined
 * while they are another living process's.
 * @throws MillraceError `log_corrupt`, `log_unwritable`, `log_version`
 */
export async function openSpools(
  config: Config,
  number: number,
  write = false,
): Promise<Spools | undefined> {
  const slot = await takeSlot(join(config.data, 'spool'), number)
  if (slot === undefined) return
  const { folder } = slot
  const logs: Log[] = []
  const open = async (topic: Topic): Promise<Log> => {
    const log = await openEmbeddedLog({ ...spoolOptions(config, folder, topic), write })
    logs.push(log)
    return log
  }
  const close = async (): Promise<void> => {
    for (const log of logs) await log.close()
    await slot.release()
  }
  try {
    const events = await open('events')
    const rejected = await open('rejected')
    const bytes = (): number =>
      topicBytes(join(folder, 'events')) + topicBytes(join(folder, 'rejected'))
    return { number, events, rejected, bytes, close }
  } catch (thrown) {
    await close()
    throw thrown
  }
}

/** The logs of spools that another process may have, to look at only. */
export async function peekSpools(config: Config, number: number): Promise<readonly Log[]> {
  const folder = join(config.data, 'spool', String(number))
  const topics = (['events', 'rejected'] as const).filter((topic) =>
    existsSync(join(folder, topic, 'log.json')),
  )
  const options = topics.map((topic) => spoolOptions(config, folder, topic))
  return Promise.all(options.map((one) => openEmbeddedLog({ ...one, readOnly: true })))
}

const spoolSegmentBytes = 16 * 1024 * 1024

function spoolOptions({ log, spool }: Config, folder: string, topic: Topic): EmbeddedLogOptions {
  const maxBytes = spool.maxBytes * (topic === 'rejected' ? rejectedShare : 1 - rejectedShare)
  return {
    folder,
    topic,
    maxBytes,
    // What has been moved is of no use any more.
    retentionDays: 0,
    segmentBytes: Math.min(spoolSegmentBytes, Math.floor(maxBytes / 4)),
    syncIntervalMs: log.syncIntervalMs,
    diskReserveBytes: log.diskReserveBytes,
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

/** True when any number of processes may have the store open at once. */
export function isStoreShared({ store }: Config): boolean {
  switch (store.backend) {
    case 'cassandra':
      return true
    case 'embedded':
      return false
  }
}

/**
 * The store of a data folder as something to move away from.
 * @throws MillraceError as `openStore`
 */
export function openEmbeddedHistory({ data, store }: Config): Promise<Store & HistorySource> {
  return openEmbeddedStore({ ...store, folder: join(data, 'store') })
}

/** The stores that a move can go to. */
export const historyTargets = ['cassandra'] as const

/**
 * The configured Cassandra as something to move to.
 * @throws MillraceError as `openStore`
 */
export function openHistoryTarget({ cassandra }: Config): Promise<HistoryTarget> {
  return openConfiguredHistory(cassandra)
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
