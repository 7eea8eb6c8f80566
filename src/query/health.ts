import { toError } from '../lib/assert.ts'
import type { StoreHealth } from '../store/store.ts'
import type { QueryStore } from './query.ts'

/** How the way from the log to the store is; only the composition root can see it whole. */
export interface FlowHealth {
  /** Records on the log that are not stored yet; null when nobody knows. */
  readonly lag: number | null
  /**
   * `waiting` while it cannot store; `elsewhere` where other processes have to consume, which this one
   * does not see; `stopped` where none does.
   */
  readonly consumer: 'running' | 'waiting' | 'elsewhere' | 'stopped'
  /** What keeps events from being taken or stored, or null. */
  readonly problem: string | null
  /** Where events can be sent, when the same process collects. */
  readonly collectorUrl: string | null
}

function damageOf({ damagedDays }: StoreHealth): string | null {
  if (damagedDays.length === 0) return null
  return `the files of closed days are missing or cut: ${damagedDays.join(', ')}`
}

/** How everything is. */
export interface Health extends FlowHealth {
  /** False when there is a problem, or the store cannot be asked. */
  readonly ok: boolean
  /** null when it cannot be asked. */
  readonly store: StoreHealth | null
}

/** Asks store and flow; that one cannot be asked is a finding too, so this never rejects. */
export async function askHealth(
  store: QueryStore,
  flow: () => Promise<FlowHealth>,
): Promise<Health> {
  const [stored, flowing] = await Promise.allSettled([store.health(), flow()])
  const seen: FlowHealth =
    flowing.status === 'fulfilled'
      ? flowing.value
      : {
          lag: null,
          consumer: 'stopped',
          problem: toError(flowing.reason).message,
          collectorUrl: null,
        }
  const problems = [
    stored.status === 'rejected' ? toError(stored.reason).message : damageOf(stored.value),
    seen.problem,
  ].filter((problem) => problem !== null)
  return {
    ...seen,
    ok: problems.length === 0,
    problem: problems.length === 0 ? null : problems.join('; '),
    store: stored.status === 'fulfilled' ? stored.value : null,
  }
}
