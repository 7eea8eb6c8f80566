import type { Command } from 'commander'
import { runUntilSignal } from './lifecycle.ts'
import { configOf, createCommand, type StageFlags, withApiFlags } from './options.ts'
import * as stages from './stages.ts'

/** `millrace serve`: the API alone. The embedded store has one owner, so it needs the folder free. */
export function serveCommand(): Command {
  const command = createCommand(
    'serve',
    'Run the API alone, over a store that nothing else has open',
  )
  return withApiFlags(command).action(async (flags: StageFlags) => {
    const config = await configOf(flags)
    await runUntilSignal(async (lifecycle) => {
      const store = await stages.openStoreStage(config, lifecycle)
      const logs = await stages.openLogStage(config, lifecycle)
      const api = await stages.openApiStage(config, { logs, store }, lifecycle)
      process.stdout.write(`API at ${api.url}/, data in ${stages.dataFolder(config)}\n`)
    })
  })
}
