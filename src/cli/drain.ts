import type { Command } from 'commander'
import type { Config } from '../config.ts'
import { isMillraceError, MillraceError } from '../event/error.ts'
import { waitMs } from '../lib/retry.ts'
import { drain, spooledRecords } from '../log/drain.ts'
import { type Logs, listSpools, openLogs, openSpools, peekSpools, spoolOwner } from './backends.ts'
import { type CommonFlags, configOf, createCommand, parseInteger } from './options.ts'
import { createProgressBar, logLine } from './terminal.ts'

interface DrainFlags extends CommonFlags {
  readonly timeout: number
}

const timeoutSeconds = 300
/** How often to look again at what another process drains, and for a log that is away. */
const lookMs = 250

/** `millrace drain`: empties the spool of a data folder into the log. */
export function drainCommand(): Command {
  return createCommand('drain', 'Move what the spool holds to the log, before a node goes away')
    .option('--timeout <seconds>', 'how long to try', parseInteger, timeoutSeconds)
    .action(async (flags: DrainFlags) => {
      const moved = await drainAll(await configOf(flags), flags.timeout * 1_000)
      process.stdout.write(`The spool is empty; ${moved} records moved to the log\n`)
    })
}

/** Returns the records moved. @throws MillraceError `spool_left` with what is left in the end */
async function drainAll(config: Config, timeoutMs: number): Promise<number> {
  let left = await recordsLeft(config)
  const total = left
  const deadline = AbortSignal.timeout(timeoutMs)
  const bar = createProgressBar('drain')
  let moved = 0
  const onBatch = (records: number): void => {
    moved += records
    bar.update(moved, total)
  }
  let reason = ''
  while (left > 0 && !deadline.aborted) {
    try {
      reason = await drainFree(config, onBatch, deadline)
    } catch (thrown) {
      if (!isMillraceError(thrown, 'log_unavailable', 'registry_unavailable')) throw thrown
      reason = thrown.message
    }
    left = await recordsLeft(config)
    if (left > 0) await waitMs(lookMs, deadline)
  }
  bar.end()
  if (left > 0) throw new MillraceError('spool_left', `${left} records. ${reason}`)
  return moved
}

/** Drains the spools that no living process has; returns who has the others, for a message. */
async function drainFree(
  config: Config,
  onBatch: (records: number) => void,
  signal: AbortSignal,
): Promise<string> {
  const logs = await openLogs(config)
  const owners: string[] = []
  try {
    for (const number of await listSpools(config)) {
      const isFree = await drainOne(config, logs, number, onBatch, signal)
      if (!isFree) owners.push(`process ${spoolOwner(config, number)} drains spool ${number}`)
    }
  } finally {
    await logs.close()
  }
  return owners.join(', ')
}

async function drainOne(
  config: Config,
  logs: Logs,
  number: number,
  onBatch: (records: number) => void,
  signal: AbortSignal,
): Promise<boolean> {
  const spools = await openSpools(config, number)
  if (spools === undefined) return false
  try {
    for (const topic of ['events', 'rejected'] as const) {
      await drain({ spool: spools[topic], log: logs[topic], signal, onBatch, onLost })
    }
  } finally {
    await spools.close()
  }
  return true
}

function onLost(records: number, { message }: Error): void {
  logLine(`${records} spooled records cannot be read and are left out: ${message}`)
}

async function recordsLeft(config: Config): Promise<number> {
  let left = 0
  for (const number of await listSpools(config)) {
    for (const spool of await peekSpools(config, number)) {
      try {
        left += await spooledRecords(spool)
      } finally {
        await spool.close()
      }
    }
  }
  return left
}
