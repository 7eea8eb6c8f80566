import type { DuckDBConnection } from '@duckdb/node-api'
import { dayMs, dayOf } from '../../lib/clock.ts'
import type { Filter, RetentionRow, TimeRange } from '../store.ts'
import { relationOf } from './relation.ts'
import { rowsOf } from './sql.ts'
import { conditionOf, createBinding } from './where.ts'

/** Shifts days so that division by a week rounds down before 1970 too. */
const shiftWeeks = 1_000_000

/** 1 January 1970 was a Thursday: the Monday of its week came three days before. */
const mondayDays = 3

/** The week of a day (whole days since 1970): whole weeks since the Monday before 1970. */
const weekOfDay = `(day + ${mondayDays + 7 * shiftWeeks}) // 7 - ${shiftWeeks}`

/** Parties by the week of their first event, and how many came again in the weeks after it. */
export async function followCohorts(
  connection: DuckDBConnection,
  range: TimeRange,
  filter: Filter,
): Promise<RetentionRow[]> {
  const binding = createBinding()
  const before = { from: Number.MIN_SAFE_INTEGER, to: range.from }
  const partiesOf = async (relation: Promise<string>): Promise<string> =>
    `FROM ${await relation} WHERE party_id <> '' AND ${conditionOf(filter, binding)}`
  const counts = await rowsOf(
    connection,
    `WITH seen AS MATERIALIZED (
       SELECT DISTINCT party_id, ${weekOfDay} AS week ${await partiesOf(relationOf(connection, range))}),
     older AS (SELECT DISTINCT party_id ${await partiesOf(relationOf(connection, before))}),
     cohorts AS (
       SELECT party_id, min(week) AS cohort FROM seen ANTI JOIN older USING (party_id) GROUP BY party_id)
     SELECT cohort, week - cohort AS age, count(*) FROM seen JOIN cohorts USING (party_id)
     GROUP BY ALL ORDER BY cohort, age`,
    binding.parameters,
  )
  const lastWeek = Math.floor((Math.floor((range.to - 1) / dayMs) + mondayDays) / 7)
  const weeks = new Map<number, number[]>()
  for (const [cohort, age, parties] of counts as number[][]) {
    const week = cohort as number
    const returned = weeks.get(week) ?? new Array<number>(lastWeek - week + 1).fill(0)
    returned[age as number] = parties as number
    weeks.set(week, returned)
  }
  return [...weeks].map(([week, returned]) => ({
    week: dayOf((week * 7 - mondayDays) * dayMs),
    parties: returned[0] ?? 0,
    returned,
  }))
}
