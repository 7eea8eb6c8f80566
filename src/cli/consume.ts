import type { Command } from 'commander'
import { runUntilSignal } from './lifecycle.ts'
import {
  configOf,
  createCommand,
  type StageFlags,
  withApiFlags,
  withConsumeFlags,
} from './options.ts'
import * as stages from './stages.ts'

/** `millrace consume`: log to store, and the API over the store, which has one owner. */
export function consumeCommand(): Command {
  const command = createCommand('consume', 'Run the consumer: log into store, with the API')
  return withConsumeFlags(withApiFlags(command)).action(async (flags: StageFlags) => {
    const config = await configOf(flags)
    await runUntilSignal(async (lifecycle) => {
      const logs = await stages.openLogStage(config, lifecycle)
      const store = await stages.openStoreStage(config, lifecycle)
      const consumer = await stages.openConsumeStage(config, logs, store, flags, lifecycle)
      const api = await stages.openApiStage(config, { logs, store, consumer }, lifecycle)
      process.stdout.write(`API at ${api.url}/, data in ${stages.dataFolder(config)}\n`)
    })
  })
}
