import { join } from 'node:path'
import type { Config } from '../config.ts'
import type { Consumer } from '../consume/consume.ts'
import { eraseParty, untilCaughtUp } from '../consume/erase.ts'
import { emptyTemp, type TakeAlong } from '../export/take-along.ts'
import { systemClock } from '../lib/clock.ts'
import type { Store } from '../store/store.ts'
import { type Logs, logExpiresAt } from './backends.ts'
import type { Lifecycle } from './lifecycle.ts'
import { version } from './version.ts'

/** How long an erasure and a backup wait for the consumer to pass what the log holds. */
const eraseMs = 10_000
const backupMs = 120_000
/** Likewise where erasures are settled from time to time: a stop waits for that. */
export const settleMs = 2_000

/** Exports, backups and erasures of the process that owns the store. */
export async function createTakeAlong(
  config: Config,
  { logs, store, consumer }: { logs: Logs; store: Store; consumer?: Consumer },
  lifecycle: Lifecycle,
): Promise<TakeAlong> {
  const temp = join(config.data, 'temp')
  // The store is ours: what is there, a process that was killed has left.
  await emptyTemp(temp)
  const ending = new AbortController()
  lifecycle.onStop('erasures', async () => ending.abort())
  const parts = { ...logs, store, clock: systemClock }
  return {
    temp,
    store,
    clock: systemClock,
    version,
    // Where nobody consumes, the store is all that there is to come.
    caughtUp: async (signal) => {
      if (consumer !== undefined) await untilCaughtUp(parts, backupMs, signal)
    },
    schemaText: (fingerprint) => logs.events.schema(fingerprint),
    erase: (partyId) => eraseParty(parts, partyId, eraseMs, ending.signal),
    logExpiresAt: (at) => logExpiresAt(config, at),
  }
}
