import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { sharedCassandra, sharedKafka } from '../../services.ts'
import { isClean } from './checker.ts'
import { lineOf } from './report.ts'
import { type FaultRow, isCaught, runRow, type SeedResult } from './run.ts'

/**
 * A short seeded smoke of a row of `npm run faults`: two seeds, and the negative control unless it
 * needs servers of its own.
 */
export function smoke(row: FaultRow): void {
  // The Cassandra driver keeps timers for hosts that went away, after its shutdown too.
  after(() => {
    setTimeout(() => process.exit(), 5_000).unref()
  })
  const { control } = row
  const hasControl = control !== undefined && control.needs === undefined
  test(`row ${row.number}, ${row.title}: nothing lost, twice, invented or miscounted`, async (t) => {
    const result = await runRow(row, {
      seeds: 2,
      firstSeed: 1,
      controlSeeds: hasControl ? 3 : 0,
      shared: { kafka: sharedKafka, cassandra: sharedCassandra },
      onSeed: (seed: SeedResult) => t.diagnostic(lineOf(seed)),
    })
    if (result.skipped !== undefined) return t.skip(result.skipped)
    for (const { seed, verdict, broken } of result.seeds) {
      assert.ok(verdict.acknowledged > 200, `seed ${seed} was too short to mean anything`)
      assert.ok(isClean(verdict), `seed ${seed}: ${JSON.stringify(verdict)}`)
      assert.deepEqual(broken, [], `seed ${seed}`)
    }
    if (hasControl) assert.ok(isCaught(result), `missed: ${control.title}`)
  })
}
