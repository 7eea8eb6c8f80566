import { Registry } from 'prom-client'
import { runUntilSignal } from '../../../src/cli/lifecycle.ts'
import { configOf } from '../../../src/cli/options.ts'
import { openCollectLogStage } from '../../../src/cli/spool.ts'
import * as stages from '../../../src/cli/stages.ts'
import { hasty } from '../hasty-log.ts'

/** The negative control of a killed collector: `millrace collect`, answering before Kafka does. */
const config = await configOf({})
await runUntilSignal(async (lifecycle) => {
  const logs = await openCollectLogStage(config, lifecycle, false)
  const promising = { ...logs, events: hasty(logs.events) }
  await stages.openCollectStage(config, promising, new Registry(), lifecycle, null)
})
