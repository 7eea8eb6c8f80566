import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'

const bin = new URL('../node_modules/.bin/', import.meta.url).pathname

test('Biome finds nothing', () => {
  const { status, stdout, stderr } = spawnSync(`${bin}biome`, ['check', '.'], { encoding: 'utf8' })
  assert.equal(status, 0, stdout + stderr)
})

test('the TypeScript compiler finds nothing', () => {
  const { status, stdout } = spawnSync(`${bin}tsc`, ['-p', 'tsconfig.json'], { encoding: 'utf8' })
  assert.equal(status, 0, stdout)
})
