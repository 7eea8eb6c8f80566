import type { FaultRow } from './run.ts'

/** Row 1: a collector that is killed at any moment has promised nothing that is not kept. */
export const collectorKill: FaultRow = {
  number: 1,
  title: 'collector kill -9',
  async run(scene, attempt) {
    const driver = attempt.drive({ port: scene.collectPort(), rate: 400 })
    await driver.untilAcknowledged(1)
    const afterMs = Math.round(attempt.random() * 3_000)
    attempt.notes.push(`killed after ${afterMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, afterMs))
    await (await scene.collector()).kill()
    await scene.collector()
    await driver.untilAcknowledged(200)
    await driver.stop()
  },
  control: {
    title: 'answers before Kafka has it',
    scene: { collectScript: new URL('hasty-collect.ts', import.meta.url).pathname },
  },
}
