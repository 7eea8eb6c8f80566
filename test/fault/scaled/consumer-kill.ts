import type { FaultRow } from './run.ts'
import { untilWriting } from './writing.ts'

/**
 * Row 9: a consumer that is killed in the middle of a batch has stored what its position says, and
 * whoever goes on stores the rest.
 */
export const consumerKill: FaultRow = {
  number: 9,
  title: 'consumer kill -9',
  scene: {
    env: {
      // It writes all the time, so most kills hit a batch.
      MILLRACE_CONSUME_WRITE_INTERVAL_MS: '0',
      // Who takes its place gets the partitions of the dead after that long.
      MILLRACE_KAFKA_SESSION_TIMEOUT_MS: '1500',
    },
  },
  async run(scene, attempt) {
    const afters: number[] = []
    for (let kill = 0; kill < kills; kill++) {
      const consumer = await scene.consumer()
      const driver = attempt.drive({ port: scene.collectPort(), rate: 600 })
      await untilWriting(scene)
      const afterMs = Math.round(200 + attempt.random() * 1_300)
      afters.push(afterMs)
      await new Promise((resolve) => setTimeout(resolve, afterMs))
      await consumer.kill()
      await driver.stop()
    }
    await scene.consumer()
    attempt.notes.push(`killed ${afters.join(', ')} ms after its first write`)
  },
  control: {
    title: 'stores its position before the rows',
    scene: {
      env: {
        MILLRACE_CONSUME_WRITE_INTERVAL_MS: '0',
        MILLRACE_KAFKA_SESSION_TIMEOUT_MS: '1500',
        TEST_WRONG_CONSUMER: 'early',
      },
      consumeScript: new URL('wrong-consumer.ts', import.meta.url).pathname,
    },
  },
}

const kills = 3
