#!/usr/bin/env node
import { Command, CommanderError } from 'commander'
import { printError } from './terminal.ts'
import { version } from './version.ts'

/**
 * The command `millrace`: one file for each subcommand, in the order of the help. Only the one that
 * is called is loaded: all of them, with the libraries that they need, take two seconds of CPU.
 */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  start: async () => (await import('./start.ts')).startCommand(),
  collect: async () => (await import('./collect.ts')).collectCommand(),
  consume: async () => (await import('./consume.ts')).consumeCommand(),
  serve: async () => (await import('./serve.ts')).serveCommand(),
  init: async () => (await import('./init.ts')).initCommand(),
  events: async () => (await import('./events.ts')).eventsCommand(),
  count: async () => (await import('./count.ts')).countCommand(),
  uniques: async () => (await import('./uniques.ts')).uniquesCommand(),
  top: async () => (await import('./top.ts')).topCommand(),
  sessions: async () => (await import('./sessions.ts')).sessionsCommand(),
  funnel: async () => (await import('./funnel.ts')).funnelCommand(),
  retention: async () => (await import('./retention.ts')).retentionCommand(),
  accounting: async () => (await import('./accounting.ts')).accountingCommand(),
  health: async () => (await import('./health.ts')).healthCommand(),
  'dead-letters': async () => (await import('./dead-letters.ts')).deadLettersCommand(),
  replay: async () => (await import('./replay.ts')).replayCommand(),
  party: async () => (await import('./party.ts')).partyCommand(),
  erase: async () => (await import('./erase.ts')).eraseCommand(),
  drain: async () => (await import('./drain.ts')).drainCommand(),
  export: async () => (await import('./export.ts')).exportCommand(),
  backup: async () => (await import('./backup.ts')).backupCommand(),
  restore: async () => (await import('./restore.ts')).restoreCommand(),
  doctor: async () => (await import('./doctor.ts')).doctorCommand(),
  close: async () => (await import('./close.ts')).closeCommand(),
  check: async () => (await import('./check.ts')).checkCommand(),
  retain: async () => (await import('./retain.ts')).retainCommand(),
  mapping: async () => (await import('./mapping.ts')).mappingCommand(),
  import: async () => (await import('./import.ts')).importCommand(),
  recommend: async () => (await import('./recommend.ts')).recommendCommand(),
  simulate: async () => (await import('./simulate.ts')).simulateCommand(),
  types: async () => (await import('./types.ts')).typesCommand(),
  migrate: async () => (await import('./migrate.ts')).migrateCommand(),
  reconcile: async () => (await import('./reconcile.ts')).reconcileCommand(),
}

const lingerMs = 500

const program = new Command('millrace')
  .description('A clickstream platform: from a click in the browser to a durable answer.')
  .version(version)
  .showHelpAfterError('(millrace --help shows what there is)')
  .exitOverride()

const [called = ''] = process.argv.slice(2)
const load = Object.hasOwn(commands, called) ? [commands[called]] : Object.values(commands)
const isVersion = called === '--version' || called === '-V'
for (const open of isVersion ? [] : load) if (open !== undefined) program.addCommand(await open())

try {
  await program.parseAsync()
} catch (thrown) {
  if (thrown instanceof CommanderError) {
    process.exitCode = thrown.exitCode === 0 ? 0 : 2
  } else {
    printError(thrown)
    process.exitCode = 1
  }
} finally {
  // What was asked is done. A client library may hold the process with a timer of its own: Cassandra's
  // does for most of a minute after an address that does not speak CQL.
  setTimeout(() => process.exit(), lingerMs).unref()
}
