import type { ApiParts } from '../api/api.ts'
import { latenessMs } from '../collect/enrich.ts'
import type { Config } from '../config.ts'
import { closeDays, findDueDays, partitionStates, passedTime } from '../consume/close.ts'
import { dayMs, dayOf, systemClock } from '../lib/clock.ts'
import { storeGroup } from '../log/log.ts'
import { checkDays } from '../query/check.ts'
import type { Store } from '../store/store.ts'
import type { Logs } from './backends.ts'

/** What has to be done once a day, for whoever does it at hours of their own: cron, Airflow. */
export function createUpkeep(
  { store: { retentionDays } }: Config,
  logs: Logs,
  store: Store,
): Required<Pick<ApiParts, 'close' | 'days' | 'check' | 'retain'>> {
  const parts = { events: logs.events, store, clock: systemClock }
  return {
    async close({ day, until, signal }, onProgress) {
      const options = { latenessMs, signal, onProgress }
      if (day !== undefined) return closeDays(store, [{ day }], options)
      const due = await findDueDays(parts, latenessMs)
      return closeDays(
        store,
        until === undefined ? due : due.filter((state) => state.day <= until),
        options,
      )
    },
    async days() {
      const states = await store.days()
      return states.map(({ day, openRows, closedRows, version }) => {
        const dueAt = new Date(Date.parse(day) + dayMs + latenessMs).toISOString()
        return { day, openRows, closedRows, version, dueAt }
      })
    },
    async check(question, signal, onProgress) {
      const now = systemClock()
      const storedUntil = passedTime(await partitionStates(parts), now)
      const lags = await logs.events.lag(storeGroup)
      const lag = lags.reduce((sum, one) => sum + one.lag, 0)
      return checkDays(store, { storedUntil, lag }, question, signal, onProgress)
    },
    async retain() {
      const now = systemClock()
      const events = await store.retain(retentionDays, now)
      let logBytes = 0
      for (const log of [logs.events, logs.rejected]) logBytes += await log.retain(now)
      return { firstDay: dayOf(now - (retentionDays - 1) * dayMs), events, logBytes }
    },
  }
}
