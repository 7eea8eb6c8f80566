import type { Command } from 'commander'
import type { HealthAnswer } from '../api/answer.ts'
import { connectApi } from './client.ts'
import { type CommonFlags, configOf, createCommand } from './options.ts'

/** `millrace health`: lag, age of the last stored event, duplicates, dead letters. */
export function healthCommand(): Command {
  const command = createCommand(
    'health',
    'Show lag, last stored event, duplicates and dead letters',
  )
  return command.action(async (flags: CommonFlags) => {
    const api = await connectApi(await configOf(flags))
    const health = await api.health<HealthAnswer>('/api/health')
    process.stdout.write(`${JSON.stringify(health, null, 2)}\n`)
    if (!health.ok) process.exitCode = 1
  })
}
