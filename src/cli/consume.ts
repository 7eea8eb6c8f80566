import type { Command } from 'commander'
import { Registry } from 'prom-client'
import { keepHeapSmall } from '../lib/heap.ts'
import { isStoreShared } from './backends.ts'
import { runUntilSignal } from './lifecycle.ts'
import { createConsumeMetrics } from './metrics.ts'
import {
  configOf,
  createCommand,
  type StageFlags,
  withApiFlags,
  withConsumeFlags,
} from './options.ts'
import { openRecommendStage } from './recommend-stage.ts'
import * as stages from './stages.ts'

/** `millrace consume`: log to store, and the API over the store, which has one owner. */
export function consumeCommand(): Command {
  const command = createCommand('consume', 'Run the consumer: log into store, with the API')
  return withConsumeFlags(withApiFlags(command)).action(async (flags: StageFlags) => {
    const config = await configOf(flags)
    keepHeapSmall()
    await runUntilSignal(async (lifecycle) => {
      const logs = await stages.openLogStage(config, lifecycle)
      const store = await stages.openStoreStage(config, lifecycle)
      const registry = new Registry()
      stages.registerPipelineMetrics(registry, logs, store)
      const metrics = createConsumeMetrics(registry)
      const consumer = await stages.openConsumeStage(config, logs, store, flags, lifecycle, metrics)
      // Of a shared store there may be many consumers: there `serve` recommends.
      const isOwner = !isStoreShared(config)
      const recommend = isOwner
        ? await openRecommendStage(config, logs, store, lifecycle)
        : undefined
      const parts = { logs, store, consumer, registry, recommend }
      const api = await stages.openApiStage(config, parts, lifecycle)
      process.stdout.write(`API at ${api.url}/, data in ${stages.dataFolder(config)}\n`)
    })
  })
}
