import type { Command } from 'commander'
import type { RetainAnswer } from '../api/retain.ts'
import { connectApi } from './client.ts'
import { type CommonFlags, configOf, createCommand } from './options.ts'
import { printOut, quantity } from './terminal.ts'

/** `millrace retain`: retention at an hour of one's own; the running process applies it by itself too. */
export function retainCommand(): Command {
  return createCommand('retain', 'Delete what is older than the retention, now')
    .addHelpText(
      'after',
      `
See store.retentionDays and log.retentionDays of the process that owns the store. The same again
deletes nothing more.`,
    )
    .action(async (flags: CommonFlags) => {
      const api = await connectApi(await configOf(flags))
      const init = { method: 'POST', body: '{}' }
      const { firstDay, events, logBytes } = await api.json<RetainAnswer>('/api/retain', init)
      const log = quantity(logBytes, 'byte')
      await printOut(
        `${quantity(events, 'event')} deleted, ${log} of the log freed; kept from ${firstDay}\n`,
      )
    })
}
