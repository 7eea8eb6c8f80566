import type { Command } from 'commander'
import { Registry } from 'prom-client'
import { runUntilSignal } from './lifecycle.ts'
import { configOf, createCommand, type StageFlags, withApiFlags } from './options.ts'
import { openRecommendStage } from './recommend-stage.ts'
import * as stages from './stages.ts'

/** `millrace serve`: the API alone. The embedded store has one owner, so it needs the folder free. */
export function serveCommand(): Command {
  const command = createCommand(
    'serve',
    'Run the API alone; an embedded store must not be open elsewhere',
  )
  return withApiFlags(command).action(async (flags: StageFlags) => {
    const config = await configOf(flags)
    await runUntilSignal(async (lifecycle) => {
      const store = await stages.openStoreStage(config, lifecycle)
      const logs = await stages.openLogStage(config, lifecycle)
      const registry = new Registry()
      stages.registerPipelineMetrics(registry, logs, store)
      const recommend = await openRecommendStage(config, logs, store, lifecycle)
      const parts = { logs, store, registry, recommend }
      const api = await stages.openApiStage(config, parts, lifecycle)
      process.stdout.write(`API at ${api.url}/, data in ${stages.dataFolder(config)}\n`)
    })
  })
}
