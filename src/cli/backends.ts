import { join } from 'node:path'
import type { Config } from '../config.ts'
import { eventRecordSchema, rejectionRecordSchema } from '../event/record.ts'
import { openEmbeddedLog } from '../log/embedded/embedded.ts'
import type { Log } from '../log/log.ts'
import { openEmbeddedStore } from '../store/embedded/embedded.ts'
import type { Store } from '../store/store.ts'

/** The only place that knows which backend is in use. */

/** The two topics. */
export interface Logs {
  readonly events: Log
  readonly rejected: Log
  close(): Promise<void>
}

/** The share of the log's bytes that refused requests may take. */
const rejectedShare = 0.1

/**
 * Opens both topics. A log that is opened to write takes a partition of its own at its first append.
 * @throws MillraceError `log_corrupt`, `log_version`, `log_unwritable`
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

async function openLog({ data, log }: Config, topic: string, maxBytes: number): Promise<Log> {
  switch (log.backend) {
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

/** @throws MillraceError `store_locked`, `store_corrupt`, `store_version` */
export async function openStore({ data, store }: Config): Promise<Store> {
  switch (store.backend) {
    case 'embedded':
      return openEmbeddedStore({ ...store, folder: join(data, 'store') })
  }
}
