import type { Command } from 'commander'
import { Registry } from 'prom-client'
import type { Config } from '../config.ts'
import { runUntilSignal } from './lifecycle.ts'
import {
  configOf,
  createCommand,
  parseWorkers,
  type StageFlags,
  withCollectFlags,
} from './options.ts'
import { openCollectLogStage, registerSpoolMetrics } from './spool.ts'
import * as stages from './stages.ts'
import { logLine } from './terminal.ts'
import { isWorker, runWorker } from './worker.ts'
import { startWorkers, type Workers } from './workers.ts'

interface CollectFlags extends StageFlags {
  readonly workers: number
}

/** `millrace collect`: the collector alone, writing a log that another process consumes. */
export function collectCommand(): Command {
  const command = createCommand('collect', 'Run the collector alone: requests onto the log')
  return withCollectFlags(command)
    .option(
      '--workers <count>',
      'processes that share the port, each on a core of its own; SIGHUP replaces them one by one',
      parseWorkers,
      1,
    )
    .action(async (flags: CollectFlags) => {
      const config = await configOf(flags)
      if (isWorker()) await runWorker(config, flags.workers)
      else if (flags.workers === 1) await collect(config)
      else await supervise(config, flags.workers)
    })
}

async function collect(config: Config): Promise<void> {
  await runUntilSignal(async (lifecycle) => {
    const logs = await openCollectLogStage(config, lifecycle, false)
    const registry = new Registry()
    stages.registerPipelineMetrics(registry, logs)
    registerSpoolMetrics(registry, logs)
    const collector = await stages.openCollectStage(config, logs, registry, lifecycle, null)
    process.stdout.write(`collector at ${collector.url}, data in ${stages.dataFolder(config)}\n`)
  })
}

async function supervise(config: Config, count: number): Promise<void> {
  let workers: Workers | undefined
  // From the beginning: a SIGHUP that nobody listens for ends the process.
  process.on('SIGHUP', () => {
    if (workers === undefined) return
    logLine('SIGHUP: the workers are replaced one by one')
    void workers.restart().then((isDone) => {
      if (isDone) logLine('the workers are replaced')
    })
  })
  await runUntilSignal(async (lifecycle) => {
    workers = await startWorkers(count)
    lifecycle.onStop('workers', () => workers?.stop() ?? Promise.resolve())
    // A second signal ends the supervisor at once; its workers must not outlive it.
    process.once('exit', () => workers?.kill())
    const data = stages.dataFolder(config)
    process.stdout.write(`collector at ${workers.url}, ${count} workers, data in ${data}\n`)
  })
}
