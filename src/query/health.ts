import { toError } from '../lib/assert.ts'
import type { StoreHealth } from '../store/store.ts'
import type { QueryStore } from './query.ts'

/** How the way from the log to the store is; only the composition root can see it whole. */
export interface FlowHealth {
  /** Records on the log that are not stored yet; null when nobody knows. */
  readonly lag: number | null
  readonly consumer: 'running' | 'waiting' | 'stopped'
  /** What holds the consumer up, or null. */
  readonly problem: string | null
  /** Where events can be sent, when the same process collects. */
  readonly collectorUrl: string | null
}

/** How everything is. */
export interface Health extends FlowHealth {
  /** False when events are not being stored, or the store cannot be asked. */
  readonly ok: boolean
  /** null when the store cannot be asked. */
  readonly store: StoreHealth | null
}

/** Asks store and flow; what cannot be asked is the finding, so this never rejects. */
export async function askHealth(
  store: QueryStore,
  flow: () => Promise<FlowHealth>,
): Promise<Health> {
  const [stored, flowing] = await Promise.allSettled([store.health(), flow()])
  const health = stored.status === 'fulfilled' ? stored.value : null
  const seen: FlowHealth =
    flowing.status === 'fulfilled'
      ? flowing.value
      : {
          lag: null,
          consumer: 'stopped',
          problem: toError(flowing.reason).message,
          collectorUrl: null,
        }
  const problem =
    stored.status === 'rejected' ? toError(stored.reason).message : (seen.problem ?? null)
  const ok = health !== null && problem === null && seen.consumer === 'running'
  return { ...seen, ok, problem, store: health }
}
