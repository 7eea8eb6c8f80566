#!/usr/bin/env node
import { Command, CommanderError } from 'commander'
import { accountingCommand } from './accounting.ts'
import { backupCommand } from './backup.ts'
import { closeCommand } from './close.ts'
import { collectCommand } from './collect.ts'
import { consumeCommand } from './consume.ts'
import { countCommand } from './count.ts'
import { deadLettersCommand } from './dead-letters.ts'
import { doctorCommand } from './doctor.ts'
import { drainCommand } from './drain.ts'
import { eraseCommand } from './erase.ts'
import { eventsCommand } from './events.ts'
import { exportCommand } from './export.ts'
import { funnelCommand } from './funnel.ts'
import { healthCommand } from './health.ts'
import { importCommand } from './import.ts'
import { initCommand } from './init.ts'
import { migrateCommand } from './migrate.ts'
import { partyCommand } from './party.ts'
import { recommendCommand } from './recommend.ts'
import { reconcileCommand } from './reconcile.ts'
import { replayCommand } from './replay.ts'
import { restoreCommand } from './restore.ts'
import { retentionCommand } from './retention.ts'
import { serveCommand } from './serve.ts'
import { sessionsCommand } from './sessions.ts'
import { simulateCommand } from './simulate.ts'
import { startCommand } from './start.ts'
import { printError } from './terminal.ts'
import { topCommand } from './top.ts'
import { uniquesCommand } from './uniques.ts'
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
  .addCommand(uniquesCommand())
  .addCommand(topCommand())
  .addCommand(sessionsCommand())
  .addCommand(funnelCommand())
  .addCommand(retentionCommand())
  .addCommand(accountingCommand())
  .addCommand(healthCommand())
  .addCommand(deadLettersCommand())
  .addCommand(replayCommand())
  .addCommand(partyCommand())
  .addCommand(eraseCommand())
  .addCommand(drainCommand())
  .addCommand(exportCommand())
  .addCommand(backupCommand())
  .addCommand(restoreCommand())
  .addCommand(doctorCommand())
  .addCommand(closeCommand())
  .addCommand(importCommand())
  .addCommand(recommendCommand())
  .addCommand(simulateCommand())
  .addCommand(migrateCommand())
  .addCommand(reconcileCommand())

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
