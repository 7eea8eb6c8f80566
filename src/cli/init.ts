import type { Command } from 'commander'
import { openLogs, openStore, prepareStore } from './backends.ts'
import { connectOwner } from './client.ts'
import { type CommonFlags, configOf, createCommand } from './options.ts'

/** `millrace init`: prepares log and store; run again, it changes nothing. */
export function initCommand(): Command {
  const command = createCommand('init', 'Prepare log and store; can be run again')
  return command.action(async (flags: CommonFlags) => {
    const config = await configOf(flags)
    const owner = await connectOwner(config)
    if (owner !== undefined) {
      process.stdout.write(`${config.data} is ready and in use at ${owner.url}\n`)
      return
    }
    const logs = await openLogs(config)
    try {
      await prepareStore(config)
      await (await openStore(config)).close()
    } finally {
      await logs.close()
    }
    process.stdout.write(`${config.data} is ready: log ${logs.events.identity}\n`)
  })
}
