import type { Command } from 'commander'
import { Registry } from 'prom-client'
import { runUntilSignal } from './lifecycle.ts'
import { configOf, createCommand, type StageFlags, withCollectFlags } from './options.ts'
import * as stages from './stages.ts'

/** `millrace collect`: the collector alone, writing a log that another process consumes. */
export function collectCommand(): Command {
  const command = createCommand('collect', 'Run the collector alone: requests onto the log')
  return withCollectFlags(command).action(async (flags: StageFlags) => {
    const config = await configOf(flags)
    await runUntilSignal(async (lifecycle) => {
      const logs = await stages.openLogStage(config, lifecycle)
      const registry = new Registry()
      stages.registerPipelineMetrics(registry, logs)
      const collector = await stages.openCollectStage(config, logs, registry, lifecycle, null)
      process.stdout.write(`collector at ${collector.url}, data in ${stages.dataFolder(config)}\n`)
    })
  })
}
