#!/usr/bin/env node
import { Command, CommanderError } from 'commander'
import { collectCommand } from './collect.ts'
import { consumeCommand } from './consume.ts'
import { countCommand } from './count.ts'
import { deadLettersCommand } from './dead-letters.ts'
import { eventsCommand } from './events.ts'
import { healthCommand } from './health.ts'
import { initCommand } from './init.ts'
import { replayCommand } from './replay.ts'
import { serveCommand } from './serve.ts'
import { startCommand } from './start.ts'
import { printError } from './terminal.ts'
import { version } from './version.ts'

/** The command `millrace`: one file for each subcommand. */
const program = new Command('millrace')
  .description('A clickstream platform: from a click in the browser to a durable answer.')
  .version(version)
  .showHelpAfterError('(millrace --help shows what there is)')
  .exitOverride()
  .addCommand(startCommand())
  .addCommand(collectCommand())
  .addCommand(consumeCommand())
  .addCommand(serveCommand())
  .addCommand(initCommand())
  .addCommand(eventsCommand())
  .addCommand(countCommand())
  .addCommand(healthCommand())
  .addCommand(deadLettersCommand())
  .addCommand(replayCommand())

try {
  await program.parseAsync()
} catch (thrown) {
  if (thrown instanceof CommanderError) {
    process.exitCode = thrown.exitCode === 0 ? 0 : 2
  } else {
    printError(thrown)
    process.exitCode = 1
  }
}
