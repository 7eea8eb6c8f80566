import type { DuckDBConnection } from '@duckdb/node-api'
import type { Filter, TimeRange } from '../store.ts'
import { relationOf } from './relation.ts'
import { rowsOf } from './sql.ts'
import { conditionOf, createBinding } from './where.ts'

/** How many parties came to each step. */
export async function countSteps(
  connection: DuckDBConnection,
  range: TimeRange,
  filter: Filter,
  steps: readonly string[],
): Promise<number[]> {
  const binding = createBinding()
  const relation = await relationOf(connection, range)
  const condition = conditionOf(filter, binding)
  const types = new Map([...new Set(steps)].map((step) => [step, binding.bind(step)]))
  // Places are numbers, as comparing times and ids at each step takes twice the CPU. To take the earliest event that can be a step never costs a later step. Joins may spill to disk,
  // which a list of each party's events may not.
  const reached = steps.map((step, index) => {
    const isStep = `event_type = ${types.get(step)}`
    const from =
      index === 0
        ? `visible WHERE ${isStep}`
        : `visible JOIN step${index - 1} USING (party_id) WHERE ${isStep} AND place > reached`
    return `step${index} AS MATERIALIZED (
      SELECT party_id, min(place) AS reached FROM ${from} GROUP BY party_id)`
  })
  const counts = steps.map((_, index) => `(SELECT count(*) FROM step${index})`)
  const [row = []] = await rowsOf(
    connection,
    `WITH visible AS MATERIALIZED (
       SELECT party_id, event_type,
         row_number() OVER (PARTITION BY party_id ORDER BY event_time, event_id) AS place
       FROM ${relation}
       WHERE party_id <> '' AND event_type IN (${[...types.values()].join()}) AND ${condition}),
     ${reached.join(',\n')}
     SELECT ${counts.join()}`,
    binding.parameters,
  )
  return row as number[]
}
