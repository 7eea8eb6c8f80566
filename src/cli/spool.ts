import type { Registry } from 'prom-client'
import type { Config } from '../config.ts'
import { envelopeOf } from '../event/envelope.ts'
import { isMillraceError } from '../event/error.ts'
import { createDecoder, rejectionRecordSchema } from '../event/record.ts'
import { systemClock } from '../lib/clock.ts'
import { drain } from '../log/drain.ts'
import { openSpooledLog, type SpooledLog } from '../log/spool.ts'
import {
  type Logs,
  listSpools,
  needsSpool,
  openLog,
  openLogs,
  openSpools,
  type Spooling,
  type Spools,
  spooledBytesMax,
  type Topic,
} from './backends.ts'
import type { Lifecycle } from './lifecycle.ts'
import { writtenSchemasOf } from './mappings.ts'
import { foreignRecordsOf } from './record-schema.ts'
import { every, gauge, keepLogs } from './stages.ts'
import { logLine } from './terminal.ts'

/**
 * The logs of a process that collects, behind its spool where they are on other machines; spools
 * that ended processes left are drained from time to time.
 * @param isRequired the process reads the log too: it must be there at the start
 */
export async function openCollectLogStage(
  config: Config,
  lifecycle: Lifecycle,
  isRequired: boolean,
): Promise<Logs> {
  const logs = await openCollectLogs(config, isRequired)
  keepLogs(config, logs, lifecycle)
  const { spooling } = logs
  if (spooling === undefined) return logs
  const stopping = new AbortController()
  every(config.consume.housekeepingMs, lifecycle, () =>
    drainLeftSpools(config, spooling, stopping.signal),
  )
  lifecycle.onStop('drain', async () => stopping.abort())
  return logs
}

async function openCollectLogs(config: Config, isRequired: boolean): Promise<Logs> {
  // A topic that others write is none to collect into; who opens the collector says so.
  if (!needsSpool(config) || config.consume.recordSchema !== 'event') return openLogs(config)
  const spools = await openOwnSpools(config)
  const opened: SpooledLog[] = []
  const open = async (topic: Topic): Promise<SpooledLog> => {
    const log = await openSpooledLog({
      ...config.spool,
      spool: spools[topic],
      openLog: () => openLog(config, topic),
      recordBytesMax: spooledBytesMax,
      isRequired,
      onLine: logLine,
    })
    opened.push(log)
    return log
  }
  const close = async (): Promise<void> => {
    await Promise.all(opened.map((log) => log.close()))
    await spools.close()
  }
  try {
    const topics = await Promise.allSettled([open('events'), open('rejected')])
    const [events, rejected] = topics.map(fulfilledValue) as [SpooledLog, SpooledLog]
    for (const text of writtenSchemasOf(config)) await events.addSchema(text)
    await rejected.addSchema(rejectionRecordSchema.text)
    const { number, bytes } = spools
    const spooling: Spooling = {
      number,
      events,
      rejected,
      bytes,
      get trouble() {
        return events.trouble ?? rejected.trouble
      },
    }
    return { events, rejected, spooling, foreign: foreignRecordsOf(config), close }
  } catch (thrown) {
    await close()
    throw thrown
  }
}

function fulfilledValue<T>(settled: PromiseSettledResult<T>): T {
  if (settled.status === 'rejected') throw settled.reason
  return settled.value
}

/** More processes than this that collect into one data folder are a mistake. */
const spoolsMax = 1_024

/** The first that are free and whole. What can be read of damaged ones is drained like any other. */
async function openOwnSpools(config: Config): Promise<Spools> {
  for (let number = 0; ; number++) {
    try {
      const spools = await openSpools(config, number, true)
      if (spools !== undefined) return spools
    } catch (thrown) {
      if (!isMillraceError(thrown, 'log_corrupt') || number >= spoolsMax) throw thrown
      logLine(`spool ${number} is damaged, another is begun: ${thrown.message}`)
    }
  }
}

/** A worker that is not started again, as there are fewer now, leaves a spool that nobody drains. */
async function drainLeftSpools(
  config: Config,
  spooling: Spooling,
  signal: AbortSignal,
): Promise<void> {
  for (const number of await listSpools(config)) {
    if (number === spooling.number || spooling.trouble !== undefined || signal.aborted) continue
    const spools = await openSpools(config, number)
    if (spools === undefined) continue
    try {
      const perSecondMax = config.spool.drainPerSecondMax
      let moved = 0
      for (const topic of ['events', 'rejected'] as const) {
        const parts = { spool: spools[topic], log: spooling[topic] }
        moved += await drain({ ...parts, perSecondMax, signal, onLost })
      }
      if (moved > 0) logLine(`${moved} records of an ended process moved from spool ${number}`)
    } finally {
      await spools.close()
    }
  }
}

function onLost(records: number, { message }: Error): void {
  logLine(`${records} spooled records cannot be read and are left out: ${message}`)
}

/** What a Prometheus server should alarm on while Kafka is away. */
export function registerSpoolMetrics(registry: Registry, { spooling }: Logs): void {
  if (spooling === undefined) return
  const { events, rejected } = spooling
  const add = (name: string, help: string, read: () => Promise<number>): void =>
    gauge(registry, `millrace_spool_${name}`, help, read, 'sum')
  add('records', 'Records that wait in the spool for the log', async () => {
    return (await events.waiting()) + (await rejected.waiting())
  })
  add('bytes', 'Bytes of the files of the spool', async () => spooling.bytes())
  add('lost_records', 'Spooled records that damaged files have cost since the start', async () => {
    return events.lost + rejected.lost
  })
  add('active', 'Processes whose events go to the spool', async () =>
    spooling.trouble === undefined ? 0 : 1,
  )
  const help = 'Age of the oldest event that waits in the spool; 0 when none does'
  gauge(registry, 'millrace_spool_oldest_age_seconds', help, async () => {
    const oldest = await events.oldest()
    const receipt = envelopeOf(oldest?.headers)
    if (receipt !== undefined) return Math.max(0, systemClock() - receipt.receivedAt) / 1_000
    const schema = oldest && (await events.schema(oldest.schema))
    if (oldest === undefined || schema === undefined) return 0
    const { receivedAt } = createDecoder(schema).event(oldest.value)
    return Math.max(0, systemClock() - receivedAt) / 1_000
  })
}
