import { join } from 'node:path'
import { Registry } from 'prom-client'
import { runUntilSignal } from '../../src/cli/lifecycle.ts'
import { configOf } from '../../src/cli/options.ts'
import * as stages from '../../src/cli/stages.ts'
import { eventRecordSchema } from '../../src/event/record.ts'
import { openEmbeddedLog } from '../../src/log/embedded/embedded.ts'

/** The negative control of the trace: the collector over a log whose sync is switched off. */
const config = await configOf({})
await runUntilSignal(async (lifecycle) => {
  const logs = await stages.openLogStage({ ...config, data: join(config.data, 'other') }, lifecycle)
  const events = await openEmbeddedLog({
    ...config.log,
    folder: join(config.data, 'log'),
    topic: 'events',
    sync: false,
  })
  lifecycle.onStop('log', () => events.close())
  await events.addSchema(eventRecordSchema.text)
  const collector = await stages.openCollectStage(
    config,
    { ...logs, events },
    new Registry(),
    lifecycle,
    null,
  )
  process.stdout.write(`collector at ${collector.url}\n`)
})
