import type { FaultRow } from './run.ts'
import { untilWriting } from './writing.ts'

/**
 * Row 12: a node that is killed has on disk what it acknowledged, as its commit log is synced before
 * it answers. A consumer whose batch was under way writes it again; in every other seed the consumer
 * is killed too, and the position that it starts from has come through the same commit log.
 *
 * Alone on its disk, a node as it is shipped (`periodic`) acknowledges up to ten seconds of writes
 * that it only has in its own memory. The control runs one, with Millrace as it is: its consumer
 * does not read again what was acknowledged, so what was in that memory is lost.
 */
export const cassandraKill: FaultRow = {
  number: 12,
  title: 'Cassandra kill -9, one node',
  needs: { cassandra: { syncSystem: true } },
  async run(scene, attempt) {
    const startedAt = Date.now()
    const driver = attempt.drive({ port: scene.collectPort(), rate: 300 })
    await untilWriting(scene, startedAt)
    const afterMs = Math.round(500 + attempt.random() * 2_500)
    await new Promise((resolve) => setTimeout(resolve, afterMs))
    const isConsumerKilled = attempt.seed % 2 === 0
    const consumer = await scene.consumer()
    const cassandra = scene.servers.cassandra()
    await Promise.all([cassandra.kill(), isConsumerKilled ? consumer.kill() : undefined])
    const killedAt = performance.now()
    await driver.untilAcknowledged(100)
    // However long it takes to come back, what has to be caught up with is little.
    await driver.stop()
    await cassandra.start()
    const awayMs = Math.round(performance.now() - killedAt)
    await scene.consumer()
    const again = attempt.drive({ port: scene.collectPort(), rate: 300 })
    await again.untilAcknowledged(100)
    await again.stop()
    const also = isConsumerKilled ? ', the consumer too' : ''
    attempt.notes.push(`killed after ${afterMs} ms${also}, back after ${awayMs} ms`)
  },
  control: {
    title: 'commitlog_sync: periodic, the commit log compressed',
    needs: {
      cassandra: {
        syncSystem: true,
        settings: {
          commitlog_sync: 'periodic',
          commitlog_sync_period: '10000ms',
          commitlog_sync_group_window: undefined,
          commitlog_compression: [{ class_name: 'LZ4Compressor' }],
        },
      },
    },
  },
}
