import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { isClean } from '../fault/scaled/checker.ts'
import { lineOf } from '../fault/scaled/report.ts'
import { type Attempt, type FaultRow, runRow, type SeedResult } from '../fault/scaled/run.ts'
import type { Scene } from '../fault/scaled/scene.ts'
import { sharedCassandra, sharedKafka } from '../services.ts'
import { makeKeyspace } from '../store/cassandra-scene.ts'

/** Consumers that stand still, come and go, while others have their partitions: processes over real servers. */

const sessionTimeoutMs = 3_000
const eventsPerSecond = 200

/** What `progress` showed, looked at all the time. */
interface Watch {
  /** The sum of all positions now. */
  readonly total: () => number
  /** Positions that were lower than before, in words. */
  readonly falls: readonly string[]
  stop(): Promise<void>
}

function watchProgress({ client, keyspace }: Scene): Watch {
  const positions = new Map<string, number>()
  const falls: string[] = []
  const ending = new AbortController()
  const looking = (async () => {
    while (!ending.signal.aborted) {
      const sql = `SELECT topic, log_partition, next_offset FROM ${keyspace}.progress`
      for (const row of (await client.execute(sql)).rows) {
        const name = `${row['topic']}/${row['log_partition']}`
        const offset = Number(row['next_offset'])
        const before = positions.get(name) ?? 0
        if (offset < before) falls.push(`${name} from ${before} to ${offset}`)
        positions.set(name, offset)
      }
      await sleep(20)
    }
  })()
  return {
    falls,
    total: () => [...positions.values()].reduce((sum, offset) => sum + offset, 0),
    async stop() {
      ending.abort()
      await looking
    },
  }
}

async function until(what: string, isSo: () => boolean): Promise<void> {
  const deadline = performance.now() + 60_000
  while (!isSo()) {
    if (performance.now() > deadline) throw new Error(`waited for: ${what}`)
    await sleep(50)
  }
}

const paused: FaultRow = {
  number: 10,
  title: 'a consumer paused beyond its session timeout, and back',
  async run(scene, attempt) {
    const other = await scene.consumer(1)
    const watch = watchProgress(scene)
    const driver = attempt.drive({ port: scene.collectPort(), rate: eventsPerSecond })
    await driver.untilAcknowledged(200)
    for (const victim of [other, await scene.consumer(0)]) {
      // At any moment of its batches.
      await sleep(attempt.random() * 500)
      victim.child.kill('SIGSTOP')
      await sleep(sessionTimeoutMs + 1_000)
      const before = watch.total()
      await until('the one that is left stores all partitions', () => watch.total() > before + 400)
      victim.child.kill('SIGCONT')
      await sleep(1_000 + attempt.random() * 1_000)
    }
    await driver.stop()
    await scene.untilStored()
    await watch.stop()
    tell(attempt, watch)
  },
}

const storm: FaultRow = {
  number: 11,
  title: 'consumers that come and go every few seconds',
  async run(scene, attempt) {
    const watch = watchProgress(scene)
    const driver = attempt.drive({ port: scene.collectPort(), rate: eventsPerSecond })
    for (let round = 0; round < 3; round++) {
      const guests = await Promise.all([scene.consumer(1), scene.consumer(2)])
      await sleep(attempt.random() * 2_000)
      const [first, second] = guests
      await Promise.all([round % 2 === 0 ? first.stop() : first.kill(), second.stop()])
      await sleep(attempt.random() * 1_000)
    }
    const before = watch.total()
    await until('it goes on storing', () => watch.total() > before)
    await driver.stop()
    await scene.untilStored()
    await watch.stop()
    tell(attempt, watch)
  },
}

function tell(attempt: Attempt, { falls, total }: Watch): void {
  attempt.notes.push(`${total()} records stored`)
  attempt.broken.push(...falls.map((fall) => `progress went back: ${fall}`))
}

for (const row of [paused, storm]) {
  test(`${row.title}: nothing lost or twice, and progress never goes back`, async (t) => {
    const { seeds } = await runRow(row, {
      seeds: 2,
      firstSeed: 1,
      shared: { kafka: sharedKafka, cassandra: sharedCassandra },
      onSeed: (seed: SeedResult) => t.diagnostic(lineOf(seed)),
    })
    for (const { seed, verdict, broken } of seeds) {
      assert.ok(verdict.acknowledged > 500, `seed ${seed} was too short to mean anything`)
      assert.ok(isClean(verdict), `seed ${seed}: ${JSON.stringify(verdict)}`)
      assert.deepEqual(broken, [], `seed ${seed}`)
    }
  })
}

test('the position of a consumer that stood still changes nothing, unless it is set back on purpose', async () => {
  const keyspace = await makeKeyspace()
  after(() => keyspace.drop())
  const [still, going] = await Promise.all([keyspace.open(), keyspace.open()])
  try {
    const at = (offset: number, partition = 0) => {
      const positions = [{ log: 'log', topic: 'events', partition, offset }]
      return { rows: [], deadLetters: [], positions }
    }
    await still.write(at(100))
    for (const offset of [300, 500]) await going.write(at(offset))
    await still.write(at(200))
    await still.write(at(7, 1))
    const stands = [
      [0, 500],
      [1, 7],
    ]
    assert.deepEqual([...(await going.positions('log', 'events'))], stands)
    // A first move that is late counts as the first, whatever time it is: no clock is in any move.
    const move = `INSERT INTO progress (log, topic, log_partition, next_offset)
      VALUES ('log', 'events', 0, 64) USING TIMESTAMP 1`
    await keyspace.client.execute(move)
    const { rows } = await keyspace.client.execute(
      'SELECT WRITETIME(next_offset) AS moves FROM progress',
    )
    assert.deepEqual(rows.map((row) => Number(row['moves'])).toSorted(), [1, 3])
    assert.deepEqual([...(await going.positions('log', 'events'))], stands)
    await still.write(at(501))
    await going.write({ ...at(40), setsBack: true })
    assert.equal((await still.positions('log', 'events')).get(0), 40)
    await still.write(at(60))
    assert.equal((await still.positions('log', 'events')).get(0), 60)
  } finally {
    await Promise.all([still.close(), going.close()])
  }
})
