import { Registry } from 'prom-client'
import { runUntilSignal } from '../../src/cli/lifecycle.ts'
import { configOf } from '../../src/cli/options.ts'
import * as stages from '../../src/cli/stages.ts'
import { hasty } from './hasty-log.ts'

/** Millrace as it must not be: `millrace start` over a log that answers before it stores. */
const config = await configOf({})
await runUntilSignal(async (lifecycle) => {
  const logs = await stages.openLogStage(config, lifecycle)
  const store = await stages.openStoreStage(config, lifecycle)
  const consumer = await stages.openConsumeStage(config, logs, store, {}, lifecycle)
  await stages.openApiStage(config, { logs, store, consumer }, lifecycle)
  const promising = { ...logs, events: hasty(logs.events) }
  await stages.openCollectStage(config, promising, new Registry(), lifecycle, null)
})
