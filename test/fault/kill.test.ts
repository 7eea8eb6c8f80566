import assert from 'node:assert/strict'
import { test } from 'node:test'
import { killRun } from './kill.ts'

/** A short seeded smoke of `npm run faults`. */

test('after kill -9 every acknowledged event is stored once and none that was not sent', async (t) => {
  const verdict = await killRun({ seed: 7, kills: 3, rate: 2_000 })
  t.diagnostic(JSON.stringify(verdict))
  assert.ok(verdict.acknowledged > 500, 'the run was too short to mean anything')
  const { lost, twice, ghosts } = verdict
  assert.deepEqual({ lost, twice, ghosts }, { lost: 0, twice: 0, ghosts: 0 })
})

test('a collector that answers before the commit is caught by the same count', async (t) => {
  const script = new URL('hasty.ts', import.meta.url).pathname
  const verdict = await killRun({ seed: 7, kills: 2, rate: 2_000, script })
  t.diagnostic(JSON.stringify(verdict))
  assert.ok(verdict.lost > 0)
})
