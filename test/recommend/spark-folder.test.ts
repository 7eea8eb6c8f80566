import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dayMs, dayOf } from '../../src/lib/clock.ts'
import { openEmbeddedStore } from '../../src/store/embedded/embedded.ts'
import {
  environmentOf,
  freePort,
  type Running,
  runCommand,
  startMillrace,
  temporaryFolder,
} from '../fault/process.ts'
import { smallStore } from '../store/embedded-scene.ts'
import { noon } from '../store/rows.ts'
import { makeTraffic, sparkEnvironment } from './spark-scene.ts'

const days = 3
const start = noon - (noon % dayMs)

test('by way of an export Spark makes the same model and counts as the embedded store: closed, open and late rows', async () => {
  const folder = temporaryFolder()
  const store = await openEmbeddedStore({ ...smallStore, folder: `${folder.path}/store` })
  const rows = [...makeTraffic({ start, days, sessions: 900, parties: 200, items: 150 })].flat()
  const late = rows.filter((_, at) => at % 50 === 0)
  const early = rows.filter((_, at) => at % 50 !== 0)
  await store.write({ rows: early, deadLetters: [], positions: [] })
  await store.closeDay(dayOf(start))
  await store.closeDay(dayOf(start + dayMs))
  await store.write({ rows: late, deadLetters: [], positions: [] })
  await store.close()
  const options = {
    folder: folder.path,
    collectPort: await freePort(),
    apiPort: await freePort(),
    command: ['start', '--accept-log'],
    env: { ...(await sparkEnvironment()), MILLRACE_STORE_RETENTION_DAYS: '3660' },
  }
  const env = { ...environmentOf(options), ...options.env }
  let running: Running | undefined
  try {
    running = await startMillrace(options)
    const asked = ['--last', '2d', '--day', dayOf(start + dayMs)]
    const versions: string[] = []
    for (const engine of ['spark', 'embedded']) {
      const args = ['recommend', 'build', '--engine', engine, ...asked]
      const { code, stdout, stderr } = await runCommand(args, env)
      assert.equal(code, 0, stderr)
      assert.match(stdout, new RegExp(`^\\d{8}T\\d{6}-${engine}-[0-9a-f]{6}\n$`))
      versions.push(stdout.trim())
    }
    for (const version of versions) {
      const { code, stdout } = await runCommand(['recommend', 'publish', version], env)
      assert.equal(code, 0, stdout)
    }
    const counted = await runCommand(
      ['recommend', 'aggregates', '--last', `${days}d`, '--day', dayOf(start + (days - 1) * dayMs)],
      env,
    )
    assert.equal(counted.code, 0, counted.stdout + counted.stderr)
    assert.equal(counted.stdout.match(/ yes$/gm)?.length, days)
    await running.stop()
    await compareModels(folder.path, versions)
  } finally {
    await running?.stop()
    folder.remove()
  }
})

async function compareModels(folder: string, versions: readonly string[]): Promise<void> {
  const store = await openEmbeddedStore({ ...smallStore, folder: `${folder}/store` })
  try {
    const stored = await store.models.list()
    const [spark, own] = versions.map((each) => stored.find(({ version }) => version === each))
    assert.deepEqual(spark?.counts, own?.counts)
    assert.ok((spark?.counts?.pairs ?? 0) > 1_000)
  } finally {
    await store.close()
  }
}
